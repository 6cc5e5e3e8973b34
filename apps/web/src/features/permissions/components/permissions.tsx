import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { isTerminal, type RouteResponse } from "@x1agent/contract";
import { CircleCheck, CircleDashed } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Confirm } from "../../../components/dialog.tsx";
import { Choice, Filters, Words } from "../../../components/filters.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { formatCount, visible } from "../../../lib/format.ts";
import { useListKeys } from "../../../lib/list-keys.ts";
import { grantsQuery, projectsQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import { useWho } from "../../../lib/who.ts";
import { bounds, type Grant, holds, line, may } from "../words.ts";
import { GrantDialog } from "./grant-dialog.tsx";
import "../../../components/ledger.css";

type Job = RouteResponse<"listJobs">["items"][number];

/** Rows that are drawn at once: thousands of them would make each key wait. */
const STEP = 200;

/** The permission ledger: who may what, since when, by whom, used when. */
export function Permissions() {
  useTitle("Permissions");
  const navigate = useNavigate();
  const { q = "", type = "", all = false } = useSearch({ from: "/permissions" });
  const grants = useQuery({ ...grantsQuery(all), refetchInterval: 5_000 });
  const projects = useQuery(projectsQuery);
  const jobs = useQuery({
    queryKey: ["ledger-jobs"],
    queryFn: ({ signal }) => client.listJobs({ query: { limit: 200 }, signal }),
    refetchInterval: 10_000,
  });
  const who = useWho();
  const rows = useListKeys<HTMLTableSectionElement>("button");
  const [shown, setShown] = useState(STEP);
  const [granting, setGranting] = useState(false);
  const [revoking, setRevoking] = useState<Grant | null>(null);
  const set = (change: { q?: string; type?: string; all?: boolean }) =>
    void navigate({ to: "/permissions", search: { q, type, all, ...change }, replace: true });
  const jobOf = (id: string) => jobs.data?.items.find((job) => job.id === id);
  const projectOf = (id: string) => projects.data?.items.find((project) => project.id === id);
  const subject = (grant: Grant): string =>
    grant.subject.kind === "organization"
      ? "Every job"
      : grant.subject.kind === "project"
        ? `Project ${projectOf(grant.subject.id)?.name ?? grant.subject.id}`
        : `Job ${jobOf(grant.subject.id)?.title ?? grant.subject.id}`;
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (grant: Grant) => {
    const text =
      `${may[grant.type]} ${bounds(grant)} ${subject(grant)} ${grant.reason} ${who(grant.grantedBy)}`.toLowerCase();
    return (!type || grant.type === type) && words.every((word) => text.includes(word));
  };
  const running = (jobs.data?.items ?? []).filter(({ state }) => !isTerminal(state));
  return (
    <>
      <div className="head">
        <h1>Permissions</h1>
        <Only scope="admin">
          <Button look="primary" onClick={() => setGranting(true)}>
            Grant
          </Button>
        </Only>
      </div>
      <p className="lead">
        A job may do what stands here, and nothing else: its own grants, its project's, and those of every job. A
        revoked one is gone from running jobs at once.
      </p>
      <Filters>
        <Words label="Filter permissions" placeholder="Filter by words" value={q} set={(q) => set({ q })} />
        <Choice
          label="What"
          all="Everything"
          options={[...new Set((grants.data?.items ?? []).map((grant) => grant.type))]
            .sort()
            .map((one) => [one, may[one]])}
          value={type as Grant["type"] | ""}
          set={(type) => set({ type })}
        />
        <label className="check">
          <input type="checkbox" checked={all} onChange={(event) => set({ all: event.target.checked })} />
          with revoked and used up
        </label>
      </Filters>
      <View query={grants} what="the permission ledger">
        {({ items }) => {
          const found = items.filter(fits);
          if (found.length === 0)
            return (
              <Empty>
                <p>
                  {items.length === 0
                    ? "Nothing is granted: jobs may do nothing outside their workspace."
                    : "No permission fits the filter."}
                </p>
                {items.length === 0 ? (
                  <Only scope="admin">
                    <Button onClick={() => setGranting(true)}>Grant the first one</Button>
                  </Only>
                ) : (
                  <Button onClick={() => set({ q: "", type: "" })}>Show all</Button>
                )}
              </Empty>
            );
          return (
            <>
              <div className="ledger-box">
                <table className="ledger permissions" aria-label="Permissions">
                  <thead>
                    <tr>
                      <th scope="col">May</th>
                      <th scope="col">Who</th>
                      <th scope="col">Granted</th>
                      <th scope="col">Last used</th>
                      <th scope="col">Holds</th>
                      <th scope="col">
                        <span className="hidden">Action</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody ref={rows}>
                    {found.slice(0, shown).map((grant) => {
                      const { word, live, since } = holds(grant);
                      const { verb, pattern, limits } = line(grant);
                      return (
                        <tr key={grant.id}>
                          <td>
                            <span className={live ? "main" : "gone"}>
                              {verb} {pattern ? <code>{visible(pattern)}</code> : null}
                            </span>
                            {limits || grant.reason ? (
                              <span className="sub">{[limits, visible(grant.reason)].filter(Boolean).join(" · ")}</span>
                            ) : null}
                          </td>
                          <td data-label="Who">
                            {grant.subject.kind === "job" ? (
                              <Link to="/jobs/$jobId" params={{ jobId: grant.subject.id }}>
                                {visible(subject(grant))}
                              </Link>
                            ) : (
                              visible(subject(grant))
                            )}
                          </td>
                          <td data-label="Granted" className="nowrap">
                            <Age at={grant.createdAt} />
                            <span className="sub">by {visible(who(grant.grantedBy))}</span>
                          </td>
                          <td data-label="Last used" className="nowrap">
                            {grant.lastUsedAt ? <Age at={grant.lastUsedAt} /> : <span className="quiet">never</span>}
                          </td>
                          <td data-label="Holds" className="nowrap">
                            <span className={live ? "state good" : "state neutral"}>
                              {live ? <CircleCheck size={14} aria-hidden /> : <CircleDashed size={14} aria-hidden />}{" "}
                              {word}
                            </span>
                            {since ? (
                              <span className="sub">
                                <Age at={since} />
                              </span>
                            ) : null}
                          </td>
                          <td className="act">
                            {live ? (
                              <Only scope="admin">
                                <Button
                                  onClick={() => setRevoking(grant)}
                                  aria-label={`Revoke: ${subject(grant)} may ${may[grant.type]} ${bounds(grant)}`}
                                >
                                  Revoke
                                </Button>
                              </Only>
                            ) : null}
                          </td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
              {found.length > shown ? (
                <Button onClick={() => setShown(shown + STEP)}>
                  Show {formatCount(Math.min(STEP, found.length - shown))} more
                </Button>
              ) : null}
              <p className="hint" role="status">
                {formatCount(found.length)} {found.length === 1 ? "permission" : "permissions"}
                {items.length === 1_000 ? "; the ledger is longer than the thousand newest shown here" : ""}
              </p>
            </>
          );
        }}
      </View>
      {granting ? (
        <GrantDialog projects={projects.data?.items ?? []} jobs={running} close={() => setGranting(false)} />
      ) : null}
      {revoking ? (
        <Revoke
          grant={revoking}
          subject={subject(revoking)}
          touched={running.filter((job) => concerns(revoking, job))}
          close={() => setRevoking(null)}
        />
      ) : null}
    </>
  );
}

const concerns = ({ subject }: Grant, job: Job): boolean =>
  subject.kind === "organization" || (subject.kind === "project" ? job.projectId : job.id) === subject.id;

function Revoke(props: { grant: Grant; subject: string; touched: readonly Job[]; close(): void }) {
  const { grant, subject, touched, close } = props;
  return (
    <Confirm
      title="Revoke the permission"
      action="Revoke"
      close={close}
      run={() =>
        client
          .revokeGrant({ params: { grantId: grant.id } })
          .finally(() => queryClient.invalidateQueries({ queryKey: ["grants"] }))
      }
    >
      <p>
        <strong>{visible(subject)}</strong> may no longer {may[grant.type]}
        {bounds(grant) ? (
          <>
            : <code>{visible(bounds(grant))}</code>
          </>
        ) : null}
        .
      </p>
      {touched.length === 0 ? (
        <p className="quiet">No running job has it.</p>
      ) : (
        <>
          <p>
            {touched.length === 1
              ? "One running job loses it at once:"
              : `${touched.length} running jobs lose it at once:`}
          </p>
          <ul>
            {touched.slice(0, 5).map((job) => (
              <li key={job.id}>{visible(job.title)}</li>
            ))}
            {touched.length > 5 ? <li>and {touched.length - 5} more</li> : null}
          </ul>
        </>
      )}
    </Confirm>
  );
}
