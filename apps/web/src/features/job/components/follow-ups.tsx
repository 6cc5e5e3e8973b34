import { useMutation, useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { GitMerge, MessageSquareText, TestTubeDiagonal } from "lucide-react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { OutLink } from "../../../components/out-link.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { jobQuery } from "../../../lib/queries.ts";

type FollowUp = RouteResponse<"listFollowUps">["items"][number];
const icons = { review: MessageSquareText, checks: TestTubeDiagonal, base: GitMerge };
const kinds = { review: "remark", checks: "failed check", base: "conflict with the base" } as const;
const states = {
  waiting: ["waiting", "goes with the next round"],
  held: ["waiting", "held"],
  sent: ["running", "with the agent"],
  done: ["good", "answered"],
  dropped: ["neutral", "of no concern any more"],
} as const;

/** What was said about the published change, and the way to send on what is held. */
export function FollowUps({ jobId }: { jobId: string }) {
  const said = useQuery({
    queryKey: ["job", jobId, "follow-ups"],
    queryFn: ({ signal }) => client.listFollowUps({ params: { jobId }, signal }),
    refetchInterval: 10_000,
  });
  const send = useMutation({
    mutationFn: (ids: string[]) => client.sendFollowUps({ params: { jobId }, body: { ids } }),
    onSettled: () => queryClient.invalidateQueries(jobQuery(jobId)),
  });
  if (said.isError) return <Failure error={said.error} retry={() => void said.refetch()} />;
  const items = said.data?.items ?? [];
  if (items.length === 0) return null;
  const held = items.filter(({ state }) => state === "held");
  return (
    <section className="card follow-ups" aria-label="What was said about it">
      <h2>What was said about it</h2>
      <ul className="plain-list">
        {items.slice(0, 50).map((item) => (
          <Said key={item.id} item={item} send={send.isPending ? null : () => send.mutate([item.id])} />
        ))}
      </ul>
      {items.length > 50 ? <p className="quiet">{items.length - 50} older ones are in the story.</p> : null}
      {held.length > 0 ? (
        <Only scope="approve" otherwise={<MayNot what="send remarks to the agent" />}>
          <Button disabled={send.isPending} onClick={() => send.mutate(held.map(({ id }) => id))}>
            {held.length === 1 ? "Send what is held to the agent" : `Send all ${held.length} held to the agent`}
          </Button>
        </Only>
      ) : null}
      {send.error ? <Failure error={send.error} /> : null}
    </section>
  );
}

function Said({ item, send }: { item: FollowUp; send: (() => void) | null }) {
  const { kind, state, author, text, url, path, line, detail, round, at } = item;
  const Icon = icons[kind];
  const [tone, word] = states[state];
  return (
    <li>
      <p className="quiet">
        <Icon size={14} aria-hidden /> <strong>{visible(author)}</strong>: {kinds[kind]}
        {path ? (
          <>
            {" "}
            at{" "}
            <code>
              {visible(path)}
              {line === null ? "" : `:${line}`}
            </code>
          </>
        ) : null}{" "}
        · <Age at={at} /> {url ? <OutLink to={url}>there</OutLink> : null}
      </p>
      <p className="text reported">{visible(text.slice(0, 2_000))}</p>
      <p className="state-line">
        <span>
          <span className={`state ${tone}`}>{word}</span>
          {round === null ? null : <span className="quiet"> · round {round}</span>}
          {detail ? <span className="quiet"> · {visible(detail)}</span> : null}
        </span>
        {state === "held" ? (
          <Only scope="approve">
            <Button
              disabled={send === null}
              onClick={() => send?.()}
              aria-label={`Send the remark of ${visible(author)}`}
            >
              Send
            </Button>
          </Only>
        ) : null}
      </p>
    </li>
  );
}
