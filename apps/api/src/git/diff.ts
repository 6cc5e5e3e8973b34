import type { DiffFile } from "@x1agent/contract";

/**
 * What people and policies see of a change, made from raw tree entries: no rename guessing, no attributes, no text
 * conversion, so that nothing in the change can hide a part of it. All pure.
 */
export type RawEntry = { oldMode: string; newMode: string; oldId: string; newId: string; path: Buffer };

/**
 * Text with every character that could act on a terminal or reorder a line shown as an escape: controls, ESC,
 * bidirectional marks, other invisible format characters. Newline and tab stay when `multiline`.
 */
export function visible(text: string, multiline = false): string {
  return text.replace(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Variation_Selector}|\u115f|\u1160|\u3164|\uffa0/gu, (char) => {
    if (multiline && (char === "\n" || char === "\t")) return char;
    const code = char.codePointAt(0)!;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** Bytes as text: valid UTF-8 as it is, otherwise every byte that is not plain ASCII as `\xNN`, so that none is swallowed. */
export function nameOf(path: Buffer): string {
  const text = path.toString("utf8");
  if (Buffer.from(text, "utf8").equals(path)) return text;
  return [...path]
    .map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
    )
    .join("");
}

/** Parses `diff-tree -r --raw -z --no-renames --no-abbrev`. */
export function parseRaw(output: Buffer): RawEntry[] {
  const entries: RawEntry[] = [];
  const fields = splitNul(output);
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const match = /^:(\d{6}) (\d{6}) ([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ([AMDT])\d*$/.exec(
      fields[index]!.toString("latin1"),
    );
    if (!match) throw new TypeError("unexpected line in a raw diff");
    entries.push({
      oldMode: match[1]!,
      newMode: match[2]!,
      oldId: match[3]!,
      newId: match[4]!,
      path: fields[index + 1]!,
    });
  }
  return entries;
}

/** Parses `diff-tree --numstat -z --no-renames`: by path as latin1 text, so that any bytes are a key. */
export function parseNumstat(output: Buffer): Map<string, { insertions: number | null; deletions: number | null }> {
  const counts = new Map<string, { insertions: number | null; deletions: number | null }>();
  for (const field of splitNul(output)) {
    const match = /^(\d+|-)\t(\d+|-)\t([\s\S]*)$/.exec(field.toString("latin1"));
    if (!match) continue;
    const number = (text: string) => (text === "-" ? null : Number(text));
    counts.set(match[3]!, { insertions: number(match[1]!), deletions: number(match[2]!) });
  }
  return counts;
}

function splitNul(output: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = output.indexOf(0); end >= 0; end = output.indexOf(0, start)) {
    parts.push(output.subarray(start, end));
    start = end + 1;
  }
  return parts;
}

/** Joins raw entries and counts into what the contract shows. `secrets` holds paths (latin1) whose new lines look like credentials. */
export function describeFiles(
  entries: readonly RawEntry[],
  counts: ReadonlyMap<string, { insertions: number | null; deletions: number | null }>,
  secrets: ReadonlySet<string> = new Set(),
): DiffFile[] {
  return entries.map((entry) => {
    const key = entry.path.toString("latin1");
    const count = counts.get(key) ?? { insertions: null, deletions: null };
    const path = nameOf(entry.path);
    const flags = flagsOf(path, entry);
    if (secrets.has(key)) flags.push("secret");
    return {
      path,
      status: statusOf(entry),
      oldMode: entry.oldMode,
      newMode: entry.newMode,
      ...count,
      binary: count.insertions === null,
      flags,
    };
  });
}

function statusOf({ oldMode, newMode }: RawEntry): DiffFile["status"] {
  if (oldMode === "000000") return "added";
  if (newMode === "000000") return "deleted";
  return oldMode.slice(0, 3) === newMode.slice(0, 3) ? "modified" : "type_changed";
}

const lockFiles =
  /^(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.ya?ml|bun\.lockb?|deno\.lock|cargo\.lock|poetry\.lock|uv\.lock|pdm\.lock|pipfile\.lock|gemfile\.lock|composer\.lock|go\.sum|flake\.lock|mix\.lock|pubspec\.lock|podfile\.lock|gradle\.lockfile)$/;
const manifests =
  /^(package\.json|pnpm-workspace\.ya?ml|deno\.jsonc?|cargo\.toml|pyproject\.toml|setup\.(py|cfg)|requirements[\w.-]*\.(txt|in)|pipfile|gemfile|[\w.-]+\.gemspec|composer\.json|go\.(mod|work)|pom\.xml|build\.gradle(\.kts)?|settings\.gradle(\.kts)?|mix\.exs|pubspec\.yaml|podfile|[\w.-]+\.csproj|directory\.build\.props|nuget\.config|flake\.nix)$/;
const configurations =
  /^(tsconfig[\w.-]*\.json|jsconfig\.json|biome\.jsonc?|[\w.-]+\.config\.([cm]?[jt]s|json)|vitest\.[\w.]+|jest\.[\w.]+|karma\.[\w.]+|conftest\.py|pytest\.ini|tox\.ini|noxfile\.py|makefile|gnumakefile|justfile|rakefile|taskfile\.ya?ml|cmakelists\.txt|meson\.build|dockerfile[\w.-]*|[\w.-]+\.dockerfile|docker-compose[\w.-]*\.ya?ml|compose[\w.-]*\.ya?ml|procfile|codeowners|build\.rs|build\.zig|lerna\.json|nx\.json|turbo\.json|phpunit[\w.-]*\.xml)$/;
const instructions =
  /^(agents(\.override)?|claude(\.local)?|gemini|copilot-instructions|skill|soul|memory|conventions)\.md$|^\.(cursorrules|windsurfrules|clinerules|goosehints)$|\.mdc$/;
const tests =
  /(^|\/)(tests?|specs?|__tests__|__snapshots__|fixtures|testdata|e2e|cypress)\/|([._-](test|tests|spec)\.[a-z0-9]+$)|(^|\/)(test|tests|spec)[._-][^/]*$|(^|\/)[^/]*tests?\.(java|kt|cs|swift|scala|php)$|_test\.[a-z]+$|(^|\/)(test|tests|spec)\.[a-z0-9]+$|\.snap$/;
const ci =
  /^(\.github\/(workflows|actions)\/|\.gitlab-ci|\.circleci\/|\.buildkite\/|\.drone|\.travis|\.woodpecker|\.forgejo\/|\.gitea\/|\.ci\/|ci\/|azure-pipelines|jenkinsfile|bitbucket-pipelines|appveyor)/;
const scripts = /(^|\/)(scripts?|bin|hack|tools?)\/|\.(sh|bash|zsh|fish|ps1|bat|cmd)$/;

/** Why a person must look at a path. Letter case is ignored: file systems that ignore it would treat the names as one. */
export function flagsOf(path: string, entry: Pick<RawEntry, "oldMode" | "newMode">): string[] {
  const lower = path.toLowerCase();
  const name = lower.slice(lower.lastIndexOf("/") + 1);
  const modes = [entry.oldMode, entry.newMode];
  const rules: [string, boolean][] = [
    ["test", tests.test(lower)],
    ["manifest", manifests.test(name)],
    ["lock", lockFiles.test(name)],
    ["config", configurations.test(name)],
    ["dotfile", lower.split("/").some((part) => part.startsWith("."))],
    ["ci", ci.test(lower)],
    ["instructions", instructions.test(name)],
    ["script", scripts.test(lower)],
    ["executable", entry.newMode === "100755" && entry.oldMode !== "100755"],
    ["symlink", modes.includes("120000")],
    ["submodule", modes.includes("160000") || name === ".gitmodules"],
  ];
  return rules.flatMap(([flag, holds]) => (holds ? [flag] : []));
}

const secretPatterns = [
  /-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----/,
  /\bAKIA[0-9A-Z]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{36,}\b/,
  /\bgithub_pat_[A-Za-z0-9_]{50,}\b/,
  /\bglpat-[A-Za-z0-9_-]{20,}\b/,
  /\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}\b/,
  /\bxox[abprs]-[A-Za-z0-9-]{20,}\b/,
  /\bAIza[0-9A-Za-z_-]{35}\b/,
  /\bnpm_[A-Za-z0-9]{36}\b/,
  /\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}/,
];

/** Whether a text holds something that looks like a credential. */
export const looksSecret = (text: string): boolean => secretPatterns.some((pattern) => pattern.test(text));

/** Whether a link's target, seen from the link's folder, leads out of the tree or into `.git`. */
export function leavesTree(linkPath: string, target: string): boolean {
  if (target === "" || target.startsWith("/")) return true;
  const at = linkPath.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (at.length === 0) return true;
      at.pop();
    } else at.push(part);
    if (at.some((folder) => folder.toLowerCase() === ".git")) return true;
  }
  return false;
}
