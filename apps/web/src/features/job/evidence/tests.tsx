import { useQuery } from "@tanstack/react-query";
import { CircleAlert, CircleCheck, CircleDashed, MessageSquareQuote } from "lucide-react";
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Failure, Loading } from "../../../components/states.tsx";
import { Played } from "../../../components/terminal.tsx";
import { client } from "../../../lib/client.ts";
import { formatDuration, visible } from "../../../lib/format.ts";
import type { Evidence } from "../review.ts";
import { type Compared, compareTests, firstFailure, type Groups } from "./test-log.ts";

type Run = Evidence["record"]["verification"];
type Command = NonNullable<Run["verify"]>;
/** A log is read in the page up to this size, in UTF-16 units; the rest is in the download. */
const MAX_LOG = 2_000_000;
const titles: Record<keyof Groups, string> = {
  newlyFailing: "Fail now, and did not before",
  newlyPassing: "Pass now, and did not before",
  stillFailing: "Failed before and fail now",
  gone: "Ran before and do not any more",
  rest: "As before",
};

/** The verify command before and after, as the platform ran it; then its tests by name, as its output tells them. */
export function Tests({ evidence }: { evidence: Evidence }) {
  const { baseline, verification } = evidence.record;
  const base = verification.withBaseTests;
  const before = useLog(evidence.jobId, baseline?.verify ?? null);
  const after = useLog(evidence.jobId, verification.verify);
  const again = useLog(evidence.jobId, base?.verify ?? null);
  const groups = useMemo(
    () => compareTests(before.text, after.text, again.text ? [again.text] : []),
    [before.text, after.text, again.text],
  );
  const some = Object.values(groups).some(({ length }) => length > 0);
  return (
    <>
      <div className="pair runs">
        <RunCard name="Before" hint="at the base commit" run={baseline} />
        <RunCard name="After" hint="at the collected commit" run={verification} />
      </div>
      {base ? (
        <p className={base.passed ? "check good" : "check bad"}>
          {base.passed ? <CircleCheck size={16} aria-hidden /> : <CircleAlert size={16} aria-hidden />}
          With the base's own tests put back it {base.passed ? "passed" : "failed"}.
        </p>
      ) : null}
      {(evidence.record.risks ?? []).map(({ kind, reason }) => (
        <p className="check bad" key={`${kind}: ${reason}`}>
          <CircleAlert size={16} aria-hidden /> {visible(kind).replaceAll("_", " ")}: {visible(reason)}
        </p>
      ))}
      {some ? (
        <section className="by-name" aria-label="Tests by name">
          <p className="quiet">
            <MessageSquareQuote size={14} aria-hidden /> Names and outcomes are what the command's output says.
          </p>
          {(Object.keys(titles) as (keyof Groups)[]).map((group) => (
            <Group
              key={group}
              title={titles[group]}
              tests={groups[group]}
              open={group !== "rest"}
              bad={group === "newlyFailing"}
            />
          ))}
        </section>
      ) : null}
      {verification.verify ? (
        <Log title="Log after" command={verification.verify} {...after} jobId={evidence.jobId} />
      ) : null}
      {baseline?.verify ? (
        <Log title="Log before" command={baseline.verify} {...before} jobId={evidence.jobId} />
      ) : null}
    </>
  );
}

type LogText = { text: string; isPending: boolean; error: unknown };
/** The whole output where it was kept, else its end. */
function useLog(jobId: string, command: Command | null): LogText {
  const digest = command?.outputBlob ?? null;
  const log = useQuery({
    queryKey: ["log", jobId, digest],
    queryFn: async ({ signal }) =>
      new TextDecoder().decode(await client.getBlob({ params: { jobId, digest: digest ?? "" }, signal })),
    enabled: digest !== null,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return {
    text: (log.data ?? command?.outputTail ?? "").slice(0, MAX_LOG),
    isPending: digest !== null && log.isPending,
    error: log.error,
  };
}

function RunCard({ name, hint, run }: { name: string; hint: string; run: Run | null }) {
  const passed = run?.passed ?? null;
  const tone = passed === null ? "" : passed ? "good" : "bad";
  const Icon = passed === null ? CircleDashed : passed ? CircleCheck : CircleAlert;
  return (
    <section className="card">
      <h2>
        {name} <span className="quiet">{hint}</span>
      </h2>
      <p className={`check ${tone}`}>
        <Icon size={16} aria-hidden /> {passed === null ? "not verified" : passed ? "passed" : "failed"}
      </p>
      {run?.verify ? (
        <p className="mono">
          {visible(run.verify.command)} → {run.verify.timedOut ? "timed out" : `exit ${run.verify.exitCode ?? "none"}`},{" "}
          {formatDuration(run.verify.durationMs)}
        </p>
      ) : (
        <p className="quiet">No verify command ran.</p>
      )}
      {run?.counts ? (
        <p className="reported quoted">
          The output says: {run.counts.passed} passed, {run.counts.failed} failed, {run.counts.skipped} skipped
        </p>
      ) : null}
    </section>
  );
}

const words = { passed: "passed", failed: "failed", skipped: "skipped" } as const;
const MAX_SHOWN = 200;
function Group({
  title,
  tests,
  open,
  bad,
}: {
  title: string;
  tests: readonly Compared[];
  open: boolean;
  bad: boolean;
}) {
  if (tests.length === 0) return null;
  return (
    <details open={open} className="group">
      <summary className={bad ? "bad" : ""}>
        {title} <span className="quiet">({tests.length})</span>
      </summary>
      <ul>
        {tests.slice(0, MAX_SHOWN).map(({ name, before, after, flaky }) => (
          <li key={name}>
            <span className="mono">{visible(name)}</span>
            {flaky ? <span className="tag">flaky</span> : null}
            <span className="quiet">
              {before ? words[before] : "not run"} → {after ? words[after] : "not run"}
            </span>
          </li>
        ))}
      </ul>
      {tests.length > MAX_SHOWN ? <p className="quiet">{tests.length - MAX_SHOWN} more are in the log.</p> : null}
    </details>
  );
}

/** Lines around a place that are drawn at once. */
const WINDOW = 400;
function Log({ title, command, text, isPending, error }: LogText & { title: string; command: Command; jobId: string }) {
  const lines = useMemo(() => text.split("\n"), [text]);
  const failed = command.exitCode !== 0 || command.timedOut;
  const at = failed ? firstFailure(text) : null;
  const [from, setFrom] = useState<number | null>(null);
  const start = from ?? Math.max(0, at === null ? lines.length - WINDOW : at - 20);
  const box = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => {
    const line = box.current?.querySelector(".at-failure");
    if (box.current && line instanceof HTMLElement) box.current.scrollTop = line.offsetTop - 60;
  });
  return (
    <section className="log" aria-label={title}>
      <h2>
        {title}
        {at === null ? "" : `, at the failure (line ${at + 1})`}
      </h2>
      {error ? <Failure error={error} /> : null}
      {isPending ? <Loading /> : null}
      {text === "" && !isPending && !error ? <p className="quiet">It printed nothing.</p> : null}
      <Played text={text}>
        <div className="buttons">
          {start > 0 ? <Button onClick={() => setFrom(Math.max(0, start - WINDOW))}>Earlier lines</Button> : null}
          {start + WINDOW < lines.length ? <Button onClick={() => setFrom(start + WINDOW)}>Later lines</Button> : null}
        </div>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard */}
        <pre ref={box} tabIndex={0}>
          {lines.slice(start, start + WINDOW).map((line, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a log never changes
            <span key={start + index} className={start + index === at ? "at-failure" : ""}>
              {visible(line.slice(0, 5_000))}
              {"\n"}
            </span>
          ))}
        </pre>
      </Played>
    </section>
  );
}
