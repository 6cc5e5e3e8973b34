export { type EventCaps, eventCaps, type NewEvent } from "./decide.ts";
export * from "./migrations.ts";
export * from "./service.ts";
