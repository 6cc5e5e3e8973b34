export { type Client, type ClientOptions, createClient, type EventOptions } from "./client.ts";
export { ApiError, InvalidArgument, UnreachableError } from "./errors.ts";
export type { LiveEvent } from "./events.ts";
export { createSignInClient, type SignInClient } from "./sign-in.ts";
