import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * What a job's repository holds besides its commits, as the scripts inside read it (`lay.ts`):
 *
 *   lfs        path, id of the pointer, id of its content
 *   submodule  path, commit, id of the tree to fill it with where that is not the commit's own
 *   nested     path, commit or tree, path of the submodule that holds it
 */
export type ContentEntry = { kind: "lfs" | "submodule" | "nested"; path: string; id: string; also: string };

/** The list's name within a job's repository. */
export const contentFile = "x1-content";

/** Writes the list anew, whole or not at all: workspaces read it. Gives its text. */
export async function writeContent(jobRepository: string, entries: readonly ContentEntry[]): Promise<string> {
  const text = entries.map(lineOf).join("");
  await put(jobRepository, text);
  return text;
}

/** Adds entries to the list, those that it has not yet. */
export async function addContent(jobRepository: string, entries: readonly ContentEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const known = await readFile(join(jobRepository, contentFile), "utf8").catch(() => "");
  const lines = entries.map(lineOf).filter((line) => !`\0${known}`.includes(`\0${line}`));
  if (lines.length > 0) await put(jobRepository, known + lines.join(""));
}

const lineOf = ({ kind, path, id, also }: ContentEntry) => `${kind}\0${path}\0${id}\0${also}\0`;

async function put(jobRepository: string, text: string): Promise<void> {
  const aside = join(jobRepository, `${contentFile}.new`);
  await writeFile(aside, Buffer.from(text, "utf8"), { mode: 0o644 });
  await rename(aside, join(jobRepository, contentFile));
}
