import { execFile, spawn } from "node:child_process";
import { access, chmod, cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/**
 * What a newcomer types, as root and as an ordinary user: the whole way of a job with each runtime through the service,
 * the API and real isolation. The published commit is looked at with git, not believed from the output.
 */
const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const asRoot = process.getuid?.() === 0;
/** A uid without an account: the hardest ordinary user. */
const plainUid = 28_431;

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "x1-demo-"));
  await chmod(scratch, 0o755);
});
afterAll(() => rm(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

type Ended = { code: number | null; output: string };
function demo(
  checkout: string,
  data: string,
  runtime: string,
  options: { uid?: number; extra?: string[] } = {},
): Promise<Ended> {
  const node = join(checkout, "node_modules/node/bin/node");
  const argv = [
    join(checkout, "scripts/demo.ts"),
    "--yes",
    "--data",
    data,
    "--runtime",
    runtime,
    ...(options.extra ?? []),
  ];
  const home = join(data, "..");
  // A newcomer's environment is the machine's own, certificates and registries included, without what tests add to it.
  // Nor what npm tells its own scripts: another user cannot use root's cache.
  const machine = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|vitest|DATABASE_URL$|CI$|NODE_OPTIONS$|NODE_ENV$)/i.test(name),
  );
  const env = {
    ...Object.fromEntries(machine),
    HOME: options.uid === undefined ? process.env.HOME : home,
    NO_COLOR: "1",
  };
  const child =
    options.uid === undefined
      ? spawn(node, argv, { cwd: checkout, env })
      : spawn(
          "setpriv",
          ["--reuid", String(options.uid), "--regid", String(options.uid), "--clear-groups", node, ...argv],
          { cwd: checkout, env },
        );
  let output = "";
  const collect = (chunk: Buffer) => {
    output = (output + chunk).slice(-200_000);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output }));
  });
}

/** The published branch holds one commit on the base whose tests pass, and the demo said exactly that commit. */
async function expectPublished({ code, output }: Ended, data: string): Promise<void> {
  expect(output).toMatch(/^state +succeeded/m);
  expect(code, output).toBe(0);
  // The platform's own runs: with a node that does not know the sample's language, no test would have run and nothing failed.
  expect(output).toMatch(/^tests before +failed \(exit 1\), \d+ pass [1-9]\d* fail$/m);
  expect(output).toMatch(/^tests after +passed, [1-9]\d* pass 0 fail$/m);
  const published = /^published +(x1\/\S+) at ([0-9a-f]{40})$/m.exec(output);
  expect(published, output).not.toBeNull();
  const [, branch = "", commit = ""] = published ?? [];
  const repository = join(data, "sample");
  const git = async (...args: string[]) =>
    (await run("git", ["-c", "safe.directory=*", "-C", repository, ...args])).stdout.trim();
  expect(await git("rev-parse", branch)).toBe(commit);
  expect(await git("rev-list", "--count", `main..${branch}`)).toBe("1");
  const checkout = join(scratch, `look-${commit}`);
  await rm(checkout, { recursive: true, force: true });
  await mkdir(checkout, { recursive: true });
  await git("archive", "--format=tar", "-o", `${checkout}.tar`, commit);
  await run("tar", ["-x", "-f", `${checkout}.tar`, "-C", checkout]);
  const tests = await run(process.execPath, ["--test"], { cwd: checkout, env: { PATH: process.env.PATH } }).catch(
    (error: { stdout: string }) => error,
  );
  // Issue 1 mends one of the sample's failing tests: the whole suite passes or what fails is not that one.
  expect(tests.stdout).toMatch(/pass [1-9]/);
}

describe.runIf(asRoot)("npm run demo, as root", () => {
  it.each(["mock", "pi", "claude-code"])("takes issue 1 the whole way with %s", async (runtime) => {
    const data = join(scratch, "root", "demo");
    await mkdir(join(scratch, "root"), { recursive: true });
    await expectPublished(await demo(root, data, runtime), data);
  });
});

describe("npm run demo, as an ordinary user", () => {
  it.each(["mock", "pi", "claude-code"])("takes issue 1 the whole way with %s", async (runtime) => {
    const home = join(scratch, "user");
    await mkdir(home, { recursive: true });
    let checkout = root;
    if (asRoot) {
      await run("chown", ["-R", String(plainUid), home]);
      checkout = join(scratch, "checkout");
      // The user may not be able to read root's checkout: give it one of its own, hard-linked where possible.
      await run("cp", ["-a", "--link", root, checkout]).catch(() => cp(root, checkout, { recursive: true }));
      await rm(join(checkout, ".demo"), { recursive: true, force: true });
      await chmod(checkout, 0o755);
    }
    const data = join(home, "demo");
    await expectPublished(await demo(checkout, data, runtime, asRoot ? { uid: plainUid } : {}), data);
  });
});

describe("npm run demo, where things are missing", () => {
  it.each([
    ["nonesuch", [], 'No runtime "nonesuch". There are: claude-code, mock, pi.'],
    ["mock", ["--issue", "4"], "--issue takes 1, 2 or 3."],
    ["mock", ["--budget", "a lot"], "--budget takes an amount in dollars"],
    ["mock", ["--level", "none"], "--level takes namespaces or process."],
    ["mock", ["--help"], "The demo takes: --runtime <name>"],
  ])("starts nothing for --runtime %s %j, and says what there is", async (runtime, extra, sentence) => {
    const data = join(scratch, "unknown");
    const ended = await demo(root, data, runtime, { extra });
    expect(ended.code).toBe(1);
    expect(ended.output).toContain(sentence);
    await expect(access(data)).rejects.toThrow("ENOENT");
  });

  it("stops at once where namespaces are impossible, with the one command to run", async () => {
    // A user namespace in which no other can be made; --keep-caps gives the right to say so, and to nothing else.
    const none =
      'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@" --yes --data /nonexistent/demo --runtime mock';
    const argv = ["-U", "--map-current-user", "--keep-caps", "/bin/sh", "-c", none, "x1-none"];
    const ended = await run("unshare", [...argv, process.execPath, join(root, "scripts/demo.ts")]).then(
      () => ({ code: 0, stderr: "", stdout: "" }),
      (error: { code: number; stderr: string; stdout: string }) => error,
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(
      /^Namespaces are not possible here: .*\nRun: \S.*\nWithout isolation, on the sample only: /m,
    );
    expect(ended.stderr).not.toContain("x1 runtimes");
    // Nothing was started for it: the words above and the sentence are all that it says.
    expect(ended.stdout).not.toMatch(/ready|\ds {2}/);
  });

  it("marks every line when nothing is isolated", async () => {
    const data = join(scratch, "process", "demo");
    await mkdir(join(scratch, "process"), { recursive: true });
    const ended = await demo(root, data, "mock", { extra: ["--level", "process"] });
    await expectPublished({ ...ended, output: ended.output.replaceAll("[not isolated] ", "") }, data);
    const lines = ended.output.split("\n").filter((line) => /^ *\d+\.\ds /.test(line));
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.filter((line) => !line.includes("[not isolated]"))).toEqual([]);
  });
});

it("keeps the demo's own words in the README", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  expect(readme).toContain("npm ci && npm run demo");
  expect(readme).toContain("npm ci && npm test");
});
