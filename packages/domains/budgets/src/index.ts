export * from "./decide.ts";
export * from "./migrations.ts";
export * from "./service.ts";
