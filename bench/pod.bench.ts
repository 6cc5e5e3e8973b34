import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalDriver } from "@x1agent/driver-local";
import { toolSpec } from "@x1agent/workspaces/conformance";
import { type Bench, type Figure, interleave } from "./lib.ts";

const program = "/bin/true";

/** The program started by this process, as the driver starts its launcher. */
async function plain(): Promise<number> {
  const begin = performance.now();
  await once(spawn(program, { stdio: ["ignore", "pipe", "pipe"] }), "close");
  return performance.now() - begin;
}

export const bench: Bench = {
  about:
    "one command in a workspace that is there, from the call to its result, as the user who runs this. limit: the same program as a plain process. Wanted: 20 ms more by bubblewrap.",
  async run({ quick, note }) {
    const folder = await mkdtemp(join(tmpdir(), "x1-bench-"));
    try {
      await chmod(folder, 0o755);
      const overlayDir = join(folder, "overlay");
      await mkdir(overlayDir);
      const figures: Figure[] = [];
      for (const [mechanism, name] of [
        ["bwrap", "bubblewrap"],
        ["util-linux", "util-linux"],
      ] as const) {
        const driver = createLocalDriver({ runDir: join(folder, name), overlayDir, mechanism });
        await mkdir(join(folder, name));
        const { report } = await driver.probe();
        if (!report) {
          note(`${name} is left out: it does not work here`);
          continue;
        }
        const workspace = await driver.launch(toolSpec());
        const exec = async () => {
          const begin = performance.now();
          const { exitCode } = await workspace.exec({
            ...{ argv: [program], network: "none", maxOutputBytes: 1_000, timeoutMs: 60_000 },
          });
          if (exitCode !== 0) throw new Error(`A command by ${name} ended with ${exitCode}.`);
          return performance.now() - begin;
        };
        const seen = await interleave(quick ? 1 : 21, {
          ours: async () => ({ ms: await exec() }),
          plain: async () => ({ ms: await plain() }),
        });
        figures.push({ figure: `a command by ${name}`, unit: "ms", ours: seen.ours.ms!, limit: seen.plain.ms! });
        await driver.stop(workspace.id);
      }
      return figures;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
