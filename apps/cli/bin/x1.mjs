#!/usr/bin/env node
// Old syntax and few features on purpose: this file must still run, and say something useful, on a Node.js that cannot
// run the rest. The sources are TypeScript that Node runs by itself from 22.18 on.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const version = process.versions.node.split(".").map(Number);
const recent = version[0] > 22 || (version[0] === 22 && version[1] >= 18);
const pinned = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));

if (recent) {
  const cli = await import(new URL("../src/main.ts", import.meta.url).href);
  await cli.start();
} else if (process.env.X1_RESTARTED || !existsSync(pinned)) {
  console.error(
    `x1 needs Node.js 22.18 or newer; this is ${process.versions.node}. Run \`npm ci\` in the checkout (it brings one along), or install a newer Node.js.`,
  );
  process.exit(2);
} else {
  const child = spawn(pinned, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), {
    stdio: "inherit",
    env: Object.assign({}, process.env, { X1_RESTARTED: "1" }),
  });
  // A terminal sends Ctrl-C to both of us; we only stay to hand back how the child ended.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  // As `onNpmGone` in src/commands/service.ts, for what waits below us.
  const shell = process.ppid;
  if (process.env.npm_command) setInterval(() => process.ppid !== shell && child.kill("SIGTERM"), 500).unref();
  child.on("error", (error) => {
    console.error(`x1 could not start ${pinned}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] || 0) : code));
}
