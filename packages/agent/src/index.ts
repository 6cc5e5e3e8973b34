export type * from "./adapter.ts";
export { type Forwarded, startForwarder } from "./forwarder.ts";
export { type Host, type HostOptions, startHost } from "./host.ts";
export { defaultLimits, type SessionLimits } from "./session.ts";
