export * from "./connections.ts";
export * from "./deliveries.ts";
export * from "./follow-ups.ts";
export { migrations } from "./migrations.ts";
export * from "./model.ts";
export * from "./origins.ts";
export * from "./pull-requests.ts";
export * from "./repositories.ts";
export * from "./watch.ts";
