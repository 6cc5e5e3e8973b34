import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream, existsSync, openAsBlob } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { accept, Fault, type LfsContent, type Outcome, refuse } from "@x1agent/contract";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { isPublic } from "../network.ts";
import { isAway, isAwayStatus } from "./away.ts";
import { parseBatch } from "./batch.ts";
import type { ContentEntry } from "./content-list.ts";
import { visible } from "./diff.ts";
import { isCommitId } from "./mirror.ts";
import type { ContentRequest, GitCredential, Remote } from "./port.ts";
import { type GitRunner, mustRun, originOf } from "./run.ts";

/**
 * Content kept in Git LFS, by its batch API (https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md). A pointer is the
 * repository's word and an answer the server's: size and SHA-256 of what arrives are held against the pointer, addresses against
 * `transferProblem`. The repository's own .lfsconfig is not read: the endpoint is the remote's.
 */
export type Pointer = { oid: string; size: number };

const MEGABYTE = 1024 ** 2;
const MAX_FILES = 5_000;
const BATCH = 100;
const DAY_MS = 86_400_000;
const media = "application/vnd.git-lfs+json";

/** Reads a pointer file strictly; null for anything else, and for pointers with extensions. Pure. */
export function parsePointer(text: string): Pointer | null {
  const [, oid, size] =
    /^version https:\/\/git-lfs\.github\.com\/spec\/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n$/.exec(text) ?? [];
  return oid ? { oid, size: Number(size) } : null;
}

/** The text of a pointer file, byte for byte. Pure. */
export const pointerText = ({ oid, size }: Pointer): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;

const Header = z.record(
  z.string().regex(/^[\w-]{1,100}$/),
  z
    .string()
    .max(8_192)
    .regex(/^[^\r\n]*$/),
);
const Action = z.object({ href: z.string().max(8_192), header: Header.optional() });
const Answer = z.object({
  transfer: z.literal("basic").optional(),
  objects: z
    .array(
      z.object({
        oid: z.string(),
        size: z.number(),
        actions: z
          .object({ download: Action.optional(), upload: Action.optional(), verify: Action.optional() })
          .optional(),
        error: z.object({ code: z.number(), message: z.string().max(2_000) }).optional(),
      }),
    )
    .max(BATCH),
});

/** Why content neither comes from nor goes to an address, or where it is; `own` says that it is the remote's own origin. Pure. */
export function transferProblem(href: string, remote: Remote): { problem: string } | { url: URL; own: boolean } {
  if (!URL.canParse(href) || (remote.kind !== "https" && remote.kind !== "http"))
    return { problem: "its address is none" };
  const url = new URL(href);
  if (url.username || url.password) return { problem: "its address carries a credential" };
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const own = `${url.protocol}//${url.hostname}:${port}/` === originOf(remote);
  if (own) return { url, own };
  if (url.protocol !== "https:") return { problem: "its address is not https" };
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (ipaddr.isValid(host) ? !isPublic(host) : host === "localhost" || !host.includes("."))
    return { problem: "its address is not public" };
  return { url, own };
}

type File = Pointer & { path: string; id: string; mode: string };

/** What was laid: files with the blobs of their content, as entries of the job's list too, and bytes in all. */
export type FetchedLfs = {
  entries: ContentEntry[];
  laid: { path: string; mode: string; blob: string }[];
  bytes: number;
  notes: string[];
  away: string[];
};
const nothing: FetchedLfs = { entries: [], laid: [], bytes: 0, notes: [], away: [] };

/** Fetches what the policy's size allows into the mirror; every file that stays a pointer is noted. */
export async function fetchLfs(git: GitRunner, request: ContentRequest): Promise<FetchedLfs> {
  const { base, policy } = request;
  const files = await pointersOf(git, base.mirror, base.commit);
  if (files.length === 0) return nothing;
  const notes: string[] = [];
  const left = (some: readonly File[], why: string) => {
    const names = some.slice(0, 10).map(({ path }) => visible(path).slice(0, 200));
    if (some.length > 0)
      notes.push(
        `${some.length} files kept in Git LFS are pointers, ${why}: ${names.join(", ")}${some.length > 10 ? " ..." : ""}.`,
      );
  };
  const { remote } = base;
  if (remote.kind !== "https" && remote.kind !== "http") {
    left(files, "as their content is fetched over HTTPS only");
    return { ...nothing, notes };
  }
  const chosen = new Map<string, File>();
  const tooMuch: File[] = [];
  let bytes = 0;
  for (const file of files) {
    const same = chosen.get(file.oid);
    if (
      same ? same.size !== file.size : bytes + file.size > policy.lfsMegabytes * MEGABYTE || chosen.size >= MAX_FILES
    ) {
      tooMuch.push(file);
      continue;
    }
    if (!same) bytes += file.size;
    chosen.set(file.oid, same ?? file);
  }
  left(tooMuch, `beyond ${Number(policy.lfsMegabytes.toFixed(1))} MB in all`);
  const store = join(base.mirror, "x1-lfs");
  await mkdir(store, { recursive: true });
  // What a killed download left; one that runs now is younger.
  for (const name of await readdir(store))
    if (
      name.startsWith("tmp-") &&
      Date.now() - ((await stat(join(store, name)).catch(() => null))?.mtimeMs ?? 0) > DAY_MS
    )
      await rm(join(store, name), { force: true });
  const blobs = new Map<string, string>();
  for (const oid of chosen.keys()) {
    const known = existsSync(join(store, oid)) ? (await readFile(join(store, oid), "latin1")).trim() : "";
    if (isCommitId(known)) blobs.set(oid, known);
  }
  const failed = new Map<string, string>();
  const away = new Set<string>();
  const wanted = [...chosen.values()].filter(({ oid }) => !blobs.has(oid));
  for (let at = 0; at < wanted.length; at += BATCH) {
    const part = wanted.slice(at, at + BATCH);
    const answer = await ask({ ...request, operation: "download" }, remote, part);
    for (const file of part) {
      request.signal?.throwIfAborted();
      const got = "why" in answer ? answer : await download(git, request, remote, file, answer, store);
      if (typeof got === "string") {
        blobs.set(file.oid, got);
        await writeFile(join(store, file.oid), got);
        continue;
      }
      failed.set(file.oid, got.why);
      if (got.away)
        away.add(`Content kept in Git LFS cannot be fetched now, ${got.why}: ${visible(file.path).slice(0, 200)}.`);
    }
  }
  const reasons = Map.groupBy(
    files.filter(({ oid }) => failed.has(oid)),
    ({ oid }) => failed.get(oid) ?? "",
  );
  for (const [why, some] of [...reasons].slice(0, 20)) left(some, why);
  const laid = files.filter((file) => blobs.has(file.oid) && !tooMuch.includes(file));
  if (laid.length > 0) notes.push(`${laid.length} files kept in Git LFS are there with their content.`);
  return {
    laid: laid.map(({ path, mode, oid }) => ({ path, mode, blob: blobs.get(oid) ?? "" })),
    bytes,
    entries: laid.map(({ path, id, oid }) => ({ kind: "lfs", path, id, also: blobs.get(oid) ?? "" })),
    ...{ notes, away: [...away] },
  };
}

/** Pointer files of a commit, by path. Only where some .gitattributes speaks of LFS are files looked at. */
export async function pointersOf(git: GitRunner, mirror: string, commit: string): Promise<File[]> {
  const listing = await git({
    gitDir: mirror,
    args: ["ls-tree", "-r", "-l", "-z", "--full-tree", commit],
    maxOutputBytes: 192 * MEGABYTE,
  });
  if (listing.code !== 0) return [];
  const entries = listing.stdout
    .toString("utf8")
    .split("\0")
    .flatMap((line) => {
      const [, mode, id, size, path] = /^(100(?:644|755)) blob ([0-9a-f]+) +(\d+)\t(.+)$/s.exec(line) ?? [];
      return mode && id && path && !path.includes("\uFFFD") ? [{ mode, id, size: Number(size), path }] : [];
    });
  const read = async (some: readonly { id: string; size: number }[]) => {
    const max = some.reduce((sum, { size }) => sum + size + 128, 1_024);
    const got = await git({
      ...{ gitDir: mirror, args: ["cat-file", "--batch"], stdin: some.map(({ id }) => `${id}\n`).join("") },
      maxOutputBytes: max,
    });
    return got.code === 0 ? parseBatch(got.stdout) : new Map<string, Buffer>();
  };
  const attributes = entries
    .filter(({ path, size }) => /(^|\/)\.gitattributes$/.test(path) && size < MEGABYTE)
    .slice(0, 200);
  const rules = attributes.length > 0 ? [...(await read(attributes)).values()] : [];
  if (!rules.some((text) => text.includes("filter=lfs"))) return [];
  const small = entries.filter(({ size }) => size >= 100 && size <= 200).slice(0, 100_000);
  const texts = small.length > 0 ? await read(small) : new Map<string, Buffer>();
  return small.flatMap(({ id, path, mode }) => {
    const pointer = parsePointer(texts.get(id)?.toString("utf8") ?? "");
    return pointer ? [{ ...pointer, path, id, mode }] : [];
  });
}

/** Why content is not there, as the end of a sentence, and whether it may be later without anybody's doing. */
type Not = { why: string; away: boolean };
const not = (why: string, away = false): Not => ({ why, away });

/** What is asked of the batch API. */
type Asked = Pick<ContentRequest, "credential" | "fetch" | "signal"> & {
  operation: "download" | "upload";
  /** The branch that an upload is for. */
  ref?: string;
};

/** Asks where objects are, or go. */
async function ask(
  request: Asked,
  remote: Remote & { kind: "http" | "https" },
  files: readonly Pointer[],
): Promise<z.infer<typeof Answer> | Not> {
  const address = (request.credential?.address ?? remote.url).replace(/\/+$/, "").replace(/(\.git)?$/, ".git");
  const headers = { accept: media, "content-type": media, ...authorizationOf(request.credential) };
  const body = JSON.stringify({
    ...{ operation: request.operation, transfers: ["basic"], hash_algo: "sha256" },
    ...(request.ref ? { ref: { name: request.ref } } : {}),
    objects: files.map(({ oid, size }) => ({ oid, size })),
  });
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(60_000), ...(request.signal ? [request.signal] : [])]);
    const response = await request.fetch.own(`${address}/info/lfs/objects/batch`, {
      ...{ method: "POST", headers, body, redirect: "manual", signal },
    });
    const text = await readUpTo(response, 4 * MEGABYTE);
    if (response.status !== 200) return not(`as the server answered ${response.status}`, isAwayStatus(response.status));
    const answer = Answer.safeParse(JSON.parse(text));
    return answer.success ? answer.data : not("as the server's answer is none of the batch API");
  } catch (error) {
    request.signal?.throwIfAborted();
    return not("as the server could not be asked", isAway(error));
  }
}

const authorizationOf = (credential: GitCredential | undefined): Record<string, string> =>
  credential?.authorization ? { authorization: credential.authorization } : {};

async function readUpTo(response: Response, max: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response.body ? Readable.fromWeb(response.body as never) : []) {
    size += (part as Buffer).length;
    if (size > max) throw new Fault("upstream_failed", "The answer is too long.");
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Id of the content's blob in the mirror. */
async function download(
  git: GitRunner,
  request: ContentRequest,
  remote: Remote,
  file: File,
  answer: z.infer<typeof Answer>,
  store: string,
): Promise<string | Not> {
  const found = answer.objects.find(({ oid }) => oid === file.oid);
  const action = found?.actions?.download;
  if (!found || found.error || !action) return not("as the server does not have their content");
  const target = transferProblem(action.href, remote);
  if ("problem" in target) return not(`as ${target.problem}`);
  const aside = join(store, `tmp-${randomUUID()}`);
  const cut = AbortSignal.any([AbortSignal.timeout(30 * 60_000), ...(request.signal ? [request.signal] : [])]);
  try {
    const ask = target.own ? request.fetch.own : request.fetch.public;
    // What the answer gives is for this address; our own credential goes to the remote's origin and nowhere else.
    const headers = action.header ?? (target.own ? authorizationOf(request.credential) : {});
    const response = await ask(target.url.href, { headers, redirect: "manual", signal: cut });
    if (response.status !== 200 || !response.body) {
      await response.body?.cancel();
      return not(`as the server answered ${response.status}`, isAwayStatus(response.status));
    }
    const hash = createHash("sha256");
    let size = 0;
    const out = createWriteStream(aside, { mode: 0o600 });
    const closed = finished(out);
    closed.catch(() => {});
    try {
      for await (const part of Readable.fromWeb(response.body as never)) {
        size += (part as Buffer).length;
        if (size > file.size) return not("as what arrived is larger than their pointers say");
        hash.update(part as Buffer);
        if (!out.write(part)) await once(out, "drain");
      }
    } finally {
      out.end();
      await closed;
    }
    if (size !== file.size || hash.digest("hex") !== file.oid)
      return not("as what arrived is not what their pointers say");
    const id = await mustRun(git, {
      ...{ gitDir: request.base.mirror, stdinFile: aside, timeoutMs: 600_000 },
      args: ["-c", "core.compression=1", "hash-object", "-w", "-t", "blob", "--no-filters", "--stdin"],
    });
    return isCommitId(id) ? id : not("as it could not be stored");
  } catch (error) {
    request.signal?.throwIfAborted();
    if (error instanceof Fault) throw error;
    return not("as it could not be fetched", isAway(error));
  } finally {
    await rm(aside, { force: true });
  }
}

/** What an upload works with; `scratch` is a folder for one object at a time. */
export type UploadRequest = Pick<Asked, "credential" | "fetch"> & {
  remote: Remote;
  jobRepository: string;
  ref: string;
  scratch: string;
  signal?: AbortSignal | undefined;
};

/**
 * Uploads what the server does not have yet. Each object is read from the job's repository and held against its pointer before
 * a byte leaves; a repeated upload finds it there. Refuses `forge_unavailable` where waiting helps, `upstream_failed` where the
 * server says no, `publish_moved` where the content is not what was approved.
 */
export async function uploadLfs(
  git: GitRunner,
  { signal: given, ...request }: UploadRequest,
  content: readonly LfsContent[],
): Promise<Outcome<null>> {
  const { remote } = request;
  if (remote.kind !== "https" && remote.kind !== "http")
    return refuse("upstream_failed", `Content kept in Git LFS is uploaded over HTTPS only, not to ${remote.url}.`);
  const signal = given ? { signal: given } : {};
  const byOid = [...new Map(content.map((one) => [one.oid, one])).values()];
  const failed = ({ why, away }: Not) => {
    const sentence = `Content kept in Git LFS was not uploaded to ${remote.url}, ${why}.`;
    return refuse(away ? "forge_unavailable" : "upstream_failed", sentence);
  };
  for (let at = 0; at < byOid.length; at += BATCH) {
    const part = byOid.slice(at, at + BATCH);
    const answer = await ask({ ...request, ...signal, operation: "upload" }, remote, part);
    if ("why" in answer) return failed(answer);
    for (const one of part) {
      const found = answer.objects.find(({ oid }) => oid === one.oid);
      if (!found) return failed(not("as the server's answer leaves one out"));
      if (found.error) {
        const { code, message } = found.error;
        return failed(not(`as the server refused ${visible(one.path)}: ${visible(message).slice(0, 300)} (${code})`));
      }
      const { upload, verify } = found.actions ?? {};
      // Without an action the server has it.
      if (!upload) continue;
      const file = join(request.scratch, one.oid);
      try {
        const whole = await extract(git, request.jobRepository, one, file);
        if (!whole.ok) return whole;
        const body = await openAsBlob(file, { type: "application/octet-stream" });
        const put = await transfer({ ...request, ...signal }, remote, upload, { method: "PUT", body });
        if (put) return failed(put);
        if (!verify) continue;
        const said = JSON.stringify({ oid: one.oid, size: one.size });
        const checked = await transfer({ ...request, ...signal }, remote, verify, { method: "POST", body: said });
        if (checked) return failed(checked);
      } finally {
        await rm(file, { force: true });
      }
    }
  }
  return accept(null);
}

/** Content out of the job's repository into a file, held against its pointer. */
async function extract(
  git: GitRunner,
  jobRepository: string,
  { path, oid, size, blob }: LfsContent,
  file: string,
): Promise<Outcome<null>> {
  const found = await git({
    ...{ gitDir: jobRepository, stdoutFile: file, maxOutputBytes: size + 1, timeoutMs: 600_000 },
    args: ["cat-file", "blob", blob],
  });
  const hash = createHash("sha256");
  if (found.code === 0 && !found.limit) for await (const part of createReadStream(file)) hash.update(part as Buffer);
  if (found.code === 0 && (await stat(file)).size === size && hash.digest("hex") === oid) return accept(null);
  return refuse(
    "publish_moved",
    `The job's repository was changed: the content of ${visible(path)} is not what was approved.`,
  );
}

/** One transfer to where the server says; null when it was taken. */
async function transfer(
  request: Pick<Asked, "credential" | "fetch" | "signal">,
  remote: Remote,
  { href, header }: z.infer<typeof Action>,
  { method, body }: { method: "PUT" | "POST"; body: Blob | string },
): Promise<Not | null> {
  const target = transferProblem(href, remote);
  if ("problem" in target) return not(`as ${target.problem}`);
  const type =
    method === "POST" ? { "content-type": media, accept: media } : { "content-type": "application/octet-stream" };
  // As with downloads: our own credential goes to the remote's origin only, and only where the answer gives none.
  const given = Object.fromEntries(Object.entries(header ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const own = header || !target.own ? {} : authorizationOf(request.credential);
  const headers = { ...type, ...own, ...given };
  delete (headers as Record<string, string>)["content-length"];
  delete (headers as Record<string, string>)["transfer-encoding"];
  const limit = AbortSignal.timeout(method === "PUT" ? 30 * 60_000 : 60_000);
  const signal = request.signal ? AbortSignal.any([limit, request.signal]) : limit;
  try {
    const send = target.own ? request.fetch.own : request.fetch.public;
    const response = await send(target.url.href, { method, headers, body, redirect: "manual", signal });
    await response.body?.cancel();
    return response.ok ? null : not(`as the server answered ${response.status}`, isAwayStatus(response.status));
  } catch (error) {
    request.signal?.throwIfAborted();
    return not("as the server could not be reached", isAway(error));
  }
}
