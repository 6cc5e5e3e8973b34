import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** `npm test` itself, on planted projects: whatever goes wrong must show in the count and in the exit status. */
const root = join(import.meta.dirname, "..");
const place = mkdtempSync(join(tmpdir(), "x1-planted-"));
const imports = 'import { describe, expect, it } from "vitest";\n';
const good = `${imports}it("is fine", () => {});\n`;

beforeAll(() => {
  symlinkSync(join(root, "node_modules"), join(place, "node_modules"));
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** Runs the script on a project of these unit tests. */
function run(name: string, files: Record<string, string>, args: string[] = ["unit"], ci = false) {
  const dir = join(place, name);
  mkdirSync(dir);
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
  const project = (suite: string, include: string) => ({ test: { name: suite, include: [include] } });
  const projects = [project("unit", "*.test.js"), project("integration", "*.none.js"), project("e2e", "*.e2e.js")];
  writeFileSync(join(dir, "vitest.config.js"), `export default ${JSON.stringify({ test: { projects } })};`);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, file), text);
  const { CI: _ci, X1_FULL: _full, ...env } = process.env;
  const made = spawnSync(process.execPath, [join(root, "scripts/test.ts"), "--root", dir, ...args], {
    encoding: "utf8",
    timeout: 60_000,
    env: {
      ...Object.fromEntries(Object.entries(env).filter(([key]) => !key.startsWith("VITEST"))),
      ...(ci ? { CI: "true" } : {}),
    },
  });
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(made.stdout.trimEnd().split("\n").at(-1) ?? "") ?? [];
  return { status: made.status, passed: Number(passed), failed: Number(failed), out: made.stdout };
}

describe("npm test", () => {
  it("counts what passed, and names what was skipped with its reason", () => {
    const text = `${good}it("needs a tool", (ctx) => ctx.skip("no tool here"));`;
    const made = run("good", { "a.test.js": text });
    expect(made).toMatchObject({ status: 0, passed: 1, failed: 0 });
    expect(made.out).toMatch(/needs a tool: no tool here/);
    expect(made.out).toMatch(/unit +[\d.]+ s {2}1 passed, 0 failed, 1 skipped/);
    expect(made.out).toMatch(/Slowest files:\n +[\d.]+ s {2}a\.test\.js/);
  });

  it.each([
    ["a failing test", { "a.test.js": `${good}it("fails", () => expect(1).toBe(2));` }, 1],
    ["a worker that crashes", { "a.test.js": `${good}it("dies", () => process.kill(process.pid, "SIGKILL"));` }, 0],
    ["a file without tests", { "a.test.js": good, "b.test.js": "export {};" }, 1],
    ["a file that does not load", { "a.test.js": good, "b.test.js": 'throw new Error("early");' }, 1],
    [
      "an error after its test",
      {
        "a.test.js": `${imports}it("is late", () => { setTimeout(() => { throw new Error("late"); }, 1); return new Promise((r) => setTimeout(r, 50)); });`,
      },
      1,
    ],
    ["an empty suite", {}, 0],
  ])("fails for %s", (name, files, passed) => {
    const made = run(name.replaceAll(" ", "-"), files);
    expect(made, made.out).toMatchObject({ status: 1, passed });
    expect(made.failed, made.out).toBeGreaterThan(0);
  });

  it.each([[["unti"]], [["unit", "nowhere"]], [["a.test.js", "elsewhere"]]])("fails for the typo in %j", (args) => {
    const made = run(`typo-${args.join("-")}`, { "a.test.js": good }, args);
    expect(made.status).toBe(1);
    expect(made.failed, made.out).toBeGreaterThan(0);
    expect(made.out).toMatch(/is no suite/);
  });

  it("fails in CI for a test that lacks a tool, and for no size that was not asked for", () => {
    const lacking = `${good}describe.skipIf(true)("needs a tool", () => { it("works", () => {}); });`;
    expect(run("ci-lacks", { "a.test.js": lacking }, ["unit"], true)).toMatchObject({ status: 1, failed: 1 });
    const size = `${good}it.skipIf(true)("at full size (X1_FULL=1)", () => {});`;
    expect(run("ci-size", { "a.test.js": size }, ["unit"], true)).toMatchObject({ status: 0, failed: 0 });
  });

  /** Fails until it has been run `times` times. */
  const unsteady = (name: string, times: number) => `import { existsSync, writeFileSync } from "node:fs";
${imports}it("is unsteady", () => {
  for (let run = 1; run <= ${times}; run++) if (!existsSync("${name}" + run)) {
    writeFileSync("${name}" + run, "");
    throw new Error("not yet");
  }
});`;

  it("tells in CI what is unsteady from what is broken, and hides neither", () => {
    const once = run("unsteady", { "a.e2e.js": unsteady("a", 1), "b.e2e.js": good }, ["e2e"], true);
    expect(once, once.out).toMatchObject({ status: 0, passed: 2, failed: 0 });
    expect(once.out).toMatch(/Unsteady \(1\).*\n {2}- a\.e2e\.js > is unsteady: not yet\n/);
    const broken = run("broken", { "a.e2e.js": unsteady("a", 2), "b.e2e.js": good }, ["e2e"], true);
    expect(broken, broken.out).toMatchObject({ status: 1, passed: 1, failed: 1 });
    expect(broken.out).not.toMatch(/Unsteady/);
  });

  it("gives no second try to a unit test, outside of CI, or where more than two files fail", () => {
    const file = { "a.e2e.js": unsteady("a", 1) };
    expect(run("pure", { "a.test.js": unsteady("a", 1) }, ["unit"], true)).toMatchObject({ status: 1, failed: 1 });
    expect(run("at-home", file, ["e2e"])).toMatchObject({ status: 1, failed: 1 });
    const three = { ...file, "b.e2e.js": unsteady("b", 1), "c.e2e.js": unsteady("c", 1) };
    expect(run("three", three, ["e2e"], true)).toMatchObject({ status: 1, failed: 3 });
  });
});
