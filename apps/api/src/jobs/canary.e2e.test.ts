import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { createClient } from "@x1agent/client";
import { appSecretNames, saveApp, saveConnection, saveRepository } from "@x1agent/domain-forges";
import { listOrganizations } from "@x1agent/domain-identity";
import { createGrant } from "@x1agent/domain-permissions";
import { setSecret } from "@x1agent/domain-secrets";
import { createLocalDriver } from "@x1agent/driver-local";
import { buildOverlay } from "@x1agent/overlay";
import { startModelServer } from "@x1agent/testkit";
import { GithubStandIn } from "@x1agent/testkit/github";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAssembly } from "../assemble.ts";
import { type Service, startService } from "../service.ts";
import { parseStartOptions } from "../start/options.ts";
import { startJobs } from "./index.ts";

/**
 * Planted secrets are searched for from where the agent's own commands run. The script takes everything that it can read
 * there (environments, memory, files, git's configuration, what every port answers) into one file, and the test looks
 * into that file from outside, so that the search itself never holds what it looks for.
 */
const scan = `
exec > /workspace/.dump 2>&1
echo FORGE BEGINS
git fetch --quiet origin main; git push origin HEAD:refs/heads/x1/canary; git push origin HEAD:refs/heads/x1/job-of-others; git ls-remote origin; gh auth status; gh repo view; gh auth token
gh api repos/{owner}/{repo}; gh api repos/{owner}/{repo}/contents/leaked.txt; curl -sv -H "x-x1-token: $X1_JOB_TOKEN" 127.0.0.1:9090/github
GIT_TRACE_CURL=1 GIT_TRACE=1 git ls-remote origin; printf 'protocol=https\\nhost=127.0.0.1\\n\\n' | git credential fill; cat .git/config
echo SCAN BEGINS; id; env
for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; tr '\\0' ' ' < $p/cmdline; cat $p/mountinfo; ls -l $p/fd; done
find / \\( -path /proc -o -path /sys -o -path /dev -o -path /usr -o -path /x1/runtime -o -path /workspace/.dump \\) -prune -o -type f -size -4096k -readable -print0 | xargs -0 -r cat
cat /etc/shadow /etc/gshadow; ls -la / /root /home /run /var /home/agent /x1 /x1/run /x1/sock; cat /root/.x1agent/* /var/lib/x1agent/*
git config --list --show-origin
for port in 3100 8788 9090 11432 3128 9091; do
  for path in / /health /state /events /git/origin/info/refs /github /github/repos/acme/app /anthropic/v1/messages; do
    timeout 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && printf 'GET $path HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nAuthorization: Bearer %s\\r\\nConnection: close\\r\\n\\r\\n' \\"$X1_JOB_TOKEN\\" >&3 && head -c 65536 <&3"
  done
done
find / -path /proc -prune -o -type s -print; grep @ /proc/net/unix
for s in /x1/sock/*.sock /run/*.sock /tmp/*.sock /var/run/*.sock; do
  for path in / /health /state; do
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => $ARGV[0], Timeout => 2) or exit; alarm 2; print $s "GET $ARGV[1] HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n"; print while <$s>' $s $path
  done
done
for p in /proc/[0-9]*; do
  while read -r range mode rest; do
    case $mode in rw*) ;; *) continue ;; esac
    from=$((16#\${range%-*})); to=$((16#\${range#*-})); [ $((to - from)) -gt 67108864 ] && continue
    dd if=$p/mem bs=4096 skip=$((from / 4096)) count=$(((to - from) / 4096)) status=none
  done < $p/maps
done
find / \\( -path /proc -o -path /usr \\) -prune -o -name 'core*' -type f -print | xargs -r cat
echo SCAN ENDS
`;

const secret = (name: string) => `canary-${name}-${randomBytes(12).toString("hex")}`;
const planted = {
  provider: secret("provider"),
  git: secret("git"),
  environment: secret("environment"),
  data: secret("data"),
  leak: secret("leak"),
  appKey: "",
};
let root: string;
let service: Service;
let model: Awaited<ReturnType<typeof startModelServer>>;
let driver: WorkspaceDriver;
let github: GithubStandIn;
let foundation: Parameters<typeof startJobs>[0];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-canary-"));
  await chmod(root, 0o755);
  process.env.X1_CANARY = planted.environment;
  model = await startModelServer({ key: planted.provider });
  github = await GithubStandIn.start();
  service = await startService(
    parseStartOptions(["--data", join(root, "data"), "--master-key", join(root, "key"), "--port", "0"], {}),
    createAssembly({
      async createDriver({ options }) {
        const overlay = await buildOverlay({
          outDir: join(options.dataDir, "overlay"),
          root: join(import.meta.dirname, "../../../.."),
        });
        driver = createLocalDriver({ runDir: join(options.dataDir, "run"), overlayDir: overlay.dir });
        return driver;
      },
      startLoop(deps) {
        foundation = deps;
        return startJobs(deps);
      },
    }),
  );
});
afterAll(async () => {
  delete process.env.X1_CANARY;
  await service?.close();
  await model?.close();
  await github?.close();
  await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

/** A private repository that is reached by an app's short-lived tokens. Returns its address. */
async function connectForge(files: Record<string, string>): Promise<string> {
  github.user("alice");
  github.organization("acme", { owners: ["alice"] });
  const { id } = await github.repository("acme/app", { private: true, files });
  const permissions = { contents: "write", issues: "write", pull_requests: "write", checks: "write" } as const;
  const app = github.app({ name: "canary", owner: "acme", permissions });
  const installation = await github.install(app, "acme", ["acme/app"]);
  const { db, masterKey } = foundation;
  const [organizationId = ""] = await db.system(listOrganizations);
  const createdBy = { kind: "user", id: "u" } as const;
  await db.tenant(organizationId, async (tx) => {
    const shared = { forge: "github", baseUrl: github.url, createdBy };
    const made = await saveApp(tx, organizationId, {
      ...{ ...shared, id: "app_canary", externalId: String(app.id), slug: app.slug, name: app.name },
      webUrl: github.url,
    });
    await setSecret(tx, masterKey, { organizationId, projectId: null }, appSecretNames(made.id).key, app.privateKey);
    const connection = await saveConnection(tx, organizationId, {
      ...{ ...shared, kind: "app", appId: made.id, installation: String(installation.id), account: "acme" },
      ...{ actsAs: "canary[bot]", permissions, missing: [] },
    });
    await saveRepository(tx, organizationId, {
      ...{ connectionId: connection.id, externalId: String(id), fullName: "acme/app", defaultBranch: "main" },
      ...{ cloneUrl: github.cloneUrl("acme/app"), webUrl: github.url, facts: {} },
    });
    for (const [type, pattern] of [
      ["repo.push", "x1/*"],
      ["forge", "*"],
    ] as const)
      await createGrant(tx, organizationId, {
        subject: { kind: "organization", id: organizationId },
        ...{ type, details: { pattern }, scope: "persistent", reason: "", grantedBy: createdBy },
      });
  });
  planted.appKey = app.privateKey.split("\n")[1] ?? "";
  return github.cloneUrl("acme/app");
}

it("finds no planted secret from where the agent's commands run, but for the one that was leaked on purpose", async () => {
  const token = (await readFile(service.tokenFile, "utf8")).trim();
  const masterKey = (await readFile(join(root, "key"), "utf8")).trim();
  const client = createClient({ baseUrl: service.url, token });
  await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
  await client.setSecret({ params: { name: "anthropic" }, body: { value: planted.provider } });
  await client.setSecret({ params: { name: "git:example.org" }, body: { value: planted.git } });
  for await (const _ of client.lines("installRuntime", { params: { name: "mock" } }));
  // Readable to everyone who gets as far as the folder.
  for (const place of ["data/planted", "data/run/planted", "beside-the-data"])
    await writeFile(join(root, place), planted.data, { mode: 0o644 });
  const repository = await connectForge({ "scan.sh": scan, "leaked.txt": `${planted.leak}\n` });
  const { id } = await client.createJob({
    body: { repository, runtime: "mock", goal: "[[shell bash scan.sh]]\n[[sleep 60]]" },
  });

  const workspace = await expect
    .poll(async () => (await driver.list()).find((info) => info.jobId === id && info.purpose === "agent")?.id ?? null, {
      timeout: 30_000,
    })
    .not.toBeNull()
    .then(async () =>
      driver.get((await driver.list()).find((info) => info.jobId === id && info.purpose === "agent")?.id ?? ""),
    );
  if (!workspace) throw new Error("The agent's workspace is gone.");
  let dump = "";
  for (let tries = 0; tries < 120 && !dump.includes("SCAN ENDS"); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const sink = new PassThrough();
    const chunks: Buffer[] = [];
    sink.on("data", (chunk: Buffer) => chunks.push(chunk));
    await workspace.exec({
      argv: ["/bin/cat", "/workspace/.dump"],
      network: "none",
      stdout: sink,
      maxOutputBytes: 1024 ** 3,
      timeoutMs: 60_000,
    });
    dump = Buffer.concat(chunks).toString("latin1");
  }
  await client.cancelJob({ params: { jobId: id } });
  // Never the dump itself in an assertion: its failure would print megabytes.
  expect(dump.includes("SCAN ENDS")).toBe(true);
  // The search works: it meets what lies in the work tree, the environment, and the memory of the agent's own processes.
  expect(dump.includes(planted.leak), "the leak that was planted").toBe(true);
  expect(dump.includes("HOME=/home/agent")).toBe(true);
  expect(dump.length).toBeGreaterThan(500_000);
  // The sidecar held tokens of the forge meanwhile: with one the agent pushed, with one it read.
  const minted = [...github.world.tokens.values()].filter(({ kind }) => kind === "installation");
  expect(await github.head("acme/app", "x1/canary")).toMatch(/^[0-9a-f]{40}$/);
  await expect(github.head("acme/app", "x1/job-of-others")).rejects.toThrow(/no branch/);
  expect(dump.includes("name:\tacme/app\n"), "gh repo view").toBe(true);
  expect(new Set(minted.map(({ permissions }) => (permissions === "all" ? "all" : permissions.contents)))).toEqual(
    new Set(["read", "write"]),
  );
  const bytes = (text: string) => [
    text,
    Buffer.from(text).toString("base64").replace(/=+$/, ""),
    text.slice(8),
    text.split("").reverse().join(""),
  ];
  for (const [name, value] of Object.entries({
    provider: planted.provider,
    git: planted.git,
    environment: planted.environment,
    data: planted.data,
    masterKey,
    token,
    appKey: planted.appKey,
    ...Object.fromEntries(minted.map(({ value }, index) => [`forge token ${index}`, value])),
    ...Object.fromEntries(
      minted.map(({ value }, index) => [
        `forge header ${index}`,
        Buffer.from(`x-access-token:${value}`).toString("base64"),
      ]),
    ),
  }))
    for (const form of bytes(value)) expect(dump.includes(form), `${name} is reachable from the workspace`).toBe(false);
  expect(/^root:[^:]*:\d{4,}:/m.test(dump), "a shadow file").toBe(false);
});
