import { useMutation, useQuery } from "@tanstack/react-query";
import type { Capability, RouteResponse } from "@x1agent/contract";
import { CircleCheck, CircleDashed } from "lucide-react";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { runtimesQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import "../runtimes.css";

type Runtime = RouteResponse<"listRuntimes">["items"][number];

/** What each capability means to the person at the keyboard. */
const meaning: Record<Capability, string> = {
  steer: "takes a message in the middle of a turn",
  queue: "takes a message for the next turn",
  interrupt: "stops a turn on demand",
  resume: "goes on after its process was killed",
  approvals: "asks before it uses a tool",
  usage: "reports tokens by itself",
  plan: "shows its plan",
  models: "changes its model in a session",
  mcp: "connects to MCP servers",
};
const capabilities = Object.keys(meaning) as Capability[];

export function Runtimes() {
  useTitle("Runtimes");
  const runtimes = useQuery({ ...runtimesQuery, refetchInterval: 5_000 });
  return (
    <>
      <div className="head">
        <h1>Runtimes</h1>
      </div>
      <p className="quiet">
        Agent CLIs that do the work. Each passes the same contract, runs isolated, and is installed here at an exact
        version.
      </p>
      {runtimes.isPending ? (
        <Loading />
      ) : !runtimes.data ? (
        <Failure error={runtimes.error} retry={() => void runtimes.refetch()} />
      ) : runtimes.data.items.length === 0 ? (
        <Empty>
          <p>The catalogue is empty: this installation lacks its runtimes folder.</p>
        </Empty>
      ) : (
        <ul className="catalogue" aria-label="Catalogue">
          {runtimes.data.items.map((runtime) => (
            <Entry key={runtime.manifest.name} runtime={runtime} />
          ))}
        </ul>
      )}
    </>
  );
}

function Entry({ runtime: { manifest, installed, installing } }: { runtime: Runtime }) {
  const [lines, setLines] = useState<string[]>([]);
  const install = useMutation({
    mutationFn: async () => {
      setLines([]);
      let last = "";
      for await (const line of client.lines("installRuntime", { params: { name: manifest.name } })) {
        last = line;
        setLines((before) => [...before, line].slice(-200));
      }
      const end = JSON.parse(last || '{"ok":false,"detail":"The service gave no answer."}') as {
        ok: boolean;
        detail: string;
      };
      if (!end.ok) throw new Error(end.detail);
    },
    onSettled: () => queryClient.invalidateQueries(runtimesQuery),
  });
  const busy = install.isPending || installing;
  return (
    <li className="card" aria-label={manifest.title}>
      <div className="head">
        <h2>
          {manifest.title} <span className="mono quiet">{manifest.version}</span>
        </h2>
        <span className={installed ? "state good" : "state neutral"}>
          {installed ? <CircleCheck size={16} aria-hidden /> : <CircleDashed size={16} aria-hidden />}
          {installed ? "installed" : busy ? "installing" : "not installed"}
        </span>
      </div>
      <dl className="facts">
        <div>
          <dt>Licence</dt>
          <dd>
            {manifest.license}
            {manifest.redistributable ? "" : " · installed from its publisher, never passed on"}
          </dd>
        </div>
        <div>
          <dt>Speaks</dt>
          <dd>
            {manifest.api} to {manifest.provider}, <code>{manifest.defaultModel}</code> by default
          </dd>
        </div>
        {manifest.install ? (
          <div>
            <dt>Package</dt>
            <dd>
              <code>{manifest.install.package}</code>
            </dd>
          </div>
        ) : null}
      </dl>
      <ul className="capabilities" aria-label="Capabilities">
        {capabilities.map((name) => {
          const has = manifest.capabilities.includes(name);
          return (
            <li key={name} className={has ? undefined : "lacks"} title={meaning[name]}>
              {has ? "✓" : "–"} {name}
              <span className="hidden">{has ? `: ${meaning[name]}` : ": it cannot"}</span>
            </li>
          );
        })}
      </ul>
      {installed ? null : (
        <Only scope="admin">
          <div className="buttons">
            <Button look="primary" disabled={busy} onClick={() => install.mutate()}>
              {busy ? "Installing…" : `Install ${manifest.version}`}
            </Button>
          </div>
        </Only>
      )}
      {lines.length > 0 && !install.isSuccess ? (
        <pre role="log" aria-label="Installation">
          {visible(lines.join("\n"))}
        </pre>
      ) : null}
      {install.isError ? <Failure error={install.error} retry={() => install.mutate()} /> : null}
    </li>
  );
}
