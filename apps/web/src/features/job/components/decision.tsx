import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import type { Evidence } from "./review.tsx";

type Choice = "approve" | "override" | "request_changes" | "reject";

/**
 * The decision. It binds the digest of the evidence that this card shows: when the job has moved on to another digest,
 * the buttons go until the reader has taken in the new one.
 */
export function DecisionCard({ evidence, current }: { evidence: Evidence; current: string | null }) {
  const [seen, setSeen] = useState(evidence);
  const [comment, setComment] = useState("");
  const [asked, setAsked] = useState<"approve" | "override" | null>(null);
  const { record } = seen;
  const decide = useMutation({
    mutationFn: (decision: Choice) =>
      client.decide({
        params: { jobId: seen.jobId },
        body: { decision, digest: seen.approvalDigest ?? "", ...(comment ? { comment } : {}) },
      }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ["job", seen.jobId] }),
  });
  const approval = record.verification.passed ? "approve" : "override";
  return (
    <section className="card decision" aria-label="Decision">
      <h2>Decision</h2>
      <p>
        Approving pushes commit <code>{record.commit.slice(0, 12)}</code> ({record.files.length} files, +
        {record.insertions} −{record.deletions}) to branch <code>{visible(record.targetBranch)}</code> of{" "}
        <code>{visible(record.repository)}</code>, and binds digest{" "}
        <code title={seen.approvalDigest ?? ""}>{seen.approvalDigest?.slice(0, 12)}</code>.
      </p>
      {record.verification.passed ? null : (
        <p className="bad">
          Verification {record.verification.passed === false ? "failed" : "did not run"}: publishing needs an override.
        </p>
      )}
      {seen.approvalDigest !== current ? (
        <div role="alert">
          <p>The work has moved since you looked: this digest can no longer be approved.</p>
          <Button look="primary" onClick={() => setSeen(evidence)}>
            Show the new evidence
          </Button>
        </div>
      ) : (
        <>
          <label>
            Comment
            <textarea rows={2} value={comment} onChange={(event) => setComment(event.target.value)} />
          </label>
          <div className="buttons">
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
            <Button disabled={!comment || decide.isPending} onClick={() => decide.mutate("request_changes")}>
              Ask for changes
            </Button>
            <Button look="danger" disabled={decide.isPending} onClick={() => decide.mutate("reject")}>
              Reject
            </Button>
          </div>
        </>
      )}
      {decide.isError ? <Failure error={decide.error} /> : null}
    </section>
  );
}
