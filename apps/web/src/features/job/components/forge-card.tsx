import type { LiveEvent } from "@x1agent/client";
import type { RouteResponse } from "@x1agent/contract";
import {
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleDot,
  CircleSlash,
  CircleX,
  GitMerge,
  GitPullRequest,
  GitPullRequestDraft,
} from "lucide-react";
import { Age } from "../../../components/age.tsx";
import { OutLink } from "../../../components/out-link.tsx";
import { Trust, untrustedMeans } from "../../../components/trust.tsx";
import { visible } from "../../../lib/format.ts";

type Job = RouteResponse<"getJob">;
/** What happened at the forge that is shown here; the story has all of it. */
const SHOWN = 6;

/** Where the job came from and where its change went: issue and pull request, with what happened there since. */
export function ForgeCard({ job, events }: { job: Job; events: readonly LiveEvent[] }) {
  const { origin, pullRequest } = job;
  const noted = events.filter(({ type }) => type === "forge.noted").slice(-SHOWN);
  const waiting = waitingFor(job, events);
  if (!origin && !pullRequest && !waiting) return null;
  return (
    <section className="card forge" aria-label="Issue and pull request">
      <h2>Issue and pull request</h2>
      {waiting ? (
        <p className="check waiting" role="status">
          <CircleAlert size={16} aria-hidden />
          <span>
            The forge does not answer: waiting since <Age at={waiting.since} />. It goes on by itself.{" "}
            {visible(waiting.detail)}
          </span>
        </p>
      ) : null}
      <dl className="facts">
        {origin ? (
          <div>
            <dt>Issue</dt>
            <dd>
              <OutLink to={origin.issueUrl}>
                {visible(origin.repository)}
                {origin.issueNumber === null ? "" : `#${origin.issueNumber}`}
              </OutLink>
              {origin.issueTitle ? (
                <span className="quiet block reported" title={visible(origin.issueTitle)}>
                  {visible(origin.issueTitle)}
                </span>
              ) : null}
            </dd>
          </div>
        ) : null}
        {origin ? (
          <div>
            <dt>Trust</dt>
            <dd>
              <Trust trust={origin.trust} />
              {origin.trust === "member" ? null : <span className="quiet block">{untrustedMeans}</span>}
              <span className="quiet">
                {" "}
                started by {visible(origin.triggeredBy ?? "a person")}, {visible(origin.trigger)}
              </span>
            </dd>
          </div>
        ) : null}
        {pullRequest ? (
          <div>
            <dt>Pull request</dt>
            <dd>
              <PullRequest pullRequest={pullRequest} />
            </dd>
          </div>
        ) : null}
      </dl>
      {pullRequest?.seen ? <Checks seen={pullRequest.seen} /> : null}
      {pullRequest?.notes.length ? (
        <ul className="plain-list quiet">
          {pullRequest.notes.map((note) => (
            <li key={note}>{visible(note)}</li>
          ))}
        </ul>
      ) : null}
      {noted.length > 0 ? (
        <ul className="plain-list noted" aria-label="What happened at the forge">
          {noted.map(({ seq, ts, payload: { kind, author, detail, url } }) => (
            <li key={seq}>
              <strong>{String(kind).replaceAll("_", " ")}</strong>
              {author ? <span className="quiet"> by {visible(String(author))}</span> : null} <Age at={ts} />
              <span className="quiet block reported">
                {visible(String(detail ?? "")).slice(0, 300)} {url ? <OutLink to={String(url)}>there</OutLink> : null}
              </span>
            </li>
          ))}
        </ul>
      ) : null}
    </section>
  );
}

function PullRequest({ pullRequest }: { pullRequest: NonNullable<Job["pullRequest"]> }) {
  const { number, url, state, draft, outcome, baseBranch, followUps } = pullRequest;
  const [tone, Icon] =
    state === "merged"
      ? (["good", GitMerge] as const)
      : state === "closed"
        ? (["neutral", CircleSlash] as const)
        : (["running", draft ? GitPullRequestDraft : GitPullRequest] as const);
  return (
    <>
      <OutLink to={url}>{number === null ? "being opened" : `#${number}`}</OutLink>{" "}
      <span className={`state ${tone}`}>
        <Icon size={16} aria-hidden /> {draft && state === "open" ? "draft" : state}
      </span>
      <span className="quiet block">
        into {visible(baseBranch)}
        {outcome ? ` · ${outcome.replaceAll("_", " ")}` : ""}
        {followUps > 0 ? (
          <>
            {" "}
            · <CircleDot size={12} aria-hidden /> {followUps} {followUps === 1 ? "round" : "rounds"} from reviews and
            checks
          </>
        ) : null}
      </span>
    </>
  );
}

/** The publication that waits for its forge now: since when, how often tried, and why; null when none does. */
function waitingFor(job: Job, events: readonly LiveEvent[]): { since: string; detail: string } | null {
  if (job.state !== "publishing") return null;
  const at = events.findLastIndex(({ type }) => type === "publication.waiting");
  if (at < 0 || events.slice(at).some(({ type }) => type === "publication.ended")) return null;
  let first = at;
  for (let i = at; i >= 0; i -= 1) {
    const type = events[i]?.type;
    if (type === "publication.waiting") first = i;
    else if (type === "publication.ended" || type === "approval.recorded") break;
  }
  const payload = events[at]?.payload ?? {};
  return {
    since: events[first]?.ts ?? job.updatedAt,
    detail: String(payload.detail ?? ""),
  };
}

type Seen = NonNullable<NonNullable<Job["pullRequest"]>["seen"]>;
const looks = {
  failed: ["bad", CircleX],
  pending: ["running", CircleDot],
  passed: ["good", CircleCheck],
  neutral: ["neutral", CircleDashed],
} as const;
const order = Object.keys(looks) as Seen["checks"][number]["state"][];

/** What the forge said of the pull request and its checks at the last look: failed ones first, passed ones folded when there are many. */
function Checks({ seen: { at, mergeable, behind, checks } }: { seen: Seen }) {
  const sorted = checks.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const counts = order
    .map((state) => [state, checks.filter((check) => check.state === state).length] as const)
    .filter(([, count]) => count > 0);
  return (
    <section aria-label="Checks">
      <p className="quiet">
        {mergeable === false ? (
          <span className="state bad">
            <CircleX size={16} aria-hidden /> cannot be merged: it conflicts with its base
          </span>
        ) : behind ? (
          <span className="state waiting">
            <CircleDot size={16} aria-hidden /> behind its base
          </span>
        ) : mergeable ? (
          "can be merged"
        ) : (
          "not known yet whether it can be merged"
        )}{" "}
        · {checks.length === 0 ? "no checks" : counts.map(([state, count]) => `${count} ${state}`).join(", ")} · seen{" "}
        <Age at={at} />
      </p>
      {sorted.length > 0 ? (
        <details open={sorted.length <= SHOWN || sorted[0]?.state === "failed"}>
          <summary>
            {checks.length} {checks.length === 1 ? "check" : "checks"}
          </summary>
          <ul className="plain-list">
            {sorted.map(({ name, state, url }, index) => {
              const [tone, Icon] = looks[state];
              return (
                // biome-ignore lint/suspicious/noArrayIndexKey: two checks may have one name
                <li key={index}>
                  <span className={`state ${tone}`}>
                    <Icon size={16} aria-hidden /> {state}
                  </span>{" "}
                  <OutLink to={url}>{visible(name)}</OutLink>
                </li>
              );
            })}
          </ul>
        </details>
      ) : null}
    </section>
  );
}
