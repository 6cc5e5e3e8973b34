import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { HostBoot, RuntimeManifest } from "@x1agent/contract";
import type { RuntimeAdapter } from "./adapter.ts";
import { startHost } from "./host.ts";
import { LineSplitter } from "./lines.ts";

/** Entry of `/x1/agent/host.mjs`. Boot comes as one JSON line on standard input; nothing is read from the environment. */
async function main(): Promise<void> {
  const boot = HostBoot.parse(JSON.parse(await firstLine()));
  const manifest = RuntimeManifest.parse(JSON.parse(readFileSync(boot.manifestPath, "utf8")));
  const module = (await import(pathToFileURL(resolve(boot.appDir, manifest.adapter)).href)) as {
    default?: RuntimeAdapter;
  };
  if (typeof module.default?.start !== "function")
    throw new Error(`${manifest.adapter} of ${manifest.name} has no adapter as its default export.`);
  const host = await startHost({ boot, manifest, adapter: module.default });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void host.close());
  await host.closed;
  process.exit(0);
}

function firstLine(): Promise<string> {
  return new Promise((resolveLine, reject) => {
    const splitter = new LineSplitter(
      1024 * 1024,
      (line) => {
        process.stdin.destroy();
        resolveLine(line);
      },
      () => reject(new Error("the boot line is too long")),
    );
    process.stdin.on("data", (chunk: Buffer) => splitter.push(chunk));
    process.stdin.once("end", () => {
      splitter.end();
      reject(new Error("no boot line came on standard input"));
    });
  });
}

// An adapter's stray rejection is a line in the log, not the end of the session: its CLI and events are still there.
process.on("unhandledRejection", (cause) => {
  process.stderr.write(`x1 host: unhandled: ${cause instanceof Error ? cause.message : String(cause)}\n`);
});
main().catch((cause: unknown) => {
  // A schema error quotes paths only, so no token of the boot line can get out this way.
  process.stderr.write(`x1 host: ${cause instanceof Error ? cause.message.slice(0, 2_000) : "failed"}\n`);
  process.exit(1);
});
