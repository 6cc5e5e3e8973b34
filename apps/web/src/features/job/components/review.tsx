import { useQuery } from "@tanstack/react-query";
import { formatUsd } from "@x1agent/contract";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client } from "../../../lib/client.ts";
import { formatDuration, visible } from "../../../lib/format.ts";
import type { Evidence } from "../review.ts";

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
