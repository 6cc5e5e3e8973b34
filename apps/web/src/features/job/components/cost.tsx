import { useQuery } from "@tanstack/react-query";
import { formatUsd } from "@x1agent/contract";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { formatDuration, visible } from "../../../lib/format.ts";
import { callsQuery } from "../../../lib/queries.ts";

/** Model calls as the sidecar metered them. */
export function Cost({ jobId }: { jobId: string }) {
  const calls = useQuery(callsQuery(jobId));
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
