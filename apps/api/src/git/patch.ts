import type { DiffFile, DiffFilePatch } from "@x1agent/contract";
import { looksSecret, type RawEntry } from "./diff.ts";

/** One line of a hunk: `old` and `new` are its 1-based numbers, null on the side that does not have it. */
export type PatchLine = { kind: "same" | "added" | "removed"; old: number | null; new: number | null; text: string };

/**
 * Lines of each section of a unified diff, in order. Where a hunk ends is told by the counts of its head, so that no line of
 * a file can pass for the head of another section. A diff that was cut off gives what is there. Pure.
 */
export function parsePatch(patch: string): PatchLine[][] {
  const sections: PatchLine[][] = [];
  let [oldAt, newAt, oldLeft, newLeft] = [0, 0, 0, 0];
  for (const line of patch.split("\n")) {
    const section = sections.at(-1);
    if (oldLeft > 0 || newLeft > 0) {
      if (line.startsWith("\\") || !section) continue;
      const text = line.slice(1);
      if (line.startsWith("+")) {
        section.push({ kind: "added", old: null, new: newAt++, text });
        newLeft -= 1;
      } else if (line.startsWith("-")) {
        section.push({ kind: "removed", old: oldAt++, new: null, text });
        oldLeft -= 1;
      } else {
        section.push({ kind: "same", old: oldAt++, new: newAt++, text });
        oldLeft -= 1;
        newLeft -= 1;
      }
      continue;
    }
    if (line.startsWith("diff --git ")) sections.push([]);
    const head = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (head) [oldAt, oldLeft, newAt, newLeft] = [+head[1]!, +(head[2] ?? 1), +head[3]!, +(head[4] ?? 1)];
  }
  return sections;
}

type Risk = NonNullable<DiffFile["risks"]>[number];
const MAX_RISKS = 20;

const skipped =
  /\b(?:it|test|describe|context|suite)\.(?:skip|todo|only|fails)\b|\b(?:xit|xtest|xdescribe|fit|fdescribe)\s*\(|\bskip\s*:\s*(?:true|["'])|@pytest\.mark\.(?:skip|xfail)|\bpytest\.skip\(|@unittest\.skip|\bt\.Skip(?:f|Now)?\(|@(?:Disabled|Ignore)\b|#\[ignore/;
const testHead =
  /^\s*(?:(?:it|test)(?:\.\w+)*\s*\(|(?:async\s+)?def test_|func Test\w*\(|#\[(?:tokio::)?test\]|@(?:Test|ParameterizedTest)\b)/;
const installScript = /"(?:pre|post)?(?:install|prepare|prepublish|prepack)"\s*:/;

const fileReasons: Record<string, string> = {
  ci: "runs in continuous integration, often with secrets",
  lock: "decides which code of others is installed",
  script: "is run by people or by the build",
  instructions: "tells later agents what to do",
  executable: "became executable",
  symlink: "is a link",
  submodule: "refers to another repository",
  secret: "holds something that looks like a credential",
};

/** What a person should look at, each with its reason and, where there is one, its line in the new (or, if gone, the old) file. Pure. */
export function risksOf(file: Omit<DiffFile, "risks">, lines: readonly PatchLine[]): Risk[] {
  const risks: Risk[] = [];
  const isTest = file.flags.includes("test");
  if (isTest && file.status === "deleted")
    risks.push({ kind: "test_deleted", reason: "a test file is gone", line: null });
  let found = false;
  let balance = 0;
  let firstGone: number | null = null;
  for (const line of lines) {
    if (line.kind === "same") continue;
    if (isTest && testHead.test(line.text)) {
      balance += line.kind === "added" ? 1 : -1;
      if (line.kind === "removed") firstGone ??= line.old;
    }
    if (line.kind !== "added") continue;
    const add = (kind: string, reason: string) => risks.push({ kind, reason, line: line.new });
    if (looksSecret(line.text)) {
      found = true;
      add("secret", "looks like a credential");
    }
    if (isTest && skipped.test(line.text)) add("test_skipped", "a test is skipped, or others are");
    if (file.flags.includes("manifest") && installScript.test(line.text))
      add("install_script", "runs whenever the package is installed");
  }
  if (isTest && file.status !== "deleted" && balance < 0)
    risks.push({ kind: "test_removed", reason: `${-balance} fewer tests than before`, line: firstGone });
  for (const flag of file.flags)
    if (fileReasons[flag] && !(flag === "secret" && found))
      risks.push({ kind: flag, reason: fileReasons[flag], line: null });
  if (!file.flags.includes("executable") && file.status === "modified" && file.oldMode !== file.newMode)
    risks.push({ kind: "mode", reason: `its mode went from ${file.oldMode} to ${file.newMode}`, line: null });
  return risks.slice(0, MAX_RISKS);
}

/** Adds to each file its risks. `entries` and `files` are in the diff's own order. Pure. */
export function withRisks(entries: readonly RawEntry[], files: readonly DiffFile[], patch: string): DiffFile[] {
  const sections = parsePatch(patch);
  let at = 0;
  return files.map((file, index) => {
    const { oldMode, newMode } = entries[index]!;
    // A change of type is shown as a deletion and an addition.
    const twice = file.status === "type_changed" && oldMode !== newMode;
    const lines = sections.slice(at, at + (twice ? 2 : 1)).flat();
    at += twice ? 2 : 1;
    const risks = risksOf(file, lines);
    return risks.length ? { ...file, risks } : file;
  });
}

const MAX_LINES = 2_000;
const MAX_LINE_CHARS = 4_000;
const generatedName = /\.min\.(?:js|css)$|\.map$|(?:^|\/)(?:dist|vendor|node_modules)\/|(?:^|[._/-])generated[._/-]/i;

/**
 * One page of a stored change, from the diff that was kept with it. `at` counts files, `first` lines of each that are left
 * out before those that are given. Pure.
 */
export function diffPage(
  files: readonly DiffFile[],
  diff: string,
  at: number,
  limit: number,
  first = 0,
): DiffFilePatch[] {
  const sections = parsePatch(diff);
  const wanted: DiffFilePatch[] = [];
  const cut = diff.endsWith("\n[The rest of the change is not shown: it is too long.]\n");
  let section = 0;
  for (const [index, file] of files.entries()) {
    if (index >= at + limit) break;
    const from = section;
    section += file.status === "type_changed" ? 2 : 1;
    if (index < at) continue;
    const all = sections.slice(from, section).flat();
    const given = all.slice(first, first + MAX_LINES);
    const lines = given.map((line) =>
      line.text.length > MAX_LINE_CHARS ? { ...line, text: line.text.slice(0, MAX_LINE_CHARS) } : line,
    );
    const long = given.some(({ text }) => text.length > MAX_LINE_CHARS);
    wanted.push({
      ...file,
      generated: file.flags.includes("lock") || generatedName.test(file.path),
      lines,
      ...(all.length > first + MAX_LINES ? { moreLines: true } : {}),
      truncated: all.length > first + MAX_LINES || long || (cut && section >= sections.length),
    });
  }
  return wanted;
}
