import type { EvidenceRecord, EvidenceRisk } from "@x1agent/contract";
import { visible } from "./diff.ts";

/** What a flag of a file has to do with the outcome of a verification. */
const judging: Readonly<Record<string, string>> = {
  test: "test",
  manifest: "manifest with its scripts",
  lock: "lock file",
  config: "configuration",
  dotfile: "dotfile",
  script: "script",
  executable: "program",
  symlink: "link",
};
/** Files that are named; the rest is counted. */
const MAX_NAMED = 10;

/** Whether a command has the path among its words, from the top of the tree or from a folder that it changes to. Pure. */
function isNamed(words: ReadonlySet<string>, path: string): boolean {
  if (words.has(path)) return true;
  const parts = path.split("/");
  // A word without an ending (`npm test`) is no file's name.
  return parts.some((_, at) => {
    const rest = parts.slice(at).join("/");
    return rest.includes(".") && words.has(rest);
  });
}

/**
 * Whether the change touches what decides about it: tests, what runs them, or a file that the commands name. Then "passed" is
 * in part the change's own word, and that is said in one sentence, however many paths it is. Pure.
 */
export function judgeRisks({ files, verification }: Pick<EvidenceRecord, "files" | "verification">): EvidenceRisk[] {
  const { setup, verify } = verification;
  if (!verify) return [];
  const words = new Set(
    `${setup?.command ?? ""} ${verify.command}`.split(/[\s;|&()<>"'`=]+/).map((word) => word.replace(/^(\.\/)+/, "")),
  );
  const touched = files.flatMap(({ path, flags }) => {
    const named = isNamed(words, path) ? ["named by the command"] : [];
    const why = [...named, ...flags.flatMap((flag) => judging[flag] ?? [])];
    return why.length > 0 ? [`${visible(path).slice(0, 200)} (${why.join(", ")})`] : [];
  });
  if (touched.length === 0) return [];
  const rest = touched.length > MAX_NAMED ? ` and ${touched.length - MAX_NAMED} more` : "";
  return [
    {
      kind: "judge_changed",
      reason: `the change touches what judges it: ${touched.slice(0, MAX_NAMED).join(", ")}${rest}`,
    },
  ];
}
