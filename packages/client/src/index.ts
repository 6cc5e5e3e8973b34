export { type Client, type ClientOptions, createClient, type EventOptions } from "./client.ts";
export { ApiError, UnreachableError } from "./errors.ts";
export type { LiveEvent } from "./events.ts";
