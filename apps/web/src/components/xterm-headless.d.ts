/** The package's manifest names an entry that it does not hold, so the file is imported by its own path. */
declare module "@xterm/headless/lib-headless/xterm-headless.mjs" {
  export { Terminal } from "@xterm/headless";
}
