import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { type ContentPolicy, defaultContent } from "@x1agent/contract";
import { afterEach, describe, expect, it } from "vitest";
import { isAllowed, submoduleRemote } from "./content.ts";
import {
  type Base,
  checkout,
  collectChange,
  createPlatformGit,
  lfsChanged,
  lfsUploaded,
  newPointer,
  parseRemote,
  type Remote,
  runVerification,
} from "./index.ts";
import { parsePointer, transferProblem, uploadLfs } from "./lfs.ts";
import { createGitRunner } from "./run.ts";
import { git, makeRepository, ok, plainWorkspace, scratch, write } from "./test/plain-workspace.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});
const commitAll = (dir: string, message = "more") => {
  git(dir, "add", "-A");
  git(dir, "commit", "-q", "-m", message);
  return git(dir, "rev-parse", "HEAD");
};

/** A job on a folder's repository, up to its filled workspace. */
async function job(origin: string, policy: Partial<ContentPolicy>, change: (base: Base) => Base = (base) => base) {
  const root = scratch(cleanups);
  const platform = createPlatformGit({ dataDir: join(root, "data") });
  const at = { organizationId: "o1", repository: origin, trust: "member" };
  const resolved = ok(await platform.resolveBase({ ...at, base: null, partial: policy.partial === "always" }));
  const jobRepository = await platform.jobRepository("j1", resolved);
  const base = await platform.prepareContent({
    ...{ organizationId: "o1", trust: "member", base: change(resolved), jobRepository },
    policy: { ...defaultContent, ...policy },
    credential: { authorization: "Basic c2VjcmV0" },
    credentialFor: async () => ({ ok: true, value: null }),
    fetch: { own: fetch, public: () => Promise.reject(new Error("not in this test")) },
  });
  const ws = plainWorkspace(jobRepository, join(root, "ws"));
  await checkout(ws, { commit: base.commit, branch: "main" });
  const collect = async (upload = true) => {
    const file = join(root, "change.bundle");
    const collected = ok(await collectChange(ws, { base: base.commit, file }));
    if (!collected.file) return { named: collected.named, files: [] as string[], commit: null, lfs: [] };
    const change = ok(
      await platform.importChange({
        ...{
          tool: plainWorkspace(jobRepository, join(root, `tool-${Math.random()}`)),
          jobRepository,
          base: base.commit,
        },
        collected: { file, named: collected.named },
        lfs: { upload, known: [] },
        text: { title: "t", body: "", jobId: "j1", at: new Date(0) },
      }),
    );
    const { named, commit, lfs = [] } = change;
    return { named, files: change.files.map(({ path }) => path), commit, lfs };
  };
  return { root, platform, base, jobRepository, ws, collect, at };
}

describe("a partial clone", () => {
  it("fetches a fraction of a repository of many versions, and a change, a merge and a push go on from it", async () => {
    const root = scratch(cleanups);
    const origin = join(root, "origin");
    makeRepository(origin, { "a.txt": "a\n", "dir/b.txt": "b\n" });
    for (let version = 0; version < 20; version += 1) {
      write(origin, { "large.bin": randomBytes(100_000) });
      commitAll(origin, `version ${version}`);
    }
    const fetched = (made: Awaited<ReturnType<typeof job>>) => {
      const packs = join(made.base.mirror, "objects/pack");
      return readdirSync(packs)
        .filter((name) => name.endsWith(".pack"))
        .reduce((sum, name) => sum + statSync(join(packs, name)).size, 0);
    };
    const whole = await job(origin, { partial: "never" });
    const made = await job(origin, { partial: "always" });
    expect(fetched(whole)).toBeGreaterThan(2_000_000);
    expect(fetched(made)).toBeLessThan(fetched(whole) / 10);
    expect(readFileSync(join(made.ws.work, "large.bin"))).toEqual(readFileSync(join(origin, "large.bin")));
    expect(git(made.jobRepository, "rev-list", "--count", made.base.commit)).toBe("21");
    write(made.ws.work, { "dir/b.txt": "B\n" });
    const { commit, files } = await made.collect();
    expect(files).toEqual(["dir/b.txt"]);

    // The base moves on: what a merge needs is fetched by name, not by whoever reads it.
    write(origin, { "a.txt": "A\n", "large.bin": randomBytes(100_000) });
    const tip = commitAll(origin);
    const next = ok(await made.platform.resolveBase({ ...made.at, base: tip, partial: true }));
    await made.platform.jobRepository("j1", next);
    const tool = plainWorkspace(made.jobRepository, join(made.root, "tool"));
    const request = { base: tip, side: tip, work: commit ?? "", from: made.base.commit, file: join(made.root, "m") };
    expect(ok(await made.platform.mergeChange(tool, request)).kind).toBe("clean");
    const pack = await made.platform.packOf(made.jobRepository, commit ?? "", made.base.commit);
    await made.platform.removeJobRepository("j1");
    const back = { ...made.at, base: made.base.commit, partial: true };
    ok(await made.platform.rebuild("j1", commit ?? "", back, async () => pack));
    expect(git(made.jobRepository, "show", `${commit}:dir/b.txt`)).toBe("B");
    // Nothing was ever fetched from inside: what is not here is missing, and says so.
    expect(() => git(made.jobRepository, "show", `${made.base.commit}~5:large.bin`)).toThrow();
  });
});

describe("submodules", () => {
  /** `app` has `lib` and, in it, `deep`, all in one folder. */
  function family(address = "../lib") {
    const root = scratch(cleanups);
    const deep = makeRepository(join(root, "deep"), { "deep.txt": "deep\n" });
    const link = (dir: string, path: string, commit: string) =>
      git(dir, "update-index", "--add", "--cacheinfo", `160000,${commit},${path}`);
    makeRepository(join(root, "lib"), {
      "lib.txt": "lib\n",
      ".gitmodules": '[submodule "d"]\n path = inner\n url = ../deep\n',
    });
    link(join(root, "lib"), "inner", deep);
    git(join(root, "lib"), "commit", "-q", "-m", "inner");
    const lib = git(join(root, "lib"), "rev-parse", "HEAD");
    const app = join(root, "app");
    makeRepository(app, {
      "app.txt": "app\n",
      ".gitmodules": `[submodule "evil"]\n path = ../../escape\n url = ${address}\n[submodule "l"]\n path = vendor/lib\n url = ${address}\n`,
    });
    link(app, "vendor/lib", lib);
    git(app, "commit", "-q", "-m", "lib");
    return { root, app };
  }

  it("are laid out by policy, nested ones too, and a change in one is named and no part of the change", async () => {
    const { app } = family();
    const none = await job(app, {});
    expect(none.base.notes).toEqual([expect.stringContaining("Submodules are not fetched: vendor/lib")]);
    expect(readdirSync(join(none.ws.work, "vendor/lib"))).toEqual([]);

    const made = await job(app, { submodules: "same_owner" });
    expect(made.base.notes).toEqual([
      expect.stringMatching(/^The submodule vendor\/lib is there at/),
      expect.stringMatching(/^The submodule vendor\/lib\/inner is there at/),
    ]);
    const at = (path: string) => join(made.ws.work, "vendor/lib", path);
    expect(readFileSync(at("lib.txt"), "utf8")).toBe("lib\n");
    expect(readFileSync(at("inner/deep.txt"), "utf8")).toBe("deep\n");
    expect(await made.collect()).toMatchObject({ files: [], named: [] });
    writeFileSync(at("inner/deep.txt"), "changed\n");
    write(made.ws.work, { "app.txt": "changed\n" });
    const changed = await made.collect();
    expect(changed.files).toEqual(["app.txt"]);
    expect(changed.named).toEqual([expect.stringMatching(/^vendor\/lib\/inner: content in a submodule's folder/)]);
    writeFileSync(at("new.txt"), "new\n");
    expect((await made.collect()).named).toHaveLength(2);
    // A verification of the change sees what the agent saw.
    const opened: ReturnType<typeof plainWorkspace>[] = [];
    await runVerification(
      async () => {
        const workspace = plainWorkspace(made.jobRepository, join(made.root, `verify-${opened.length}`));
        opened.push(workspace);
        return { workspace, close: async () => {} };
      },
      {
        ...{
          commit: changed.commit ?? "",
          base: made.base.commit,
          setup: null,
          verify: "cat vendor/lib/inner/deep.txt",
        },
        ...{ verifyNetwork: false, setupMs: 60_000, verifyMs: 60_000, testPaths: ["app.txt"] },
      },
    );
    for (const { work } of opened) expect(readFileSync(join(work, "vendor/lib/inner/deep.txt"), "utf8")).toBe("deep\n");
    expect(opened).toHaveLength(2);
    expect(existsSync(join(made.root, "escape"))).toBe(false);
  });

  it.each([
    ["ext::sh -c touch% /tmp/x1-evil"],
    ["file:///etc"],
    ["/etc"],
    ["../../../../etc"],
    ["https://user:secret@example.org/acme/lib"],
    ["git://example.org/acme/lib"],
    ["../-c"],
  ])("whose address is %s are not fetched", async (address) => {
    const { app } = family(address);
    const made = await job(app, { submodules: "hosts", submoduleHosts: ["example.org"] });
    expect(made.base.notes).toEqual([expect.stringMatching(/vendor\/lib is not fetched/)]);
    expect(made.base.notes.join()).not.toContain("secret");
    expect(readdirSync(join(made.ws.work, "vendor/lib"))).toEqual([]);
    expect(existsSync("/tmp/x1-evil")).toBe(false);
  });

  it("in another folder of this machine are not read, whoever owns them", async () => {
    const elsewhere = scratch(cleanups);
    makeRepository(join(elsewhere, "lib"), { "secret.txt": "s\n" });
    const { app } = family(`../../${basename(elsewhere)}/lib`);
    const made = await job(app, { submodules: "hosts" });
    expect(made.base.notes).toEqual([expect.stringContaining("is not what the project's settings allow")]);
  });

  it("that name an option are refused with the whole repository, by git's own check of what arrives", async () => {
    await expect(job(family("--upload-pack=touch /tmp/x1-evil").app, { submodules: "same_owner" })).rejects.toThrow(
      "cannot be read",
    );
    expect(existsSync("/tmp/x1-evil")).toBe(false);
  });

  const remote = (address: string) => ok(parseRemote(address, { roots: [], owners: [] }));
  it.each([
    ["../lib.git", "https://forge.example:443/acme/lib.git"],
    ["./lib", "https://forge.example:443/acme/app.git/lib"],
    ["../../other/lib", "https://forge.example:443/other/lib"],
    ["../../../../lib", null],
    ["git@forge.example:acme/lib.git", "https://forge.example:443/acme/lib.git"],
    ["ssh://git@forge.example/acme/lib", "https://forge.example:443/acme/lib"],
    ["https://forge.example/acme/../other/lib", "https://forge.example:443/other/lib"],
    ["../%2e%2e/lib", "https://forge.example:443/acme/%252e%252e/lib"],
  ] as const)("beside a repository mean what git means: %s", (address, meant) => {
    expect(submoduleRemote(address, remote("https://forge.example/acme/app.git"))?.url ?? null).toBe(meant);
  });
  it.each([
    ["https://forge.example/acme/lib", "same_owner", true],
    ["https://forge.example/ACME/lib", "same_owner", true],
    ["https://forge.example/other/lib", "same_owner", false],
    ["https://forge.example:8443/acme/lib", "same_owner", false],
    ["http://forge.example/acme/lib", "hosts", false],
    ["https://allowed.example/any/lib", "hosts", true],
    ["https://allowed.example/any/lib", "same_owner", false],
    ["https://allowed.example:444/any/lib", "hosts", false],
    ["https://other.example/acme/lib", "hosts", false],
    ["https://forge.example/acme/lib", "none", false],
  ] as const)("at %s under the policy %s are allowed: %s", (address, submodules, allowed) => {
    const policy = { ...defaultContent, submodules, submoduleHosts: ["allowed.example", "forge.example"] };
    const root = remote("https://forge.example/acme/app.git");
    expect(
      isAllowed(remote(address), root, submodules === "same_owner" ? { ...policy, submoduleHosts: [] } : policy),
    ).toBe(allowed);
  });
});

describe("content kept in Git LFS", () => {
  const sha = (data: Buffer) => createHash("sha256").update(data).digest("hex");
  const pointer = (oid: string, size: number) =>
    `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;

  /** A server of the batch API; `href`, `body` and `status` may lie. */
  async function server(
    contents: Map<string, Buffer>,
    lie: { readonly href?: () => string; readonly body?: Buffer; readonly status?: number } = {},
  ) {
    const seen: { path: string; authorization: string | undefined }[] = [];
    const puts: string[] = [];
    const made: Server = createServer((request: IncomingMessage, response) => {
      seen.push({ path: request.url ?? "", authorization: request.headers.authorization });
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        if (request.method === "GET")
          return void response.writeHead(lie.status ?? 200).end(lie.body ?? contents.get(request.url?.slice(5) ?? ""));
        const body = Buffer.concat(parts);
        if (request.method === "PUT") {
          const oid = request.url?.slice(5) ?? "";
          puts.push(oid);
          if (sha(body) === oid && request.headers["content-length"] === String(body.length)) contents.set(oid, body);
          return void response.writeHead(lie.status ?? 200).end();
        }
        const { operation, objects } = JSON.parse(body.toString()) as {
          operation: string;
          objects: { oid: string; size: number }[];
        };
        const answer: object[] = objects.map(({ oid, size }) =>
          operation === "upload"
            ? {
                ...{ oid, size },
                ...(contents.has(oid) ? {} : { actions: { upload: { href: `http://127.0.0.1:${port}/put/${oid}` } } }),
              }
            : contents.has(oid)
              ? {
                  oid,
                  size,
                  actions: { download: { href: lie.href?.() ?? `http://127.0.0.1:${port}/get/${oid}`, header: {} } },
                }
              : { oid, size, error: { code: 404, message: "gone" } },
        );
        response.writeHead(200, { "content-type": "application/vnd.git-lfs+json" });
        response.end(JSON.stringify({ transfer: "basic", objects: answer }));
      });
    });
    await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => made.close());
    const { port }: AddressInfo = made.address() as AddressInfo;
    return { remote: remoteAt(`http://127.0.0.1:${port}/acme/app`), seen, puts };
  }
  const remoteAt = (address: string) => ok(parseRemote(address, { roots: [], owners: [] }));

  function repository(contents: Record<string, Buffer>, more: Record<string, string> = {}) {
    const origin = join(scratch(cleanups), "origin");
    const pointers = Object.entries(contents).map(([path, data]) => [path, pointer(sha(data), data.length)]);
    makeRepository(origin, {
      ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
      "a.txt": "a\n",
      ...more,
      ...Object.fromEntries(pointers),
    });
    return { origin, store: new Map(Object.values(contents).map((data) => [sha(data), data])) };
  }
  const over =
    (remote: Remote) =>
    (base: Base): Base => ({ ...base, remote });
  const shown = (made: { ws: { work: string } }, path: string) => readFileSync(join(made.ws.work, path));

  it("is laid in its pointers' places up to the size that the project allows, and is no change", async () => {
    const contents = {
      "one.bin": randomBytes(70_000),
      "dir/two.bin": randomBytes(900_000),
      "z.bin": randomBytes(600_000),
    };
    const { origin, store } = repository(contents);
    const lfs = await server(store);
    const none = await job(origin, {});
    expect(none.base.notes).toEqual([expect.stringContaining("Git LFS are not fetched")]);
    const made = await job(origin, { lfsMegabytes: 1 }, over(lfs.remote));
    expect(lfs.seen[0]).toEqual({ path: "/acme/app.git/info/lfs/objects/batch", authorization: "Basic c2VjcmV0" });
    expect(lfs.seen.slice(1).map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
    expect(made.base.notes).toEqual([
      expect.stringMatching(/^1 files kept in Git LFS are pointers, beyond 1 MB in all: z.bin/),
      expect.stringMatching(/^2 files kept in Git LFS are there/),
    ]);
    expect(shown(made, "one.bin")).toEqual(contents["one.bin"]);
    expect(shown(made, "dir/two.bin")).toEqual(contents["dir/two.bin"]);
    expect(shown(made, "z.bin").toString()).toMatch(/^version /);
    expect(git(made.ws.work, "status", "--porcelain")).toBe("");
    expect(await made.collect()).toMatchObject({ files: [], named: [] });
    write(made.ws.work, { "a.txt": "A\n" });
    expect((await made.collect()).files).toEqual(["a.txt"]);

    // A verification has the content, also where the base's own files are put back.
    const opened: string[] = [];
    await runVerification(
      async () => {
        const workspace = plainWorkspace(made.jobRepository, join(made.root, `verify-${opened.length}`));
        opened.push(workspace.work);
        return { workspace, close: async () => {} };
      },
      {
        ...{ commit: made.base.commit, base: made.base.commit, setup: "printf x > one.bin", verify: "true" },
        ...{ verifyNetwork: false, setupMs: 60_000, verifyMs: 60_000, testPaths: ["one.bin"] },
      },
    );
    expect(readFileSync(join(opened[1] ?? "", "one.bin"))).toEqual(contents["one.bin"]);
  });

  it("is uploaded where a change has it, as a whole file, by git-lfs or again, and a pointer to nothing is told", async () => {
    const old = { "one.bin": randomBytes(70_000), "far.bin": randomBytes(2_000_000) };
    const { origin, store } = repository(old);
    const lfs = await server(store);
    const made = await job(origin, { lfsMegabytes: 1 }, over(lfs.remote));
    const [one, mine, kept] = [randomBytes(300_000), randomBytes(90), randomBytes(5_000)];
    const far = shown(made, "far.bin").toString();
    rmSync(join(made.ws.work, "far.bin"));
    write(made.ws.work, {
      ...{ "one.bin": one, "dir/new\nname.bin": mine, "same.bin": mine, "empty.bin": "", "note.txt": "n\n" },
      // What git-lfs leaves in a work tree where content was not laid: the pointer, and the content in its own store.
      "kept.bin": pointer(sha(kept), kept.length),
      [`.git/lfs/objects/${sha(kept).slice(0, 2)}/${sha(kept).slice(2, 4)}/${sha(kept)}`]: kept,
      // Moved, and written out of nothing.
      ...{ "moved/far.bin": far, "nowhere.bin": pointer("a".repeat(64), 5) },
    });
    const change = await made.collect();
    const text = (path: string) => git(made.jobRepository, "show", `${change.commit}:${path}`);
    expect(text("one.bin")).toBe(pointer(sha(one), one.length).trim());
    expect(text("kept.bin")).toBe(pointer(sha(kept), kept.length).trim());
    expect(text("dir/new\nname.bin")).toBe(text("same.bin"));
    expect([text("empty.bin"), text("note.txt")]).toEqual(["", "n"]);
    expect(change.lfs.map(({ path, oid, size }) => [path, oid, size])).toEqual([
      ["dir/new\nname.bin", sha(mine), mine.length],
      ["kept.bin", sha(kept), kept.length],
      ["one.bin", sha(one), one.length],
      ["same.bin", sha(mine), mine.length],
    ]);
    expect(change.named.filter((name) => name.includes(lfsUploaded))).toHaveLength(4);
    expect(change.named.filter((name) => name.includes(newPointer))).toEqual([`nowhere.bin: ${newPointer}`]);
    // A verification sees the content, and a second collection makes the same commit.
    const seen = plainWorkspace(made.jobRepository, join(made.root, "seen"));
    await checkout(seen, { commit: change.commit ?? "", branch: "main" });
    expect(readFileSync(join(seen.work, "one.bin"))).toEqual(one);
    expect(readFileSync(join(seen.work, "kept.bin"))).toEqual(kept);
    expect((await made.collect()).commit).toBe(change.commit);

    const deps = createGitRunner();
    const upload = (content = change.lfs, remote = lfs.remote) =>
      uploadLfs(
        deps,
        {
          ...{ remote, jobRepository: made.jobRepository, ref: "refs/heads/x1/t", scratch: made.root },
          fetch: { own: fetch, public: () => Promise.reject(new Error("not in this test")) },
        },
        content,
      );
    const [swapped] = change.lfs;
    if (!swapped) throw new Error("nothing to upload");
    // Another object under an approved name does not leave.
    expect(await upload([{ ...swapped, oid: "b".repeat(64) }])).toMatchObject({ ok: false, code: "publish_moved" });
    expect(lfs.puts).toEqual([]);
    expect(await upload()).toMatchObject({ ok: true });
    expect(lfs.puts.toSorted()).toEqual([sha(mine), sha(kept), sha(one)].toSorted());
    expect(store.get(sha(one))).toEqual(one);
    expect(await upload()).toMatchObject({ ok: true });
    expect(lfs.puts).toHaveLength(3);
    for (const [status, code] of [
      [503, "forge_unavailable"],
      [422, "upstream_failed"],
      [302, "upstream_failed"],
    ] as const) {
      const other = await server(new Map(), { status });
      expect(await upload(change.lfs, other.remote)).toMatchObject({ ok: false, code });
    }
    // The pack stands alone, content and all: another service publishes from it.
    const pack = await made.platform.packOf(
      made.jobRepository,
      change.commit ?? "",
      made.base.commit,
      undefined,
      change.lfs,
    );
    await made.platform.removeJobRepository("j1");
    const again = { ...made.at, base: made.base.commit };
    ok(await made.platform.rebuild("j1", change.commit ?? "", again, async () => pack));
    store.delete(sha(kept));
    expect(await upload()).toMatchObject({ ok: true });
    expect(store.get(sha(kept))).toEqual(kept);
  });

  it("that cannot go to its remote is told where it was changed, and new files stay whole", async () => {
    const { origin, store } = repository({ "one.bin": randomBytes(70_000) });
    const made = await job(origin, { lfsMegabytes: 1 }, over((await server(store)).remote));
    write(made.ws.work, { "one.bin": "changed", "new.bin": "new" });
    const change = await made.collect(false);
    expect(change.named).toEqual([expect.stringMatching(/^new.bin: a whole file where/), `one.bin: ${lfsChanged}`]);
    expect(git(made.jobRepository, "show", `${change.commit}:new.bin`)).toBe("new");
    expect(change.lfs).toEqual([]);
  });

  const data = randomBytes(1_000);
  it.each([
    ["other bytes", { body: randomBytes(1_000) }, "is not what their pointers say"],
    ["more bytes", { body: randomBytes(5_000) }, "larger than their pointers say"],
    ["fewer bytes", { body: data.subarray(0, 10) }, "is not what their pointers say"],
    ["a redirect", { status: 302 }, "answered 302"],
    ["an address of this machine", { href: () => "https://127.0.0.1:1/x" }, "not public"],
    ["an address of the metadata service", { href: () => "https://169.254.169.254/latest" }, "not public"],
    ["an open line elsewhere", { href: () => "http://example.org/x" }, "not https"],
    ["a file", { href: () => "file:///etc/passwd" }, "not https"],
  ] satisfies [string, { href?: () => string; body?: Buffer; status?: number }, string][])(
    "that comes as %s is refused, and the pointer stays",
    async (_, lie, why) => {
      const { origin, store } = repository({ "one.bin": data });
      const lfs = await server(store, lie);
      const made = await job(origin, { lfsMegabytes: 5 }, over(lfs.remote));
      expect(made.base.notes).toEqual([expect.stringContaining(why)]);
      expect(shown(made, "one.bin").toString()).toMatch(/^version /);
    },
  );

  it("is not believed by its pointer alone: sizes that differ, and what only looks like one", async () => {
    const { origin, store } = repository({ "one.bin": data }, { "two.bin": pointer(sha(data), 999_999) });
    const made = await job(origin, { lfsMegabytes: 5 }, over((await server(store)).remote));
    expect(shown(made, "one.bin")).toEqual(data);
    expect(shown(made, "two.bin").toString()).toMatch(/^version /);
    for (const text of ["", "version https://git-lfs.github.com/spec/v1\n", `${pointer("a".repeat(64), 1)}more`])
      expect(parsePointer(text)).toBeNull();
    expect(parsePointer(pointer("a".repeat(64), 12))).toEqual({ oid: "a".repeat(64), size: 12 });
  });

  it.each([
    ["https://forge.example/x", true],
    ["https://media.example/x", false],
    ["https://forge.example:444/x", false],
    ["http://forge.example/x", null],
    ["https://user@forge.example/x", null],
    ["https://[::1]/x", null],
    ["https://[::ffff:10.0.0.1]/x", null],
    ["https://2130706433/x", null],
    ["https://localhost/x", null],
    ["https://intranet/x", null],
    ["javascript:1", null],
  ] as const)("at %s is the remote's own: %s", (href, own) => {
    const found = transferProblem(href, remoteAt("https://forge.example/acme/app.git"));
    expect("problem" in found ? null : found.own).toBe(own);
  });
});
