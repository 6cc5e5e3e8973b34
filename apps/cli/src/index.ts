export { connectLocal, defaultDataDir } from "./connection.ts";
export { exitCodes } from "./exit.ts";
export * from "./render/index.ts";
