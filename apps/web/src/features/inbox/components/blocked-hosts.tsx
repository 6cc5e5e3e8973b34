import { Link } from "@tanstack/react-router";
import { ShieldX } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import type { BlockedHost } from "../../../lib/inbox.ts";
import { useMay } from "../../../lib/queries.ts";

const during = { setup: "set-up", agent: "the agent's work", verify: "verification" } as const;

/** Hosts that one job at work was refused: each is allowed for the job or its whole project, or put away. */
export function BlockedHosts({ hosts, putAway }: { hosts: readonly BlockedHost[]; putAway(host: BlockedHost): void }) {
  const [first] = hosts;
  if (!first) return null;
  const title = visible(first.title);
  return (
    <li className="item" aria-label={`Refused hosts of ${title}`}>
      <div className="item-head">
        <span className="state waiting">
          <ShieldX size={16} aria-hidden /> {hosts.length === 1 ? "refused host" : "refused hosts"}
        </span>
        <Link to="/jobs/$jobId" params={{ jobId: first.jobId }} className="title" title={title}>
          {title}
        </Link>
        <Age at={first.lastAt} />
      </div>
      <ul className="hosts">
        {hosts.map((host) => (
          <Host key={`${host.host}:${host.port}`} host={host} putAway={() => putAway(host)} />
        ))}
      </ul>
    </li>
  );
}

function Host({ host, putAway }: { host: BlockedHost; putAway(): void }) {
  const mayGrant = useMay("admin");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const name = visible(host.host);
  const allow = async (kind: "job" | "project") => {
    setBusy(true);
    setError(null);
    try {
      await client.createGrant({
        body: {
          subject: { kind, id: kind === "job" ? host.jobId : host.projectId },
          type: "egress",
          details: { pattern: host.host, ports: [host.port], phases: host.phases },
          scope: "persistent",
          reason: `Refused to ${host.jobId}, then allowed from the inbox.`,
        },
      });
      void queryClient.invalidateQueries({ queryKey: ["grants"] });
      putAway();
    } catch (cause) {
      setError(cause);
    } finally {
      setBusy(false);
    }
  };
  return (
    <li aria-label={name}>
      <span className="host">
        <code>
          {name}:{host.port}
        </code>{" "}
        <span className="quiet">
          {host.count === 1 ? "once" : `${host.count} times`}, during{" "}
          {host.phases.map((phase) => during[phase]).join(" and ")}
          {host.code === "egress_blocked" ? "" : " · its address is a private or reserved one"}
        </span>
      </span>
      <span className="buttons">
        {mayGrant && host.code === "egress_blocked" ? (
          <>
            <Button disabled={busy} onClick={() => void allow("job")}>
              Allow for this job
            </Button>
            <Button disabled={busy} onClick={() => void allow("project")}>
              Allow for the project
            </Button>
          </>
        ) : null}
        <Button onClick={putAway}>Put away</Button>
      </span>
      {error ? <Failure error={error} /> : null}
    </li>
  );
}
