#!/usr/bin/env node
// Plain old JavaScript on purpose: this file must still run, and say something useful, on a Node.js that cannot run the
// rest. The sources are TypeScript that Node runs by itself from 22.18 on.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

var version = process.versions.node.split(".").map(Number);
var recent = version[0] > 22 || (version[0] === 22 && version[1] >= 18);
var main = new URL("../src/main.ts", import.meta.url);

if (recent) {
  import(main.href).then(function (cli) {
    return cli.start();
  });
} else {
  var pinned = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));
  if (process.env.X1_RESTARTED || !existsSync(pinned)) {
    console.error(
      "x1 needs Node.js 22.18 or newer; this is " +
        process.versions.node +
        ". Run `npm ci` in the checkout (it brings one along), or install a newer Node.js.",
    );
    process.exit(2);
  }
  var environment = Object.assign({}, process.env, { X1_RESTARTED: "1" });
  var child = spawn(pinned, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), {
    stdio: "inherit",
    env: environment,
  });
  // A terminal sends Ctrl-C to both of us; we only stay to hand back how the child ended.
  process.on("SIGINT", function () {});
  ["SIGTERM", "SIGHUP"].forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal);
    });
  });
  child.on("error", function (error) {
    console.error("x1 could not start " + pinned + ": " + error.message);
    process.exit(1);
  });
  child.on("exit", function (code, signal) {
    process.exit(signal ? 128 + (constants.signals[signal] || 0) : code);
  });
}
