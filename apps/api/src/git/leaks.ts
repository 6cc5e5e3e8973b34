import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { accept, type Outcome, type Refusal, refuse } from "@x1agent/contract";
import { nameOf, visible } from "./diff.ts";
import type { FindSecretsRequest, KnownSecret, Leak } from "./port.ts";
import type { GitRunner } from "./run.ts";

/**
 * Looks for secrets that the platform itself keeps in what is about to leave: each new object of a change (files, names of
 * files, the commit's text) and the words that go with it. A secret is sought as it stands, as JSON and a URL would write
 * it, in base64 wherever it begins, and in hexadecimal; in a cipher of somebody's own it is not found.
 */

/** Shorter ones (in bytes) are words that a change may well have by chance. */
export const MIN_SECRET = 12;
/** Leaks that are named; one is enough to stop a publication. */
const MAX_LEAKS = 20;
const MAX_BYTES = 4 * 1024 ** 3;

type Form = { name: string; bytes: Buffer };

/** What base64 makes of the bytes wherever they begin, without the letters that depend on their neighbours. */
function base64Forms(value: Buffer): string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), value]).toString("base64");
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + value.length) * 8) / 6));
  });
}

function formsOf(value: Buffer): Buffer[] {
  const text = value.toString("utf8");
  const isText = Buffer.from(text, "utf8").equals(value);
  const base64 = base64Forms(value);
  const hex = value.toString("hex");
  const written = [
    ...base64,
    ...base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_")),
    ...[hex, hex.toUpperCase()],
    ...(isText
      ? [JSON.stringify(text).slice(1, -1), encodeURIComponent(text.toWellFormed()), text.replaceAll("\n", "\r\n")]
      : []),
  ];
  return [value, ...[...new Set(written)].map((form) => Buffer.from(form, "utf8"))];
}

/** Everything that a kept secret is sought as. Of `user:password` the password alone is one too. Pure. */
export function secretForms(secrets: readonly KnownSecret[]): Form[] {
  const forms = new Map<string, Form>();
  for (const { name, value } of secrets) {
    const text = value.toString("utf8");
    // A key's own bytes may end in what looks like a line's end.
    const whole = Buffer.from(text, "utf8").equals(value) ? Buffer.from(text.trim(), "utf8") : value;
    const colon = /^(?:git|registry):/.test(name) ? whole.indexOf(":") : -1;
    for (const part of [whole, ...(colon < 0 ? [] : [whole.subarray(colon + 1)])])
      if (part.length >= MIN_SECRET)
        for (const bytes of formsOf(part)) forms.set(`${name}\0${bytes.toString("latin1")}`, { name, bytes });
  }
  return [...forms.values()];
}

/** Names of the secrets in a text, each once. Pure. */
export function secretsIn(text: string, secrets: readonly KnownSecret[]): string[] {
  const bytes = Buffer.from(text, "utf8");
  return [...new Set(secretForms(secrets).flatMap((form) => (bytes.includes(form.bytes) ? [form.name] : [])))];
}

/** A sentence on what was found; never with a part of it. Pure. */
export const leakText = ({ name, path }: Leak): string =>
  `${path === null ? "what goes with the change" : visible(path) || "the commit's own text"} holds the stored secret ${visible(name)}`;

/**
 * Which objects in the output of `cat-file --batch` hold which secrets, wherever that output is cut into parts. Each part is
 * read once, with the end of the one before it.
 */
export async function searchObjects(
  chunks: AsyncIterable<Buffer>,
  forms: readonly Form[],
  signal?: AbortSignal,
): Promise<{ name: string; id: string }[]> {
  const found = new Map<string, { name: string; id: string }>();
  const longest = forms.reduce((most, { bytes }) => Math.max(most, bytes.length), 1);
  let last: Buffer = Buffer.alloc(0);
  let at = "";
  for await (const { id, part } of objectsIn(chunks)) {
    signal?.throwIfAborted();
    const text = id === at ? Buffer.concat([last, part]) : part;
    at = id;
    for (const { name, bytes } of forms)
      if (found.size < MAX_LEAKS && text.includes(bytes)) found.set(`${name} ${id}`, { name, id });
    last = Buffer.from(text.subarray(Math.max(0, text.length - longest + 1)));
  }
  return [...found.values()];
}

/** Where the new objects of a commit hold a secret of ours. Refuses `publish_moved` where they cannot be read: then nobody knows. */
export async function findSecrets(
  deps: { git: GitRunner; dataDir: string },
  { jobRepository, commit, below, also = [], secrets, signal }: FindSecretsRequest,
): Promise<Outcome<Leak[]>> {
  const forms = secretForms(secrets);
  if (forms.length === 0) return accept([]);
  const within = { gitDir: jobRepository, signal, timeoutMs: 10 * 60_000 };
  const listed = await deps.git({
    ...within,
    args: ["rev-list", "--objects", commit, ...below.map((id) => `^${id}`)],
    maxOutputBytes: 256 * 1024 ** 2,
  });
  if (listed.code !== 0 || listed.limit) return unread(listed.stderr);
  const paths = new Map<string, string>();
  for (const { id, path } of [...linesOf(listed.stdout), ...also])
    if (!paths.get(id)) paths.set(id, typeof path === "string" ? path : nameOf(path));
  const scratch = join(deps.dataDir, "tmp");
  await mkdir(scratch, { recursive: true });
  const folder = await mkdtemp(join(scratch, "look-"));
  try {
    const file = join(folder, "objects");
    const read = await deps.git({
      ...within,
      args: ["cat-file", "--batch", "--buffer"],
      stdin: [...paths.keys()].map((id) => `${id}\n`).join(""),
      stdoutFile: file,
      maxOutputBytes: MAX_BYTES,
    });
    if (read.code !== 0 || read.limit) return unread(read.stderr);
    const found = await searchObjects(createReadStream(file, { highWaterMark: 256 * 1024 }), forms, signal);
    return accept(found.map(({ name, id }) => ({ name, path: paths.get(id) ?? "" })));
  } catch (error) {
    if (error instanceof Gone) return unread(error.message);
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const unread = (words: string): Refusal =>
  refuse(
    "publish_moved",
    `The job's repository was changed: its commit cannot be looked through for secrets (${visible(words.trim()).slice(-300)}).`,
  );

/** An object that was listed is not there. */
class Gone extends Error {
  override readonly name = "Gone";
}

/** `<id> <path>` in lines, as `rev-list --objects` writes them; of a path with a line's end the beginning. */
function* linesOf(output: Buffer): Generator<{ id: string; path: Buffer }> {
  for (let at = 0; at < output.length; ) {
    const found = output.indexOf(10, at);
    const end = found < 0 ? output.length : found;
    const id = /^[0-9a-f]{40,64}/.exec(output.toString("latin1", at, Math.min(end, at + 64)))?.[0];
    if (id) yield { id, path: output.subarray(Math.min(end, at + id.length + 1), end) };
    at = end + 1;
  }
}

/** The output of `cat-file --batch`, as it comes: parts of objects in order. */
async function* objectsIn(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ id: string; part: Buffer }> {
  let header = "";
  let id = "";
  /** Bytes of the object that are to come, and the line's end after it. */
  let left = 0;
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length; ) {
      if (left === 0) {
        const end = chunk.indexOf(10, at);
        header += chunk.toString("latin1", at, end < 0 ? chunk.length : end);
        at = end < 0 ? chunk.length : end + 1;
        if (end < 0) continue;
        const match = /^([0-9a-f]{40,64}) \w+ (\d+)$/.exec(header);
        // git says so of an object that went away in between: what follows is not what was asked for.
        if (!match) throw new Gone(header.slice(0, 100));
        id = match[1]!;
        left = Number(match[2]) + 1;
        header = "";
        continue;
      }
      const take = Math.min(left, chunk.length - at);
      const part = chunk.subarray(at, at + (take === left ? take - 1 : take));
      at += take;
      left -= take;
      if (part.length > 0) yield { id, part };
    }
}
