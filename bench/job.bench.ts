import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RuntimeAdapter } from "@x1agent/agent/adapter";
import type { RuntimeManifest } from "@x1agent/contract";
import { adapterHarness, agentFolders, installedCli, sampleIssue, sampleVerify } from "@x1agent/testkit";
import { type Bench, type Figure, interleave, privateBytes, root } from "./lib.ts";
import { install, openStage, reach, type Stage } from "./service.ts";

const run = promisify(execFile);

/** A job from its creation until a person may decide, set-up of the workspace, baseline and verification included. */
async function throughTheProduct({ client, model, repository }: Stage, runtime: string, goal: string) {
  const numbered = () => model.requests.filter(({ number }) => number > 0).at(-1)?.number ?? 0;
  const before = numbered();
  const begin = performance.now();
  const first = model.waitForRequests(before + 1, 60_000).then(() => performance.now() - begin);
  const { id } = await client.createJob({ body: { repository, runtime, goal, verify: sampleVerify } });
  await reach(client, id, "awaiting_approval");
  const whole = performance.now() - begin;
  await client.cancelJob({ params: { jobId: id } });
  await reach(client, id, "cancelled");
  return { first: await first, whole };
}

/**
 * The same by hand: clone, start the CLI with the same arguments straight at the model, let it work, run the tests. The
 * adapter only types for us: there is no host, no workspace and no sidecar.
 */
async function byHand({ model, repository }: Stage, manifest: RuntimeManifest, appDir: string, goal: string) {
  const runtimeDir = join(root, "runtimes", manifest.name);
  const { default: adapter } = (await import(join(runtimeDir, "adapter.ts"))) as { default: RuntimeAdapter };
  const folders = await agentFolders();
  try {
    const before = model.requests.filter(({ number }) => number > 0).at(-1)?.number ?? 0;
    const begin = performance.now();
    await run("git", ["clone", "-q", "--no-hardlinks", repository, folders.cwd]);
    await folders.own();
    const harness = adapterHarness({ runtimeDir, appDir, ...folders, inferenceUrl: model.url, jobToken: model.key });
    const first = model.waitForRequests(before + 1, 60_000).then(() => performance.now() - begin);
    const session = await adapter.start(harness.context);
    await session.prompt({ id: "1", content: goal });
    await harness.turn(1, 60_000);
    const memory = privateBytes(harness.processes.map(({ pid }) => pid));
    await session.close();
    await run("bash", ["-c", sampleVerify], { cwd: folders.cwd });
    return { first: await first, whole: performance.now() - begin, memory };
  } finally {
    await folders.remove();
  }
}

export const bench: Bench = {
  about:
    "one goal of the sample, answered at once by the scripted model. limit: the same CLI by hand: clone, the CLI with the same arguments, the tests once; no isolation, no baseline, no evidence.",
  async run({ quick, note }) {
    const stage = await openStage(quick ? "fresh" : "kept");
    try {
      const figures: Figure[] = [];
      const goal = await sampleIssue(1);
      const { items } = await stage.client.listRuntimes();
      for (const { manifest } of items.filter((item) => !quick || item.manifest.install === null)) {
        const refused = await install(stage.client, manifest);
        if (refused) {
          note(`${manifest.name} is left out: ${refused}`);
          continue;
        }
        const { name } = manifest;
        // A copy that an ordinary user may read; the service's own lies in its closed data directory.
        const appDir = await installedCli(join(root, "runtimes", name));
        if (appDir === null) throw new Error(`${name} could not be installed for the run by hand.`);
        const seen = await interleave(quick ? 1 : 3, {
          ours: () => throughTheProduct(stage, name, goal),
          hand: () => byHand(stage, manifest, appDir, goal),
        });
        figures.push(
          {
            figure: `${name}: start to first model request`,
            unit: "ms",
            ours: seen.ours.first!,
            limit: seen.hand.first!,
          },
          { figure: `${name}: whole job`, unit: "ms", ours: seen.ours.whole!, limit: seen.hand.whole! },
        );
      }
      return figures;
    } finally {
      await stage.close();
    }
  },
};
