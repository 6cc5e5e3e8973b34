import {
  type Evidence,
  formatUsd,
  type Job,
  type JobDetail,
  roundText,
  type TestCounts,
  type Verification,
} from "@x1agent/contract";
import { duration, type Style } from "./style.ts";
import { visible, visibleLine } from "./visible.ts";

/** The facts of a job, one a line. */
export function jobFacts(job: Job, style: Style): string {
  const lines: [string, string][] = [
    ["job", job.id],
    ["title", visibleLine(job.title)],
    ["state", stateText(job, style)],
    ["repository", visibleLine(job.repository)],
    [
      "base",
      `${visibleLine(job.base ?? "default branch")}${job.baseCommit ? ` at ${job.baseCommit.slice(0, 12)}` : ""}`,
    ],
    ["runtime", `${visibleLine(job.runtime)} with ${visibleLine(job.model)}`],
    ["isolation", job.isolation === "process" ? style.warn("process (not isolated)") : job.isolation],
    ["attempt", `${job.attempt}, ${roundText(job)}`],
    ["cost", `${formatUsd(job.spentMicros)}${job.budgetMicros === null ? "" : ` of ${formatUsd(job.budgetMicros)}`}`],
  ];
  if (job.approvalDigest) lines.push(["digest", job.approvalDigest]);
  if (job.targetBranch) lines.push(["branch", visibleLine(job.targetBranch)]);
  if (job.publishedCommit) lines.push(["published", job.publishedCommit]);
  const facts = lines.map(([name, value]) => `${style.quiet(name.padEnd(11))}${value}`);
  for (const question of job.openQuestions) {
    facts.push(style.warn(`question [${visibleLine(question.requestId)}] ${visibleLine(question.title)}`));
    for (const option of question.options) facts.push(`  ${visibleLine(option.optionId)}: ${visibleLine(option.name)}`);
  }
  return facts.join("\n");
}

/** Where a job came from, and what became of its pull request; nothing for one that has neither. */
export function forgeFacts({ origin, pullRequest: pull }: JobDetail, style: Style): string {
  const lines: [string, string][] = [];
  if (origin)
    lines.push([
      "issue",
      `${visibleLine(origin.repository)}${origin.issueNumber === null ? "" : `#${origin.issueNumber}`}${origin.trust === "outside" ? style.warn(" (words from outside)") : ""}${origin.triggeredBy === null ? "" : ` by ${visibleLine(origin.triggeredBy)} (${origin.trigger})`}`,
    ]);
  if (pull)
    lines.push([
      "pull",
      `#${pull.number ?? "?"} ${pull.outcome === null ? pull.state : pull.outcome.replaceAll("_", " ")}${pull.followUps === 0 ? "" : `, ${pull.followUps} further ${pull.followUps === 1 ? "round" : "rounds"}`}${pull.url === null ? "" : ` ${visibleLine(pull.url)}`}`,
    ]);
  return lines.map(([name, value]) => `${style.quiet(name.padEnd(11))}${value}`).join("\n");
}

/** State with its reason. */
export function stateText(job: Job, style: Style): string {
  const paint =
    job.state === "succeeded"
      ? style.good
      : job.state.startsWith("awaiting")
        ? style.warn
        : job.endedAt
          ? style.bad
          : style.accent;
  const detail = job.reasonDetail ? ` ${visibleLine(job.reasonDetail)}` : "";
  return `${paint(job.state)} ${style.quiet(`(${job.reason})`)}${detail}`;
}

/** What the platform itself saw: what a person reads before deciding. */
export function evidenceText(evidence: Evidence, style: Style): string {
  const { record } = evidence;
  const lines = [
    style.strong(visibleLine(evidence.pullRequest.title)),
    `${style.quiet("change".padEnd(11))}${record.files.length} files ${style.good(`+${record.insertions}`)} ${style.bad(`-${record.deletions}`)}, commit ${record.commit.slice(0, 12)} on ${record.base.slice(0, 12)}`,
    ...record.files.slice(0, 200).map((file) => {
      const counts = file.binary ? "binary" : `+${file.insertions ?? 0} -${file.deletions ?? 0}`;
      const flags = file.flags.length ? style.warn(`  ! ${file.flags.join(", ")}`) : "";
      return `  ${file.status.padEnd(12)} ${visibleLine(file.path)} ${style.quiet(counts)}${flags}`;
    }),
    ...(record.files.length > 200 ? [`  … and ${record.files.length - 200} more`] : []),
    ...record.named.map((name) => style.warn(`  named: ${visibleLine(name)}`)),
    `${style.quiet("before".padEnd(11))}${verificationText(record.baseline, style)}`,
    `${style.quiet("after".padEnd(11))}${verificationText(record.verification, style)}`,
  ];
  if (record.verification.withBaseTests)
    lines.push(
      `${style.quiet("base tests".padEnd(11))}${record.verification.withBaseTests.passed ? style.good("passed") : style.bad("failed")}`,
    );
  for (const { kind, reason } of record.risks ?? [])
    lines.push(style.warn(`${"look".padEnd(11)}! ${visibleLine(kind)}: ${visibleLine(reason)}`));
  if (record.egressBlocked.length)
    lines.push(
      `${style.quiet("blocked".padEnd(11))}${record.egressBlocked.map((b) => `${visibleLine(b.host)}:${b.port} ×${b.count}`).join(", ")}`,
    );
  lines.push(
    `${style.quiet("cost".padEnd(11))}${formatUsd(record.costMicros)}`,
    `${style.quiet("publishes".padEnd(11))}branch ${visibleLine(record.targetBranch)} of ${visibleLine(record.repository)}`,
    `${style.quiet("evidence".padEnd(11))}${evidence.id} sha256:${evidence.recordDigest}`,
  );
  if (evidence.approvalDigest) lines.push(`${style.quiet("digest".padEnd(11))}${evidence.approvalDigest}`);
  return lines.join("\n");
}

/** One verification in a line; says plainly when nothing was verified. */
export function verificationText(verification: Verification | null, style: Style): string {
  if (!verification) return style.quiet("not run");
  if (!verification.verify)
    return style.warn(
      verification.setup && verification.setup.exitCode !== 0 ? "set-up failed" : "no verify command is set",
    );
  const { verify } = verification;
  const how = verify.timedOut ? "timed out" : `exit ${verify.exitCode ?? verify.signal}`;
  const word = verification.passed ? style.good("passed") : style.bad("failed");
  return `${word}: $ ${visibleLine(verify.command, 80)} → ${how} in ${duration(verify.durationMs)}${countsText(verification.counts, style)}`;
}

function countsText(counts: TestCounts | null, style: Style): string {
  if (!counts) return "";
  // Counts are the tests' own words: the platform only read them.
  return style.quiet(` (tests report ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped)`);
}

/** A unified diff with colours; the text was made safe by the service and is made safe again here. */
export function diffText(diff: string, style: Style): string {
  return visible(diff)
    .split("\n")
    .map((line) => {
      if (/^(diff |index |--- |\+\+\+ )/.test(line)) return style.strong(line);
      if (line.startsWith("@@")) return style.accent(line);
      if (line.startsWith("+")) return style.good(line);
      if (line.startsWith("-")) return style.bad(line);
      return line;
    })
    .join("\n");
}
