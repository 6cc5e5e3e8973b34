export * from "./migrations.ts";
export * from "./service.ts";
