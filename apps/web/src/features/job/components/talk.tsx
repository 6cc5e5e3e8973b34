import { useMutation } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";

type Job = RouteResponse<"getJob">;
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
      {answer.isError ? <Failure error={answer.error} /> : null}
    </fieldset>
  );
}

/** Says something to the running agent. */
export function MessageBox({ jobId }: { jobId: string }) {
  const [content, setContent] = useState("");
  const send = useMutation({
    mutationFn: (mode: "queue" | "steer" | "interrupt") =>
      client.injectMessage({ params: { jobId }, body: { id: crypto.randomUUID(), content, mode } }),
    onSuccess: () => setContent(""),
  });
  const modes = [
    ["queue", "Send after this turn"],
    ["steer", "Steer now"],
    ["interrupt", "Interrupt and send"],
  ] as const;
  return (
    <section className="card" aria-label="Message">
      <label>
        Message to the agent
        <textarea rows={3} value={content} onChange={(event) => setContent(event.target.value)} />
      </label>
      <div className="buttons">
        {modes.map(([mode, name]) => (
          <Button key={mode} disabled={!content.trim() || send.isPending} onClick={() => send.mutate(mode)}>
            {name}
          </Button>
        ))}
      </div>
      {send.isError ? <Failure error={send.error} /> : null}
    </section>
  );
}
