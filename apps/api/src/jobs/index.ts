export type { LoopDeps, Timing } from "./deps.ts";
export { type Loop, startLoop } from "./loop.ts";
export { startJobs } from "./start.ts";
export { cutOff, type Trials } from "./trial.ts";
