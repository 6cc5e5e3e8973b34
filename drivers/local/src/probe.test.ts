import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findTools, tryAgain, usrEntries } from "./machine.ts";
import { namespacesArgv } from "./probe.ts";

describe("what is tried to learn whether namespaces work", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "x1-probe-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it("binds what belongs to /usr and no more: whatever else is mounted may go away in the middle", async () => {
    const tools = { ...(await findTools()), bwrap: "/usr/bin/bwrap" };
    const argv = (await namespacesArgv(tools, "bwrap")) ?? [];
    const bound = argv.flatMap((word, at) => (word.endsWith("bind") ? [argv[at + 1]] : []));
    expect(bound).toContain("/usr");
    const own = (await usrEntries()).map(({ path }) => path);
    expect(bound.filter((path) => path !== "/usr" && !own.includes(path ?? ""))).toEqual([]);
  });

  it("takes one failure for a moment of the machine, and three for its setting", async () => {
    const counter = join(dir, "tries");
    const failing = (times: number) =>
      `echo >> ${counter}; [ $(wc -l < ${counter}) -gt ${times} ] || { echo no >&2; exit 1; }`;
    expect(await tryAgain(["/bin/sh", "-c", failing(2)])).toMatchObject({ ok: true });
    await rm(counter);
    expect(await tryAgain(["/bin/sh", "-c", failing(3)])).toEqual({ ok: false, detail: "no", output: "" });
  });
});
