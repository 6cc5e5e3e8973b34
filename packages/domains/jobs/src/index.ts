export * from "./baseline.ts";
export * from "./dismissals.ts";
export * from "./idempotency.ts";
export * from "./migrations.ts";
export * from "./model.ts";
export * from "./service.ts";
