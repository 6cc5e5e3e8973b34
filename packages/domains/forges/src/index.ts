export { migrations } from "./migrations.ts";
export * from "./model.ts";
