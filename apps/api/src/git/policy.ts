import type { ApprovalPolicy, EvidenceRecord } from "@x1agent/contract";
import { testRisks, testsUnknown } from "./counts.ts";
import { verificationSentence } from "./evidence.ts";

/** `auto` publishes without a person; `person` says why not. */
export type PolicyDecision = { kind: "auto" } | { kind: "person"; reasons: string[] };

/** Whether a path matches a glob: `**` is any run of characters, `*` and `?` stay within one folder. Pure. */
export function matchesGlob(glob: string, path: string): boolean {
  const source = glob.replace(/\*\*\/?|\*|\?|[.+^${}()|[\]\\]/g, (part) => {
    if (part === "**/") return "(?:[^]*/)?";
    if (part === "**") return "[^]*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    return `\\${part}`;
  });
  return new RegExp(`^${source}$`, "u").test(path);
}

/**
 * Decides who approves. Agent-made tests prove nothing about the agent's change, so a flagged path always goes to a
 * person, whatever the policy allows; so does anything that was not taken as it was. Pure.
 */
export function decideByPolicy(record: EvidenceRecord, policy: ApprovalPolicy): PolicyDecision {
  if (policy.mode !== "auto") return { kind: "person", reasons: ["The project's policy is that a person approves."] };
  const reasons: string[] = [];
  const { verification, files } = record;
  if (verification.passed !== true)
    reasons.push(`The verification did not pass: ${verificationSentence(verification)}.`);
  if (verification.withBaseTests && !verification.withBaseTests.passed)
    reasons.push("With the base's own tests the verification did not pass.");
  const unknown = testsUnknown(record);
  const risks = [...(record.risks ?? []), ...testRisks(record), ...(unknown ? [unknown] : [])];
  for (const said of new Set(risks.map(({ kind, reason }) => `${kind}: ${reason}.`))) reasons.push(said);
  if (verification.commit !== record.commit) reasons.push("Another commit was verified.");
  for (const { path, flags } of files.filter((file) => file.flags.length > 0).slice(0, 20))
    reasons.push(`${path} is protected: ${flags.join(", ")}.`);
  for (const { path } of files
    .filter((file) => !policy.paths.some((glob) => matchesGlob(glob, file.path)))
    .slice(0, 20))
    reasons.push(`${path} is outside the policy's paths.`);
  for (const { path } of files.filter((file) => file.binary).slice(0, 20)) reasons.push(`${path} is binary.`);
  const taken = record.named.filter((name) => !name.endsWith(": ignored, not taken"));
  if (taken.length) reasons.push(`Something was not taken as it was: ${taken[0]}.`);
  if (files.length === 0) reasons.push("There is no change.");
  if (files.length > policy.maxFiles)
    reasons.push(`${files.length} files changed, the policy allows ${policy.maxFiles}.`);
  const lines = record.insertions + record.deletions;
  if (lines > policy.maxLines) reasons.push(`${lines} lines changed, the policy allows ${policy.maxLines}.`);
  if (record.costMicros > policy.maxCostMicros) reasons.push("It cost more than the policy allows.");
  return reasons.length ? { kind: "person", reasons } : { kind: "auto" };
}
