export * from "./connections.ts";
export { migrations } from "./migrations.ts";
export * from "./model.ts";
export * from "./origins.ts";
export * from "./pull-requests.ts";
export * from "./repositories.ts";
