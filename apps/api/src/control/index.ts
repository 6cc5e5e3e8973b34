export { type ControlChannel, type Registration, startControlChannel } from "./channel.ts";
export { sidecarPolicy } from "./policy.ts";
