import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { runtimesQuery } from "../../../lib/queries.ts";
import type { Job } from "../review.ts";

const refresh = (jobId: string) => () => queryClient.invalidateQueries({ queryKey: ["job", jobId] });

/** A question of the agent, answered in place. */
export function Question({ jobId, question }: { jobId: string; question: Job["openQuestions"][number] }) {
  const [text, setText] = useState("");
  const { requestId } = question;
  const answer = useMutation({
    mutationFn: (body: { optionId?: string; text?: string }) =>
      client.answerQuestion({ params: { jobId }, body: { requestId, ...body } }),
    onSettled: refresh(jobId),
  });
  return (
    // No landmark: an inbox may hold many questions.
    <fieldset className="card waiting" aria-label="Question">
      <h2 className="reported">{visible(question.title)}</h2>
      <Only scope="write" otherwise={<MayNot what="answer agents" />}>
        <div className="buttons">
          {question.options.map(({ optionId, name, kind }) => (
            <Button
              key={optionId}
              look={kind.startsWith("reject") ? "danger" : "plain"}
              disabled={answer.isPending}
              onClick={() => answer.mutate({ optionId })}
            >
              {visible(name)}
            </Button>
          ))}
        </div>
        {question.freeText ? (
          <>
            <label>
              Answer
              <textarea rows={2} value={text} onChange={(event) => setText(event.target.value)} />
            </label>
            <Button disabled={!text || answer.isPending} onClick={() => answer.mutate({ text })}>
              Send answer
            </Button>
          </>
        ) : null}
      </Only>
      {answer.isError ? <Failure error={answer.error} /> : null}
    </fieldset>
  );
}

const modes = {
  queue: ["After this turn", "It is told when the agent has finished what it does now."],
  steer: ["Now", "The agent hears it between two of its steps."],
  interrupt: ["Interrupt", "What it does now is stopped, and this comes first."],
} as const;
type Mode = keyof typeof modes;

/** Says something to the running agent, in the ways that its runtime can take it. */
export function MessageBox({ job }: { job: Job }) {
  const [content, setContent] = useState("");
  const [chosen, setMode] = useState<Mode>("queue");
  const runtimes = useQuery(runtimesQuery);
  const can = runtimes.data?.items.find(({ manifest }) => manifest.name === job.runtime)?.manifest.capabilities;
  const open = (Object.keys(modes) as Mode[]).filter((mode) => can?.includes(mode));
  const mode = open.includes(chosen) ? chosen : (open[0] ?? "queue");
  const send = useMutation({
    mutationFn: () =>
      client.injectMessage({ params: { jobId: job.id }, body: { id: crypto.randomUUID(), content, mode } }),
    onSuccess: () => setContent(""),
  });
  if (can && open.length === 0)
    return <p className="quiet">The runtime {job.runtime} takes no messages while it works.</p>;
  return (
    <section className="card" aria-label="Message">
      <label>
        Message to the agent
        <textarea
          rows={3}
          value={content}
          onChange={(event) => setContent(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && content.trim()) send.mutate();
          }}
        />
      </label>
      <fieldset className="modes">
        <legend className="hidden">When it is told</legend>
        {open.map((name) => (
          <label key={name} className="check">
            <input type="radio" name="mode" checked={mode === name} onChange={() => setMode(name)} /> {modes[name][0]}
          </label>
        ))}
      </fieldset>
      {open.length > 0 ? <p className="hint">{modes[mode][1]}</p> : null}
      <div className="buttons">
        <Button look="primary" disabled={!content.trim() || send.isPending} onClick={() => send.mutate()}>
          Send
        </Button>
      </div>
      {send.isError ? <Failure error={send.error} /> : null}
    </section>
  );
}
