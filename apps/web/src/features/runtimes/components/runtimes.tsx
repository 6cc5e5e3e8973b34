import { useMutation, useQuery } from "@tanstack/react-query";
import type { Capability, RouteResponse } from "@x1agent/contract";
import { CircleCheck, CircleDashed, CircleX } from "lucide-react";
import { useEffect, useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Only } from "../../../components/only.tsx";
import { Popover } from "../../../components/popover.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { formatBytes, formatDuration, visible } from "../../../lib/format.ts";
import { runtimesQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import "../../../components/ledger.css";
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
      <p className="lead">
        Agent CLIs that do the work. Each passes the same contract, runs isolated, and is installed here at an exact
        version.{" "}
        <Popover
          label="Capabilities"
          trigger={
            <button type="button" className="link">
              What they can do
            </button>
          }
        >
          <dl className="facts">
            {capabilities.map((name) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{meaning[name]}</dd>
              </div>
            ))}
          </dl>
        </Popover>
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

/** Follows a long call line by line to its end; rejects with the sentence of a failure. */
function useFollowed(route: "installRuntime" | "testRuntime", name: string) {
  const [lines, setLines] = useState<string[]>([]);
  const work = useMutation({
    mutationFn: async () => {
      setLines([]);
      let last = "";
      for await (const line of client.lines(route, { params: { name } })) {
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
  return { work, lines };
}

function Entry({ runtime: { manifest, installed, installing, testing = false, test } }: { runtime: Runtime }) {
  const { work: install, lines } = useFollowed("installRuntime", manifest.name);
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
      {installed ? <SelfTest manifest={manifest} testing={testing} test={test} /> : null}
      <ul className="capabilities" aria-label="Capabilities">
        {capabilities.map((name) => {
          const has = manifest.capabilities.includes(name);
          return (
            <li key={name} className={has ? undefined : "lacks"}>
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

type Tested = { test: Runtime["test"] };
/** What the last self-test found, and the button for the next one. A failure is the test's result, told like any other. */
function SelfTest({ manifest, testing, test }: Tested & { manifest: Runtime["manifest"]; testing: boolean }) {
  const { work, lines } = useFollowed("testRuntime", manifest.name);
  const busy = work.isPending || testing;
  return (
    <section className="self-test" aria-label={`Self-test of ${manifest.title}`}>
      <div className="head">
        <h3>Self-test</h3>
        <span role="status">{busy ? <Busy line={lines.at(-1)} /> : <Verdict test={test} />}</span>
        <Only scope="admin">
          <Button disabled={busy} onClick={() => work.mutate()}>
            Test now
          </Button>
        </Only>
      </div>
      {test?.ok === false && !busy ? <p className="bad">{visible(test.detail ?? "No reason was given.")}</p> : null}
      {test?.ok ? (
        <dl className="figures">
          <div>
            <dt>Ready after</dt>
            <dd className="mono">{test.startMs === null ? "not measured" : formatDuration(test.startMs)}</dd>
          </div>
          <div>
            <dt>Memory when idle</dt>
            <dd className="mono">
              {test.memory === null ? "not measured" : formatBytes(test.memory.bytes)}
              {test.memory?.by === "rss" ? <span className="quiet"> shared pages counted in full</span> : null}
            </dd>
          </div>
        </dl>
      ) : null}
      {test && test.version !== manifest.version ? (
        <p className="quiet">
          That was version <span className="mono">{visible(test.version)}</span>.
        </p>
      ) : null}
      <p className="quiet small">
        Starts the CLI here in an empty workspace without network, until it takes messages. No model is called.
      </p>
      {work.isError && test?.ok !== false ? <Failure error={work.error} retry={() => work.mutate()} /> : null}
    </section>
  );
}

function Verdict({ test }: Tested) {
  if (!test)
    return (
      <span className="state neutral">
        <CircleDashed size={16} aria-hidden /> not yet
      </span>
    );
  return (
    <>
      <span className={test.ok ? "state good" : "state bad"}>
        {test.ok ? <CircleCheck size={16} aria-hidden /> : <CircleX size={16} aria-hidden />}
        {test.ok ? "passed" : "failed"}
      </span>{" "}
      <span className="quiet">
        <Age at={test.at} />
      </span>
    </>
  );
}

/** The step it is at and for how long: its end is not countable. */
function Busy({ line }: { line: string | undefined }) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((before) => before + 1), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="state running">
      {line && !line.startsWith("{") ? visible(line) : "testing"}
      <span className="mono quiet"> {seconds}s</span>
    </span>
  );
}
