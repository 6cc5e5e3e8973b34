export { type RawBuilder, sql } from "kysely";
export * from "./blobs.ts";
export * from "./clock.ts";
export * from "./database.ts";
export { type Engine, startEngine } from "./engine.ts";
export * from "./ids.ts";
export * from "./json.ts";
export * from "./log.ts";
