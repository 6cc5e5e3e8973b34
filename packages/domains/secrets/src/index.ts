export * from "./migrations.ts";
export * from "./seal.ts";
export * from "./service.ts";
