import { useMutation, useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { BadgeCheck, CircleAlert, MessageSquareText, Trash2 } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Breakable } from "../../../components/breakable.tsx";
import { Button } from "../../../components/button.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { Failure, Loading } from "../../../components/states.tsx";
import { Tooltip } from "../../../components/tooltip.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { useWho } from "../../../lib/who.ts";
import { setComments, useComments } from "../comments.ts";
import type { Evidence } from "../review.ts";

type Choice = "approve" | "override" | "request_changes" | "reject";
type Approval = RouteResponse<"listApprovals">["items"][number];
const decided: Record<Choice, string> = {
  approve: "approved",
  override: "overrode and approved",
  request_changes: "asked for changes",
  reject: "rejected",
};

/**
 * The decision. It binds the digest of the evidence that this card shows: when the job has moved on to another digest,
 * the buttons go until the reader has taken in the new one.
 */
export function DecisionCard({ evidence, current }: { evidence: Evidence; current: string | null }) {
  // A new round's digest may be here before its evidence is: an older one was never offered for a decision.
  const [ready, setReady] = useState(evidence.approvalDigest === current);
  if (!ready && evidence.approvalDigest === current) setReady(true);
  return ready ? <OpenDecision evidence={evidence} current={current} /> : <Loading />;
}

function OpenDecision({ evidence, current }: { evidence: Evidence; current: string | null }) {
  const [seen, setSeen] = useState(evidence);
  const [comment, setComment] = useState("");
  const [asked, setAsked] = useState<Choice | null>(null);
  const comments = useComments(seen.id);
  const { record } = seen;
  const decide = useMutation({
    mutationFn: (decision: Choice) =>
      client.decide({
        params: { jobId: seen.jobId },
        body: {
          ...{ decision, digest: seen.approvalDigest ?? "" },
          ...(comment ? { comment } : {}),
          ...(decision === "request_changes" && comments.length > 0 ? { comments: [...comments] } : {}),
        },
      }),
    onSuccess: () => setComments(seen.id, []),
    onError: () => setAsked(null),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ["job", seen.jobId] }),
  });
  const { passed } = record.verification;
  const approval = passed ? "approve" : "override";
  const moved = seen.approvalDigest !== current;
  const doubts = [...new Set((record.risks ?? []).map(({ kind }) => visible(kind).replaceAll("_", " ")))];
  const branch = (
    <code>
      <Breakable text={visible(record.targetBranch)} />
    </code>
  );
  return (
    <section className="card decision" aria-label="Decision">
      <h2>Decision</h2>
      <p>
        Approving pushes commit <code>{record.commit.slice(0, 12)}</code> ({record.files.length}{" "}
        {record.files.length === 1 ? "file" : "files"}, +{record.insertions} −{record.deletions}) to branch {branch} of{" "}
        <code>
          <Breakable text={visible(record.repository)} />
        </code>
        , and binds digest <code title={seen.approvalDigest ?? ""}>{seen.approvalDigest?.slice(0, 12)}</code>.
      </p>
      <p className={passed ? "check good" : "check bad"}>
        {passed ? <BadgeCheck size={16} aria-hidden /> : <CircleAlert size={16} aria-hidden />}
        {passed
          ? "The verify command passed at this commit."
          : `Verification ${passed === false ? "failed" : "did not run"}: publishing needs an override.`}
      </p>
      {doubts.length > 0 ? (
        <p className="check bad">
          <CircleAlert size={16} aria-hidden />
          <span>
            Look first at what stands under Tests: <strong>{doubts.join(", ")}</strong>.
          </span>
        </p>
      ) : null}
      {moved ? (
        <div role="alert" className="moved">
          <p>The work has moved since you looked: this digest can no longer be approved.</p>
          <Button
            look="primary"
            onClick={() => {
              setSeen(evidence);
              setAsked(null);
            }}
          >
            Show the new evidence
          </Button>
        </div>
      ) : (
        <>
          {comments.length > 0 ? (
            <ul className="gathered" aria-label="Comments on lines">
              {comments.map(({ path, line, side, text }, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two comments may be alike, and they keep their places
                <li key={index}>
                  <MessageSquareText size={14} aria-hidden />
                  <span>
                    <span className="mono quiet">
                      {visible(path)}:{line}
                      {side === "old" ? " (before)" : ""}
                    </span>{" "}
                    {visible(text)}
                  </span>
                  <Tooltip label="Remove this comment">
                    <button
                      type="button"
                      className="mini-button"
                      onClick={() =>
                        setComments(
                          seen.id,
                          comments.filter((_, at) => at !== index),
                        )
                      }
                    >
                      <Trash2 size={14} aria-hidden />
                      <span className="hidden">Remove this comment</span>
                    </button>
                  </Tooltip>
                </li>
              ))}
            </ul>
          ) : null}
          <Only scope="approve" otherwise={<MayNot what="decide on changes" />}>
            <label>
              Comment
              <textarea
                rows={2}
                maxLength={100_000}
                value={comment}
                onChange={(event) => setComment(event.target.value)}
              />
            </label>
            {asked === "reject" ? (
              <p className="bad">
                Rejecting ends the job; branch {branch} will not be made. The work stays as evidence.
              </p>
            ) : null}
            {comments.length > 0 && (asked === "approve" || asked === "override") ? (
              <p className="bad">
                Your {comments.length} comments on lines are not sent with an approval; they go with a request for
                changes.
              </p>
            ) : null}
            <div className="buttons">
              {asked === "reject" ? (
                <>
                  <Button look="danger" disabled={decide.isPending} onClick={() => decide.mutate("reject")}>
                    Confirm: reject this work
                  </Button>
                  <Button onClick={() => setAsked(null)}>Back</Button>
                </>
              ) : (
                <>
                  <Button
                    id="approve"
                    look="primary"
                    disabled={decide.isPending}
                    onClick={() => (asked ? decide.mutate(asked) : setAsked(approval))}
                  >
                    {asked
                      ? "Confirm: publish this commit"
                      : approval === "approve"
                        ? "Approve and publish"
                        : "Override and publish"}
                  </Button>
                  <Button
                    disabled={(!comment.trim() && comments.length === 0) || decide.isPending}
                    onClick={() => decide.mutate("request_changes")}
                  >
                    Ask for changes{comments.length > 0 ? ` (${comments.length})` : ""}
                  </Button>
                  <Button look="danger" disabled={decide.isPending} onClick={() => setAsked("reject")}>
                    Reject
                  </Button>
                </>
              )}
            </div>
          </Only>
        </>
      )}
      {decide.isError ? <Failure error={decide.error} /> : null}
    </section>
  );
}

/** Who decided what and when, having seen which digest; newest first. Nothing while nobody has. */
export function Decisions({ jobId }: { jobId: string }) {
  const who = useWho();
  const approvals = useQuery({
    queryKey: ["job", jobId, "approvals"],
    queryFn: ({ signal }) => client.listApprovals({ params: { jobId }, signal }),
  });
  if (!approvals.data?.items.length) return null;
  const fate = ({ usedAt, voidedAt, decision }: Approval) =>
    usedAt ? "published" : voidedAt ? "void: the work moved on" : decision === "approve" ? "not used yet" : null;
  return (
    <section className="card" aria-label="Decisions so far">
      <h2>Decisions</h2>
      <ul className="decisions">
        {approvals.data.items.map((approval) => (
          <li key={approval.id}>
            <span>
              <strong>{visible(who(approval.actor))}</strong> {decided[approval.decision]}, seeing{" "}
              <code title={approval.digest}>{approval.digest.slice(0, 12)}</code>
              {fate(approval) ? <span className="quiet"> · {fate(approval)}</span> : null}
            </span>
            <Age at={approval.createdAt} />
            {approval.comment ? <p className="text">{visible(approval.comment)}</p> : null}
            {approval.comments?.map(({ path, line, side, text }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a decision never changes
              <p className="text" key={index}>
                <code>
                  {visible(path)}:{line}
                  {side === "old" ? " (before)" : ""}
                </code>{" "}
                {visible(text)}
              </p>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}
