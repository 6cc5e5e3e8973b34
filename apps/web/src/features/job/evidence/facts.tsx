import type { LiveEvent } from "@x1agent/client";
import { BadgeCheck, MessageSquareQuote } from "lucide-react";
import { useMemo } from "react";
import { CopyLine } from "../../../components/copy.tsx";
import { formatDuration, visible } from "../../../lib/format.ts";
import type { Evidence } from "../review.ts";

/** What the platform itself collected, beside what the agent claimed; then the commands and hosts of the round. */
export function EvidenceFacts({
  evidence,
  events,
  runtime,
}: {
  evidence: Evidence;
  events: readonly LiveEvent[];
  runtime: string;
}) {
  const { record } = evidence;
  const seen = useMemo(() => seenOf(events, evidence), [events, evidence]);
  const { passed } = record.verification;
  const facts: [string, string][] = [
    ["Repository", record.repository],
    ["Base", record.base],
    ["Commit", record.commit],
    ["Tree", record.tree],
    ["Branch", record.targetBranch],
    ["Policy", record.policyVersion],
  ];
  return (
    <div className="evidence">
      <div className="pair">
        <section className="card" aria-label="Claimed">
          <h2>
            <MessageSquareQuote size={16} aria-hidden /> Claimed by {runtime}
          </h2>
          <p className="reported quoted text">
            {seen.claim ? visible(seen.claim.slice(0, 4_000)) : "Nothing was said."}
          </p>
        </section>
        <section className="card" aria-label="Observed">
          <h2 className="seal">
            <BadgeCheck size={16} aria-hidden /> Observed
          </h2>
          <ul className="plain-list">
            <li>
              {record.files.length} {record.files.length === 1 ? "file" : "files"} changed, +{record.insertions} −
              {record.deletions}
            </li>
            <li>
              The verify command{" "}
              {passed === null
                ? "did not run"
                : passed
                  ? "passed at the collected commit"
                  : "failed at the collected commit"}
            </li>
            {record.baseline ? (
              <li>
                Before the change it{" "}
                {record.baseline.passed === null ? "did not run" : record.baseline.passed ? "passed" : "failed"}
              </li>
            ) : null}
            {record.named.length > 0 ? (
              <li>Found and not taken as it was: {visible(record.named.join(", "))}</li>
            ) : null}
            {record.notes?.map((note) => (
              <li key={note}>{visible(note)}</li>
            ))}
          </ul>
        </section>
      </div>
      <section>
        <h2>Digest that an approval binds</h2>
        {evidence.approvalDigest ? (
          <CopyLine text={evidence.approvalDigest} label="the approval digest" />
        ) : (
          <p className="quiet">None: this round cannot be approved.</p>
        )}
        <p className="quiet">
          The record's own digest: <code>{evidence.recordDigest}</code>
        </p>
        <dl className="facts">
          {facts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd className="mono">{visible(value)}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section>
        <h2>Commands that the platform ran</h2>
        {seen.commands.length === 0 ? <p className="quiet">None yet.</p> : null}
        <ul className="plain-list">
          {seen.commands.map(({ seq, phase, command, result, durationMs, network }) => (
            <li key={seq} className="mono">
              <span className="quiet">{visible(phase)}</span> {visible(command.slice(0, 500))} → {result},{" "}
              {formatDuration(durationMs)}, network {network}
            </li>
          ))}
        </ul>
      </section>
      <section className="pair">
        <div>
          <h2>Hosts reached</h2>
          <Hosts hosts={seen.reached} none="None beyond the model." />
        </div>
        <div>
          <h2>Hosts refused</h2>
          <Hosts
            hosts={record.egressBlocked.map(({ host, port, count }) => `${host}:${port} (${count})`)}
            none="None."
          />
        </div>
      </section>
    </div>
  );
}

function Hosts({ hosts, none }: { hosts: readonly string[]; none: string }) {
  if (hosts.length === 0) return <p className="quiet">{none}</p>;
  return (
    <ul className="plain-list mono">
      {hosts.slice(0, 200).map((host) => (
        <li key={host}>{visible(host)}</li>
      ))}
    </ul>
  );
}

const MAX_COMMANDS = 200;
/** What the attempt's events add to the record: the agent's last words, the commands that were run, the hosts reached. */
function seenOf(events: readonly LiveEvent[], evidence: Evidence) {
  let claim = "";
  const commands: {
    seq: number;
    phase: string;
    command: string;
    result: string;
    durationMs: number;
    network: string;
  }[] = [];
  const reached = new Set<string>();
  for (const { type, seq, source, attemptId, payload: p, ts } of events) {
    if (attemptId !== evidence.attemptId || seq === null) continue;
    if (type === "agent.text" && source === "reported" && typeof p.text === "string" && ts <= evidence.createdAt)
      claim = p.text;
    else if (type === "command.ended" && source === "observed" && commands.length < MAX_COMMANDS)
      commands.push({
        seq,
        phase: String(p.phase),
        command: String(p.command),
        result: p.timedOut ? "timed out" : `exit ${p.exitCode ?? "none"}`,
        durationMs: Number(p.durationMs),
        network: String(p.network),
      });
    else if (type === "egress.opened" && source === "observed") reached.add(`${p.host}:${p.port}`);
  }
  return { claim, commands, reached: [...reached] };
}
