import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRepository, createSampleRepository } from "@x1agent/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { isSample, sampleCommits } from "./sample.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-sample-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

it("knows the sample by its commit: a changed sample must be added to the list", async () => {
  const { commit } = await createSampleRepository(join(root, "sample"));
  expect([...sampleCommits]).toContain(commit);
  expect(await isSample(join(root, "sample"))).toBe(true);
});

it("takes nothing else for it, whatever it is called", async () => {
  await createRepository(join(root, "other"), { "README.md": "# x1agent sample\n" });
  expect(await isSample(join(root, "other"))).toBe(false);
  expect(await isSample(join(root, "nowhere"))).toBe(false);
  expect(await isSample("--upload-pack=x")).toBe(false);
  await writeFile(join(root, "file"), "");
  expect(await isSample(join(root, "file"))).toBe(false);
});
