import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findSecrets } from "./leaks.ts";
import { createGitRunner } from "./run.ts";
import { git, makeRepository, write } from "./test/plain-workspace.ts";

const token = "tok-3f9a77/c41e+88b2";
const secrets = [{ name: "anthropic", value: Buffer.from(token) }];
let root: string;
let repository: string;
let base: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "x1-leaks-"));
  repository = join(root, "repository");
  makeRepository(repository, { "old.txt": `${token}\n`, "a.txt": "a\n" });
  base = git(repository, "rev-parse", "HEAD");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Commits on the base, looks through them, and goes back. */
async function look(change: () => void, message = "change"): Promise<{ name: string; path: string | null }[]> {
  change();
  git(repository, "add", "-A");
  git(repository, "commit", "-q", "--allow-empty", "-m", message);
  const commit = git(repository, "rev-parse", "HEAD");
  git(repository, "reset", "-q", "--hard", base);
  const deps = { git: createGitRunner(), dataDir: root };
  const outcome = await findSecrets(deps, { jobRepository: join(repository, ".git"), commit, below: [base], secrets });
  if (!outcome.ok) throw new Error(outcome.detail);
  return outcome.value;
}
const found = (path: string) => [{ name: "anthropic", path }];

describe("a kept secret in a change", () => {
  it("is found in a file and named by its path", async () => {
    expect(await look(() => write(repository, { "src/a.ts": `key = "${token}"\n` }))).toEqual(found("src/a.ts"));
  });
  it("is found in a large binary file, and not where it is not", async () => {
    const bytes = randomBytes(1_400_000);
    expect(await look(() => writeFileSync(join(repository, "blob.bin"), bytes))).toEqual([]);
    bytes.write(token, 1_300_000);
    expect(await look(() => writeFileSync(join(repository, "blob.bin"), bytes))).toEqual(found("blob.bin"));
  });
  it("is found in the name of a file and in the commit's own text", async () => {
    const name = Buffer.from(token).toString("hex");
    expect((await look(() => write(repository, { [`deep/${name}`]: "x" }))).map(({ path }) => path)).toEqual(["deep"]);
    expect(await look(() => {}, `say ${token}`)).toEqual(found(""));
  });
  it("is found past replace refs and grafts of the repository", async () => {
    const plain = (...args: string[]) => git(repository, "--no-replace-objects", ...args);
    write(repository, { "hidden.txt": token });
    git(repository, "add", "-A");
    git(repository, "commit", "-q", "-m", "hidden");
    const commit = git(repository, "rev-parse", "HEAD");
    git(repository, "reset", "-q", "--hard", base);
    const request = { jobRepository: join(repository, ".git"), commit, below: [base], secrets };
    const looked = () => findSecrets({ git: createGitRunner(), dataDir: root }, request);
    const expected = { ok: true, value: found("hidden.txt") };
    git(repository, "replace", plain("rev-parse", `${commit}:hidden.txt`), plain("rev-parse", `${base}:a.txt`));
    // The trap works on a git of others: they read another file.
    expect(git(repository, "show", `${commit}:hidden.txt`)).toBe("a");
    expect(await looked()).toEqual(expected);
    write(repository, { ".git/info/grafts": `${base} ${commit}\n` });
    expect(git(repository, "rev-list", commit, `^${base}`)).toBe("");
    expect(await looked()).toEqual(expected);
    rmSync(join(repository, ".git/info/grafts"));
    git(repository, "replace", "-d", plain("rev-parse", `${commit}:hidden.txt`));
  });
  it("is no matter where the remote has it, and in a change without one", async () => {
    expect(await look(() => write(repository, { "b.txt": "nothing\n" }))).toEqual([]);
    // The same content again is no new object.
    expect(await look(() => write(repository, { "copy.txt": `${token}\n` }))).toEqual([]);
  });
  it("leaves nothing of the look behind, and cannot be missed because objects cannot be read", async () => {
    expect(readdirSync(join(root, "tmp"))).toEqual([]);
    const request = { jobRepository: join(root, "nowhere"), commit: base, below: [], secrets };
    const refused = { ok: false, code: "publish_moved", detail: expect.stringContaining("looked through") };
    const real = createGitRunner();
    expect(await findSecrets({ git: real, dataDir: root }, request)).toMatchObject(refused);
    // A file that is gone after it was listed.
    const id = "e".repeat(40);
    const stolen = { ...request, jobRepository: join(repository, ".git"), also: [{ id, path: "gone" }] };
    expect(await findSecrets({ git: real, dataDir: root }, stolen)).toMatchObject(refused);
    expect(readdirSync(join(root, "tmp"))).toEqual([]);
  });
});
