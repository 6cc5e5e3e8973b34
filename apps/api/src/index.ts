export { type AssemblyOptions, createAssembly, type Loop, type LoopDeps } from "./assemble.ts";
export { createHub, type Hub, type LiveDelta } from "./events/hub.ts";
export { type Foundation, type Service, startService } from "./service.ts";
export { parseStartOptions, type StartOptions } from "./start/options.ts";
