import { execFile } from "node:child_process";
import { lookup } from "node:dns/promises";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, it } from "vitest";
import { fix, TestService } from "./test/service.ts";

const run = promisify(execFile);
const manifest = JSON.stringify({ name: "sample", version: "1.0.0", dependencies: { "is-number": "7.0.0" } });
/** Debian's own, since nothing of a person's home is seen in a workspace. */
const python = "/usr/bin/python3";

/** The registry that npm is configured with here and a lock file from it, or what is lacking. */
async function npmRegistry(): Promise<{ url: string; lock: string } | { lacks: string }> {
  const folder = await mkdtemp(join(tmpdir(), "x1-lock-"));
  try {
    const { stdout } = await run("npm", ["config", "get", "registry"], { cwd: folder });
    await writeFile(join(folder, "package.json"), manifest);
    const options = ["--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...options], { cwd: folder, timeout: 60_000 });
    return { url: stdout.trim(), lock: await readFile(join(folder, "package-lock.json"), "utf8") };
  } catch (error) {
    return { lacks: (error as { code?: unknown }).code === "ENOENT" ? "npm" : "a package registry that answers npm" };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The index that pip is configured with here and the hosts it fetches from, or what is lacking. */
async function pipIndex(): Promise<{ url: string; hosts: string[] } | { lacks: string }> {
  const folder = await mkdtemp(join(tmpdir(), "x1-pip-"));
  try {
    const { stdout } = await run(python, [
      "-c",
      "import json; from pip._internal.models.index import PyPI; print(json.dumps([PyPI.simple_url, PyPI.file_storage_domain]))",
    ]);
    const [simple, files] = JSON.parse(stdout) as [string, string];
    const set = await run(python, ["-m", "pip", "config", "get", "global.index-url"]).catch(() => null);
    const url = set?.stdout.trim() || simple;
    const options = ["--no-deps", "--only-binary", ":all:", "-q", "-d", folder, "--index-url", url];
    await run(python, ["-m", "pip", "download", ...options, "six==1.16.0"], { timeout: 60_000 });
    return { url, hosts: url === simple ? [new URL(url).hostname, files] : [new URL(url).hostname] };
  } catch (error) {
    const absent = /ENOENT|No module named/.test(String(error));
    return { lacks: absent ? `pip of ${python}` : "a package index that answers pip" };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const [npm, pip] = await Promise.all([npmRegistry(), pipIndex()]);
let x1: TestService;
beforeAll(async () => {
  x1 = await TestService.open();
});
afterAll(() => x1?.close());

/** What `x1 egress allow <host> --address <cidr>` sends: on a machine of its own, a registry may be at a private address. */
async function allow(host: string): Promise<void> {
  const { organizationId } = await x1.client.me();
  const { address, family } = await lookup(host);
  await x1.client.createGrant({
    body: {
      subject: { kind: "organization", id: organizationId },
      type: "egress",
      details: { pattern: host, phases: ["setup"], address: `${address}/${family === 4 ? 32 : 128}` },
    },
  });
}

/** Runs a job with this set-up to its approval; a refused host is part of the error. */
async function setUp(repository: string, setup: string): Promise<void> {
  const { id } = await x1.create({ goal: fix, repository, setup, verify: "grep -q 'a + b' add.mjs" });
  try {
    await x1.reach(id, "awaiting_approval");
  } catch (cause) {
    const refused = (await x1.events(id, "egress.blocked")).map(({ payload }) => payload);
    throw new Error(`${cause instanceof Error ? cause.message : ""} ${JSON.stringify(refused)}`, { cause });
  }
}
const skipped = (what: object) => ("lacks" in what ? ` [skipped: needs ${(what as { lacks: string }).lacks}]` : "");
const sample = { "add.mjs": "export const add = (a, b) => a - b;\n" };

describe("a set-up fetches packages through the egress proxy", () => {
  it.skipIf("lacks" in npm)(`with npm ci${skipped(npm)}`, async () => {
    if ("lacks" in npm) return;
    const files = {
      ...sample,
      "package.json": manifest,
      "package-lock.json": npm.lock,
      ".gitignore": "node_modules\n",
    };
    const repository = await x1.createRepository("npm", files);
    await allow(new URL(npm.url).hostname);
    await setUp(repository, `npm ci --registry=${npm.url} && node -e 'process.exit(require("is-number")(1) ? 0 : 1)'`);
  });

  it.skipIf("lacks" in pip)(`with pip install${skipped(pip)}`, async () => {
    if ("lacks" in pip) return;
    const repository = await x1.createRepository("pip", { ...sample, ".gitignore": "packages\n" });
    for (const host of pip.hosts) await allow(host);
    await setUp(
      repository,
      `${python} -m pip install --index-url ${pip.url} --target packages six==1.16.0 && PYTHONPATH=packages ${python} -c 'import six'`,
    );
  });
});
