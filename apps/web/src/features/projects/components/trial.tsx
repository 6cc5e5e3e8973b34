import { useMutation, useQuery } from "@tanstack/react-query";
import type { RouteBodyInput, RouteResponse } from "@x1agent/contract";
import { CircleAlert, CircleCheck, CircleDashed, CircleDot } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Failure } from "../../../components/states.tsx";
import { Terminal } from "../../../components/terminal.tsx";
import { client } from "../../../lib/client.ts";
import { formatBytes, formatDuration, visible } from "../../../lib/format.ts";

type Trial = RouteResponse<"getTrial">;
type Commands = RouteBodyInput<"startTrial">;

const phases = { checkout: "Checking out the base", setup: "Setting up", verify: "Verifying" } as const;
const looks = {
  running: ["running", CircleDot],
  passed: ["good", CircleCheck],
  failed: ["bad", CircleAlert],
  cancelled: ["neutral", CircleDashed],
  broken: ["bad", CircleAlert],
} as const;

/**
 * Tries the commands as they stand in the form, saved or not: `start` runs them on the base commit in a workspace
 * without an agent, and `panel` shows what they say while they do.
 */
export function useTrial(projectId: string, read: () => Commands) {
  // For this tab: a reload goes on looking at it.
  const key = `trial ${projectId}`;
  const [trialId, setTrialId] = useState(() => sessionStorage.getItem(key));
  const start = useMutation({
    mutationFn: () => client.startTrial({ params: { projectId }, body: read() }),
    onSuccess: ({ id }) => {
      sessionStorage.setItem(key, id);
      setTrialId(id);
    },
  });
  const trial = useQuery({
    queryKey: ["trial", projectId, trialId],
    queryFn: ({ signal }) => client.getTrial({ params: { projectId, trialId: trialId ?? "" }, signal }),
    enabled: trialId !== null,
    refetchInterval: ({ state }) => (state.data?.endedAt ? false : 700),
  });
  const cancel = useMutation({
    mutationFn: () => client.cancelTrial({ params: { projectId, trialId: trialId ?? "" } }),
    onSettled: () => trial.refetch(),
  });
  const running = start.isPending || (trial.data !== undefined && trial.data.endedAt === null);
  const panel = (
    <>
      {start.error ? <Failure error={start.error} /> : null}
      {trial.error ? <Failure error={trial.error} retry={() => void trial.refetch()} /> : null}
      {trial.data ? <TrialPanel trial={trial.data} cancel={cancel.isPending ? null : () => cancel.mutate()} /> : null}
    </>
  );
  return { start: () => start.mutate(), running, panel };
}

function TrialPanel({ trial, cancel }: { trial: Trial; cancel: (() => void) | null }) {
  const { state, phase, endedAt, blocked } = trial;
  const [tone, Icon] = looks[state];
  return (
    <section className="trial-run" aria-label="Trial of the commands">
      <div className="state-line">
        <span className={`state ${tone}`} role="status">
          <Icon size={16} aria-hidden /> {state === "running" ? `${phases[phase]}…` : state}
        </span>
        <span className="quiet">
          {trial.commit ? (
            <>
              at <code>{trial.commit.slice(0, 12)}</code>,{" "}
            </>
          ) : null}
          begun <Age at={trial.startedAt} />
        </span>
        {endedAt ? null : (
          <Button disabled={cancel === null} onClick={() => cancel?.()}>
            {cancel ? "Stop" : "Stopping…"}
          </Button>
        )}
      </div>
      {trial.detail ? <p className="bad">{visible(trial.detail)}</p> : null}
      <ul className="results">
        <Result name="Set-up" result={trial.setup} />
        <Result name="Verify" result={trial.verify} />
      </ul>
      {blocked.length > 0 ? (
        <p className="bad">
          Refused hosts: {blocked.map(visible).join(", ")}. What a command may reach is granted under Permissions.
        </p>
      ) : null}
      {trial.output ? (
        <div role="log" aria-label="Output">
          <Terminal text={trial.output} />
        </div>
      ) : null}
      {trial.outputBytes > 65_536 ? (
        <p className="quiet">The end of {formatBytes(trial.outputBytes)} of output.</p>
      ) : null}
    </section>
  );
}

function Result({ name, result }: { name: string; result: Trial["setup"] }) {
  if (!result) return null;
  const fine = result.exitCode === 0 && !result.timedOut;
  return (
    <li className={fine ? "good" : "bad"}>
      {fine ? <CircleCheck size={14} aria-hidden /> : <CircleAlert size={14} aria-hidden />} {name}:{" "}
      <code>{visible(result.command.split("\n")[0] ?? "")}</code>{" "}
      {result.timedOut ? "ran out of time" : `ended with ${result.exitCode ?? visible(result.signal ?? "no status")}`}{" "}
      after {formatDuration(result.durationMs)}
    </li>
  );
}
