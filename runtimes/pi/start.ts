import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * Starts the CLI with what V8 made of it when it was installed (`compiled/` beside this file, read-only in a workspace). The
 * CLI would look for that in the temporary folder, which is empty and its own in each workspace.
 */
const app = import.meta.dirname;
const compiled = join(app, "compiled");
if (existsSync(compiled)) enableCompileCache(compiled);
const cli = join(app, "node_modules/@earendil-works/pi-coding-agent/dist/bundle/cli.js");
process.argv[1] = cli;
await import(pathToFileURL(cli).href);
