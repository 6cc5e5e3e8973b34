import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Octokit, App as OctokitApp } from "octokit";
import { afterEach } from "vitest";
import { type App, GithubStandIn, type Installation } from "../index.ts";

const run = promisify(execFile);
/** What a test leaves to be ended, last first. */
export const ended: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

/** An organization with a repository, an App installed on it, people inside and outside. */
export async function scene(options: { webhook?: { url: string; secret: string }; private?: boolean } = {}) {
  const github = await GithubStandIn.start();
  ended.push(() => github.close());
  github.user("alice");
  github.user("bob");
  github.user("mallory");
  github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
  await github.repository("acme/tool", {
    private: options.private ?? false,
    files: { "README.md": "# tool\n", "src/add.js": "export const add = (a, b) => a - b;\n", CODEOWNERS: "* @bob\n" },
  });
  const app = github.app({
    name: "x1 test",
    owner: "acme",
    ...(options.webhook ? { webhook: options.webhook } : {}),
  });
  const installation = await github.install(app, "acme", ["acme/tool"]);
  return { github, app, installation };
}

export function octokitApp(github: GithubStandIn, app: App) {
  return new OctokitApp({
    appId: app.id,
    privateKey: app.privateKey,
    Octokit: Octokit.defaults({ baseUrl: github.apiUrl, throttle: { enabled: false }, retry: { enabled: false } }),
    ...(app.webhook.secret ? { webhooks: { secret: app.webhook.secret } } : {}),
  });
}
export const client = (github: GithubStandIn, token: string, baseUrl = github.apiUrl) =>
  new Octokit({ auth: token, baseUrl, throttle: { enabled: false }, retry: { enabled: false } });
export const installed = (github: GithubStandIn, app: App, installation: Installation) =>
  octokitApp(github, app).getInstallationOctokit(installation.id);

export async function folder() {
  const directory = await mkdtemp(join(tmpdir(), "x1-standin-test-"));
  ended.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
/** Real git with nothing of the machine's configuration; a failure gives its output. */
export async function git(directory: string, ...args: string[]): Promise<{ code: number; out: string }> {
  const env = {
    PATH: process.env.PATH,
    HOME: "/nonexistent",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: "T",
    GIT_AUTHOR_EMAIL: "t@example.invalid",
    GIT_COMMITTER_NAME: "T",
    GIT_COMMITTER_EMAIL: "t@example.invalid",
  };
  return run("git", ["-C", directory, ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      out: error.stdout + error.stderr,
    }),
  );
}

export const where = { owner: "acme", repo: "tool" };
