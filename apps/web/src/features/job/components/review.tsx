import { useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { formatUsd } from "@x1agent/contract";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client } from "../../../lib/client.ts";
import { type DiffLine, parseDiff } from "../../../lib/diff.ts";
import { formatDuration, visible } from "../../../lib/format.ts";

export type Evidence = RouteResponse<"listEvidence">["items"][number];
/** Lines of one file in the page at once; more are opened on demand by the download of the whole diff. */
const MAX_LINES = 2_000;

const marks: Record<DiffLine["kind"], string> = { added: "+", removed: "-", same: " ", hunk: "", note: "" };

/** The change of one piece of evidence: risk flags first, then its files. */
export function Changes({ evidence }: { evidence: Evidence }) {
  const diff = useQuery({
    queryKey: ["diff", evidence.id],
    queryFn: ({ signal }) =>
      client.jobDiff({ params: { jobId: evidence.jobId }, query: { evidenceId: evidence.id }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (diff.isPending) return <Loading />;
  if (diff.data === undefined) return <Failure error={diff.error} retry={() => void diff.refetch()} />;
  const flagged = evidence.record.files.filter(({ flags }) => flags.length > 0);
  return (
    <>
      {flagged.length > 0 ? (
        <ul className="flags" aria-label="Risk flags">
          {flagged.map(({ path, flags }) => (
            <li key={path}>
              <strong>{flags.join(", ")}</strong> <span className="mono">{visible(path)}</span>
            </li>
          ))}
        </ul>
      ) : null}
      {parseDiff(diff.data).map(({ path, lines }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a path may occur twice, the diff never changes
        <details key={index} className="file" open={lines.length <= MAX_LINES}>
          <summary className="mono">{visible(path)}</summary>
          <table className="mono diff">
            <tbody>
              {lines.slice(0, MAX_LINES).map((line, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the diff never changes
                <tr key={at} className={line.kind}>
                  <td className="number">{line.before}</td>
                  <td className="number">{line.after}</td>
                  <td>
                    {marks[line.kind]}
                    {visible(line.text)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {lines.length > MAX_LINES ? <p>{lines.length - MAX_LINES} more lines are not shown here.</p> : null}
        </details>
      ))}
    </>
  );
}

/** The verify command before and after, as the platform ran it. */
export function Tests({ evidence }: { evidence: Evidence }) {
  const { baseline, verification } = evidence.record;
  return (
    <div className="pair">
      {[
        { name: "Before", run: baseline },
        { name: "After", run: verification },
      ].map(({ name, run }) => (
        <section key={name}>
          <h2>
            {name}: {run?.passed == null ? "not verified" : run.passed ? "passed" : "failed"}
          </h2>
          {run?.counts ? (
            <p className="reported">
              The tests say: {run.counts.passed} passed, {run.counts.failed} failed, {run.counts.skipped} skipped
            </p>
          ) : null}
          {run?.verify ? (
            <>
              <p className="mono">
                {visible(run.verify.command)} → exit {run.verify.exitCode ?? "none"},{" "}
                {formatDuration(run.verify.durationMs)}
              </p>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard */}
              <pre tabIndex={0}>{visible(run.verify.outputTail)}</pre>
            </>
          ) : (
            <p className="quiet">No verify command ran.</p>
          )}
        </section>
      ))}
    </div>
  );
}

/** What the platform itself collected, in the words of the record. */
export function EvidenceFacts({ evidence }: { evidence: Evidence }) {
  const { record } = evidence;
  const facts: [string, string][] = [
    ["Repository", record.repository],
    ["Base", record.base],
    ["Commit", record.commit],
    ["Tree", record.tree],
    ["Branch", record.targetBranch],
    ["Record digest", evidence.recordDigest],
    ["Approval digest", evidence.approvalDigest ?? "none"],
    ["Found and not taken as it was", record.named.join(", ") || "nothing"],
    [
      "Hosts refused",
      record.egressBlocked.map(({ host, port, count }) => `${host}:${port} (${count})`).join(", ") || "none",
    ],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="mono">{visible(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Model calls as the sidecar metered them. */
export function Cost({ jobId }: { jobId: string }) {
  const calls = useQuery({
    queryKey: ["job", jobId, "calls"],
    queryFn: ({ signal }) => client.listCalls({ params: { jobId }, query: { limit: 200 }, signal }),
  });
  if (calls.isPending) return <Loading />;
  if (!calls.data) return <Failure error={calls.error} retry={() => void calls.refetch()} />;
  if (calls.data.items.length === 0) return <Empty>No model call yet.</Empty>;
  return (
    <table className="plain">
      <thead>
        <tr>
          {["Model", "In", "Out", "Cost", "Took", "Outcome"].map((name) => (
            <th key={name}>{name}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {calls.data.items.map((call) => (
          <tr key={call.callId}>
            <td>{visible(call.servedModel ?? call.model)}</td>
            <td className="mono">{call.inputTokens}</td>
            <td className="mono">{call.outputTokens}</td>
            <td className="mono">
              {formatUsd(call.costMicros)}
              {call.estimated ? " (estimated)" : ""}
            </td>
            <td className="mono">{formatDuration(call.latencyMs)}</td>
            <td>{call.outcome}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
