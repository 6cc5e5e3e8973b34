export { createLocalDriver, type LocalDriverOptions } from "./driver.ts";
export type { Mechanism } from "./sandbox.ts";
