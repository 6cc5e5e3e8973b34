export { type RawBuilder, sql } from "kysely";
export * from "./blobs.ts";
export * from "./clock.ts";
export {
  type ConnectionConfig,
  type Database,
  DatabaseAway,
  type DatabaseOptions,
  type Migration,
  migrate,
  notify,
  openDatabase,
  row,
  rows,
  type Tx,
  tenantTable,
} from "./database.ts";
export * from "./dump.ts";
export { type Engine, startEngine } from "./engine.ts";
export * from "./ids.ts";
export * from "./json.ts";
export * from "./log.ts";
