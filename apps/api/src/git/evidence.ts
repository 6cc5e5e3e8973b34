import {
  ApprovalSubject,
  EvidenceRecord,
  type Verification,
  withheldSentence,
  withholdSecrets,
} from "@x1agent/contract";
import { testRisks } from "./counts.ts";
import { visible } from "./diff.ts";
import { pullRequestDigest, recordDigest } from "./digest.ts";
import { judgeRisks } from "./judge.ts";
import { leakText } from "./leaks.ts";
import type { Imported, Leak, PullRequestText } from "./port.ts";

/** All that one round's evidence is made from; everything in it was seen by the platform itself. */
export type EvidenceInput = Omit<
  EvidenceRecord,
  "version" | "commit" | "tree" | "files" | "insertions" | "deletions" | "named" | "risks" | "lfs"
> & {
  change: Pick<Imported, "commit" | "tree" | "files" | "insertions" | "deletions" | "named" | "lfs">;
  /** Secrets of ours that were found in what the change would publish. */
  leaks?: readonly Leak[];
};

/** Builds the record. `repository` is the parsed remote's `url`, since publishing goes to exactly that. Pure. */
export function buildEvidence({ change, leaks = [], ...rest }: EvidenceInput): EvidenceRecord {
  const { commit, tree, insertions, deletions, named, lfs } = change;
  const leaking = new Set(leaks.map(({ path }) => path));
  const files = change.files.map((file) =>
    leaking.has(file.path) && !file.flags.includes("secret") ? { ...file, flags: [...file.flags, "secret"] } : file,
  );
  const risks = [
    ...leaks.map((leak) => ({ kind: "stored_secret", reason: leakText(leak) })),
    ...judgeRisks({ ...rest, files }),
    ...testRisks(rest),
  ];
  return EvidenceRecord.parse({
    ...{ version: 1, ...rest, commit, tree, files, insertions, deletions, named },
    ...(lfs && lfs.length > 0 ? { lfs } : {}),
    ...(risks.length > 0 ? { risks } : {}),
  });
}

/** What an approval of this evidence binds to. Pure. */
export function approvalSubject(input: {
  record: EvidenceRecord;
  evidenceId: string;
  /** Value of the target branch at the remote now; null when it does not exist. */
  expectedOld: string | null;
  pullRequest: PullRequestText;
}): ApprovalSubject {
  const { record, evidenceId, expectedOld, pullRequest } = input;
  const { organizationId, jobId, attemptId, repository, base, commit, tree, targetBranch, policyVersion } = record;
  return ApprovalSubject.parse({
    ...{ version: 1, organizationId, jobId, attemptId, repository, base, commit, tree, targetBranch, policyVersion },
    ...{
      expectedOld,
      evidenceId,
      recordDigest: recordDigest(record),
      pullRequestDigest: pullRequestDigest(pullRequest),
    },
  });
}

/** Pattern of the branches that the platform itself publishes jobs to. */
export const platformBranches = "x1/job-*";

/** `x1/<job>-<slug>`: letters, digits and dashes only, whatever the title holds. Pure. */
export function targetBranchName(jobId: string, title: string): string {
  const clean = (text: string) =>
    text
      .normalize("NFKD")
      .replaceAll(/\p{M}/gu, "")
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replace(/^-+/, "");
  const slug = clean(title).slice(0, 40).replace(/-+$/, "");
  const job = clean(jobId).slice(0, 60).replace(/-+$/, "") || "job";
  return slug ? `x1/${job}-${slug}` : `x1/${job}`;
}

/** Indented text is code in Markdown: nothing in it is a heading, link, image, mention or tag of ours. */
const quoted = (text: string, max: number): string => {
  const cut = text.length > max ? `${text.slice(0, max)}\n[cut]` : text;
  return visible(cut.replaceAll("\r\n", "\n"), true)
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
};
const inline = (text: string): string => `\`${visible(text).replaceAll("`", "'").slice(0, 200)}\``;
const dollars = (micros: number) => `$${(micros / 1_000_000).toFixed(4)}`;

const lookAt: Record<string, string> = { judge_changed: "look at what judges it", stored_secret: "a secret" };

/** Title and body of the pull request: the platform's facts first, the agent's words framed as such, no secret by its form in either. Pure. */
export function pullRequestText(input: {
  title: string;
  record: EvidenceRecord;
  agentSummary: string | null;
  /** Lines of ours above the evidence, such as the issue that it closes. */
  lead?: readonly string[];
}): PullRequestText {
  const { record } = input;
  // Both are part of what is approved: what is withheld is so before anybody looks, and before characters are shown as escapes.
  const [title, summary] = [withholdSecrets(input.title), withholdSecrets(input.agentSummary?.trim() ?? "")];
  const flagged = record.files.filter(({ flags }) => flags.length > 0);
  const lines = [
    ...(input.lead?.length ? [...input.lead, ""] : []),
    "## Evidence",
    "",
    `- job ${inline(record.jobId)}, round ${record.round}, base ${inline(record.base)}, commit ${inline(record.commit)}`,
    `- ${record.files.length} files, +${record.insertions} -${record.deletions}, cost ${dollars(record.costMicros)}`,
    `- ${verificationSentence(record.verification)}`,
    ...(record.baseline ? [`- before the change: ${verificationSentence(record.baseline)}`] : []),
    ...(record.risks ?? []).map(({ kind, reason }) => `- ${lookAt[kind] ?? "look at the tests"}: ${inline(reason)}`),
    ...flagged.slice(0, 50).map(({ path, flags }) => `- look at ${inline(path)}: ${flags.join(", ")}`),
    ...(flagged.length > 50 ? [`- and ${flagged.length - 50} more flagged files`] : []),
    ...record.named.slice(0, 20).map((name) => `- ${inline(name)}`),
    ...(record.notes ?? []).map((note) => `- ${inline(note)}`),
    ...record.egressBlocked
      .slice(0, 20)
      .map(({ host, port, count }) => `- blocked ${count} times: ${inline(`${host}:${port}`)}`),
    "",
    `Digest of the evidence: ${inline(recordDigest(record))}`,
  ];
  if (summary.text) lines.push("", "## The agent's own words (unchecked)", "", quoted(summary.text, 4_000));
  const body = withholdSecrets(lines.join("\n"));
  const said = withheldSentence([...new Set([title, summary, body].flatMap(({ withheld }) => withheld))]);
  return {
    title: visible(title.text.replaceAll(/\s+/g, " ").trim()).slice(0, 200) || "Change by an agent",
    body: said === null ? body.text : `${body.text}\n\n${said}`,
  };
}

/** One sentence on a verification, for texts and lists. Pure. */
export function verificationSentence({ passed, verify, setup, counts, withBaseTests }: Verification): string {
  if (setup && setup.exitCode !== 0) return `set-up ended with ${setup.exitCode ?? setup.signal ?? "no status"}`;
  if (!verify || passed === null) return "no verify command is set: nothing was verified";
  const end = verify.timedOut ? "ran out of time" : `ended with ${verify.exitCode ?? verify.signal ?? "no status"}`;
  const told = counts ? `; reported: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped` : "";
  const base = withBaseTests ? `; with the base's own tests: ${withBaseTests.passed ? "passed" : "did not pass"}` : "";
  return `${inline(verify.command)} ${end}${told}${base}`;
}
