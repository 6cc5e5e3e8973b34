import { defaultLimits, JobCreate, RuntimeManifest } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { DEFAULT_BUDGET_MICROS, type JobFacts, settleJob, titleOf } from "./job-settings.ts";

const manifest = (name: string, rank: number, processLevel = false) =>
  RuntimeManifest.parse({
    name,
    title: name,
    version: "1",
    contract: "1.0",
    license: "MIT",
    redistributable: true,
    capabilities: [],
    api: "anthropic-messages",
    provider: "anthropic",
    defaultModel: `${name}-model`,
    install: null,
    sessionFiles: [],
    rank,
    processLevel,
  });
const facts = (change: Partial<JobFacts> = {}): JobFacts => ({
  project: {
    setup: "npm ci",
    verify: "npm test",
    verifyNetwork: false,
    runtime: null,
    model: null,
    defaultBranch: "main",
    minIsolation: "namespaces",
    maxRounds: 2,
    limits: defaultLimits,
  },
  runtimes: [
    { manifest: manifest("second", 20), installed: true },
    { manifest: manifest("first", 10), installed: true },
    { manifest: manifest("absent", 5), installed: false },
    { manifest: manifest("script", 1, true), installed: true },
  ],
  offered: "namespaces",
  sample: false,
  ...change,
});
const ask = (change: object = {}) => JobCreate.parse({ goal: "# Fix it\n\nplease", repository: "/r", ...change });
const settled = (change: object = {}, known = facts()) => settleJob(ask(change), known);

describe("a job's settings", () => {
  it("are the project's and the defaults where nothing is asked", () => {
    expect(settled()).toEqual({
      ok: true,
      value: {
        title: "Fix it",
        goal: "# Fix it\n\nplease",
        runtime: "first",
        model: "first-model",
        base: "main",
        setup: "npm ci",
        verify: "npm test",
        verifyNetwork: false,
        ask: false,
        isolation: "namespaces",
        maxRounds: 2,
        budgetMicros: DEFAULT_BUDGET_MICROS,
        limits: defaultLimits,
      },
    });
  });

  it("are what is asked before anything else", () => {
    expect(
      settled({
        runtime: "second",
        model: "m",
        base: "dev",
        setup: "s",
        verify: "v",
        budgetMicros: 0,
        maxRounds: 0,
        limits: { setupMs: 5_000 },
      }),
    ).toMatchObject({
      value: {
        runtime: "second",
        model: "m",
        base: "dev",
        setup: "s",
        verify: "v",
        budgetMicros: 0,
        maxRounds: 0,
        limits: { setupMs: 5_000, jobMs: defaultLimits.jobMs },
      },
    });
  });

  it.each([
    ["an unknown runtime", { runtime: "nope" }, facts(), "runtime_unknown"],
    ["one that is not installed", { runtime: "absent" }, facts(), "runtime_not_installed"],
    [
      "a scripted engine as the default",
      {},
      facts({ runtimes: [{ manifest: manifest("script", 1, true), installed: true }] }),
      "runtime_not_installed",
    ],
    ["more isolation than there is", { isolation: "vm" }, facts(), "isolation_unavailable"],
    ["a place without namespaces", {}, facts({ offered: null }), "isolation_unavailable"],
    [
      "no isolation with a real engine",
      { isolation: "process", runtime: "first" },
      facts({ sample: true }),
      "isolation_unavailable",
    ],
    [
      "no isolation on somebody's repository",
      { isolation: "process", runtime: "script" },
      facts(),
      "isolation_unavailable",
    ],
  ])("refuse %s", (_, change, known, code) => {
    expect(settled(change, known)).toMatchObject({ ok: false, code });
  });

  it("allow no isolation for the sample with the scripted engine only, also where nothing else runs", () => {
    expect(settled({ isolation: "process", runtime: "script" }, facts({ sample: true, offered: null }))).toMatchObject({
      value: { isolation: "process" },
    });
  });

  it("never fall below the project's least isolation, nor below namespaces by default", () => {
    const project = { ...facts().project, minIsolation: "vm" as const };
    expect(settled({ isolation: "namespaces" }, facts({ project, offered: "vm" }))).toMatchObject({
      value: { isolation: "vm" },
    });
    expect(settled({}, facts({ project: { ...project, minIsolation: "process" } }))).toMatchObject({
      value: { isolation: "namespaces" },
    });
  });

  it("have a title from the goal's first line", () => {
    expect(titleOf("\n\n  ## A  title \nx")).toBe("A title");
    expect(titleOf("x".repeat(1_000))).toHaveLength(120);
    expect(titleOf("\n \n")).toBe("Untitled");
  });
});
