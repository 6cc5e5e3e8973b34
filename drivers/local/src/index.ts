export { createLocalDriver } from "./driver.ts";
export type { LocalDriverOptions } from "./prepare.ts";
export type { Mechanism } from "./sandbox.ts";
export { findToolchains } from "./toolchains.ts";
export { createToolSandbox, type ToolRun, type ToolSandbox } from "./tools.ts";
