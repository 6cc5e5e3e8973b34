import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { createClient } from "@x1agent/client";
import { createLocalDriver } from "@x1agent/driver-local";
import { buildOverlay } from "@x1agent/overlay";
import { createRepository, startModelServer } from "@x1agent/testkit";
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
echo SCAN BEGINS; id; env
for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; tr '\\0' ' ' < $p/cmdline; cat $p/mountinfo; ls -l $p/fd; done
find / \\( -path /proc -o -path /sys -o -path /dev -o -path /usr -o -path /x1/runtime -o -path /workspace/.dump \\) -prune -o -type f -size -4096k -readable -print0 | xargs -0 -r cat
cat /etc/shadow /etc/gshadow; ls -la / /root /home /run /var /home/agent /x1 /x1/run /x1/sock; cat /root/.x1agent/* /var/lib/x1agent/*
git config --list --show-origin
for port in 3100 8788 9090 11432 3128 9091; do
  for path in / /health /state /events /git/origin/info/refs /anthropic/v1/messages; do
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
};
let root: string;
let service: Service;
let model: Awaited<ReturnType<typeof startModelServer>>;
let driver: WorkspaceDriver;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-canary-"));
  await chmod(root, 0o755);
  process.env.X1_CANARY = planted.environment;
  model = await startModelServer({ key: planted.provider });
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
      startLoop: startJobs,
    }),
  );
});
afterAll(async () => {
  delete process.env.X1_CANARY;
  await service?.close();
  await model?.close();
  await rm(root, { recursive: true, force: true });
});

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
  const { directory } = await createRepository(join(root, "repository"), {
    "scan.sh": scan,
    "leaked.txt": `${planted.leak}\n`,
  });
  const { id } = await client.createJob({
    body: { repository: directory, runtime: "mock", goal: "[[shell bash scan.sh]]\n[[sleep 60]]" },
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
  }))
    for (const form of bytes(value)) expect(dump.includes(form), `${name} is reachable from the workspace`).toBe(false);
  expect(/^root:[^:]*:\d{4,}:/m.test(dump), "a shadow file").toBe(false);
});
