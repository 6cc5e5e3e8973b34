import { useMutation, useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { isTerminal } from "@x1agent/contract";
import { lazy, Suspense, useEffect, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Confirm } from "../../../components/dialog.tsx";
import { JobStateMark } from "../../../components/job-state.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { Tabs } from "../../../components/tabs.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { jobQuery, useEvidence } from "../../../lib/queries.ts";
import { useShortcuts } from "../../../lib/shortcuts.ts";
import { useTitle } from "../../../lib/title.ts";
import { useStory } from "../api/events.ts";
import { EvidenceFacts } from "../evidence/facts.tsx";
import { Tests } from "../evidence/tests.tsx";
import { Story } from "../story/story.tsx";
import { Cost } from "./cost.tsx";
import { DecisionCard, Decisions } from "./decision.tsx";
import { FollowUps } from "./follow-ups.tsx";
import { ForgeCard } from "./forge-card.tsx";
import { StateCard } from "./state-card.tsx";
import { MessageBox, Question } from "./talk.tsx";
import "../job.css";

/** Three quarters of the page's script are the grammars and the viewer of a diff: the story does not wait for them. */
const changes = () => import("../changes/changes.tsx");
const Changes = lazy(() => changes().then(({ Changes }) => ({ default: Changes })));

const tabs = ["Story", "Changes", "Tests", "Cost", "Evidence"] as const;

export function JobPage() {
  const { jobId } = useParams({ from: "/jobs/$jobId" });
  return <OneJob key={jobId} jobId={jobId} />;
}

function OneJob({ jobId }: { jobId: string }) {
  const params = { jobId };
  const story = useStory(jobId);
  const [cancelling, setCancelling] = useState(false);
  const [tab, setTab] = useState<(typeof tabs)[number]>("Story");
  const job = useQuery({ ...jobQuery(jobId), refetchInterval: 5_000 });
  const evidences = useEvidence(jobId, job.data?.approvalDigest ?? null);
  const refresh = () => queryClient.invalidateQueries({ queryKey: ["job", jobId] });
  const retry = useMutation({ mutationFn: () => client.retryJob({ params, body: {} }), onSettled: refresh });
  const interrupt = useMutation({ mutationFn: () => client.interruptJob({ params }), onSettled: refresh });
  useShortcuts({ a: () => document.getElementById("approve")?.focus() });
  useEffect(() => {
    // On its way before anybody asks for it; a failure is told where the change is shown.
    changes().catch(() => undefined);
  }, []);
  const title = job.data ? visible(job.data.title) : "Job";
  useTitle(title);
  if (job.isPending) return <Loading />;
  if (!job.data) return <Failure error={job.error} retry={() => void job.refetch()} />;
  const { state } = job.data;
  const latest = evidences.data?.items[0];
  const failed = [retry, interrupt].find(({ isError }) => isError);
  return (
    <>
      <div className="head">
        <h1>{title}</h1>
        <JobStateMark state={state} />
        <Only scope="write">
          {state === "running" ? (
            <Button disabled={interrupt.isPending} onClick={() => interrupt.mutate()}>
              Interrupt
            </Button>
          ) : null}
          {isTerminal(state) ? (
            state === "succeeded" ? null : (
              <Button disabled={retry.isPending} onClick={() => retry.mutate()}>
                Retry
              </Button>
            )
          ) : state === "publishing" ? null : (
            <Button look="danger" onClick={() => setCancelling(true)}>
              Cancel job
            </Button>
          )}
        </Only>
      </div>
      {cancelling ? (
        <Confirm
          title="Cancel this job"
          action="Cancel the job"
          keep="Let it go on"
          close={() => setCancelling(false)}
          run={() => client.cancelJob({ params }).finally(refresh)}
        >
          <p>
            “{title}” ends now, whatever it is doing. What it has done so far stays as evidence, and it can be retried.
          </p>
        </Confirm>
      ) : null}
      {failed ? <Failure error={failed.error} /> : null}
      <div className="job">
        <div className="wide">
          <Tabs label="Views of the job" tabs={tabs} value={tab} set={setTab}>
            {tab === "Story" ? (
              <Story story={story} jobId={jobId} title={title} runtime={job.data.runtime} />
            ) : tab === "Cost" ? (
              <Cost jobId={jobId} />
            ) : evidences.isError ? (
              <Failure error={evidences.error} retry={() => void evidences.refetch()} />
            ) : !latest ? (
              <Empty>Nothing was collected yet: it appears when the agent's turn ends.</Empty>
            ) : tab === "Changes" ? (
              <Suspense fallback={<Loading />}>
                <Changes
                  evidence={latest}
                  canComment={state === "awaiting_approval" && latest.approvalDigest !== null}
                />
              </Suspense>
            ) : tab === "Tests" ? (
              <Tests evidence={latest} />
            ) : (
              <EvidenceFacts evidence={latest} events={story.events} runtime={job.data.runtime} />
            )}
          </Tabs>
        </div>
        <aside aria-label="State and decision">
          {job.data.openQuestions.map((question) => (
            <Question key={question.requestId} jobId={jobId} question={question} />
          ))}
          {state === "awaiting_approval" && latest?.approvalDigest ? (
            <DecisionCard evidence={latest} current={job.data.approvalDigest} />
          ) : null}
          <Decisions jobId={jobId} />
          <Only scope="write">{state === "running" ? <MessageBox job={job.data} /> : null}</Only>
          <ForgeCard job={job.data} events={story.events} />
          {job.data.pullRequest ? <FollowUps jobId={jobId} /> : null}
          <StateCard job={job.data} />
          <details className="card">
            <summary>Goal</summary>
            <p className="text">{visible(job.data.goal)}</p>
          </details>
        </aside>
      </div>
    </>
  );
}
