import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { RouteResponse } from "@x1agent/contract";
import { CircleDot, CircleSlash, EyeOff, MessageSquareText } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Choice, Filters, Words } from "../../../components/filters.tsx";
import { OutLink } from "../../../components/out-link.tsx";
import { PagedList } from "../../../components/paged.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { Trust, untrustedMeans } from "../../../components/trust.tsx";
import { View } from "../../../components/view.tsx";
import { client } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { connectionsQuery, issueQuery, repositoriesQuery } from "../../../lib/queries.ts";
import { useSettled } from "../../../lib/use-settled.ts";
import type { NewJobSearch } from "../search.ts";
import "../../../components/ledger.css";
import "../issues.css";

type Issue = RouteResponse<"listIssues">["items"][number];
type Detail = RouteResponse<"getIssue">;
type Place = Pick<NewJobSearch, "connection" | "repo" | "issue">;

/** From a connection to one issue, step by step; each step stands in the address. */
export function IssuePicker({ at, go }: { at: Place; go(to: Place): void }) {
  const connections = useQuery(connectionsQuery);
  const active = connections.data?.items.filter(({ state }) => state === "active") ?? [];
  const connection = active.find(({ id }) => id === at.connection) ?? active[0];
  return (
    <section className="issues" aria-label="Issue">
      <View query={connections} what="the connections">
        {() =>
          !connection ? (
            <Empty>
              <p>No forge is connected, so there are no issues to choose from.</p>
              <Link className="button" to="/settings/$section" params={{ section: "connections" }}>
                Connect one
              </Link>
            </Empty>
          ) : at.repo === undefined ? (
            <>
              {active.length > 1 ? (
                <label>
                  Connection
                  <select value={connection.id} onChange={(event) => go({ connection: event.target.value })}>
                    {active.map(({ id, account, baseUrl }) => (
                      <option key={id} value={id}>
                        {visible(account)} at {visible(baseUrl)}
                      </option>
                    ))}
                  </select>
                </label>
              ) : null}
              <Repositories connectionId={connection.id} choose={(repo) => go({ connection: connection.id, repo })} />
            </>
          ) : (
            <>
              <p className="chosen-repo">
                <code>{visible(at.repo)}</code>
                <Button onClick={() => go({ connection: connection.id })}>Another repository</Button>
                {at.issue === undefined ? null : (
                  <Button onClick={() => go({ connection: connection.id, ...(at.repo ? { repo: at.repo } : {}) })}>
                    Another issue
                  </Button>
                )}
              </p>
              {at.issue === undefined ? (
                <Issues
                  connectionId={connection.id}
                  repository={at.repo}
                  choose={(issue) =>
                    go({ connection: connection.id, ...(at.repo ? { repo: at.repo } : {}), issue: issue.number })
                  }
                />
              ) : (
                <OneIssue connectionId={connection.id} repository={at.repo} number={at.issue} />
              )}
            </>
          )
        }
      </View>
    </section>
  );
}

function Repositories({ connectionId, choose }: { connectionId: string; choose(fullName: string): void }) {
  const [words, setWords] = useState("");
  const repositories = useInfiniteQuery(repositoriesQuery(connectionId, useSettled(words.trim())));
  return (
    <>
      <Filters>
        <Words label="Part of a repository's name" placeholder="Search repositories" value={words} set={setWords} />
      </Filters>
      <PagedList
        of={repositories}
        what="repositories"
        empty={words ? "No repository's name has these words." : "The connection reaches none."}
      >
        {(found) => (
          <ul className="choices-list" aria-label="Repositories">
            {found.map(({ id, fullName, visibility, hasIssues, archived }) => (
              <li key={id}>
                <button type="button" disabled={!hasIssues || archived} onClick={() => choose(fullName)}>
                  <span className="title">{visible(fullName)}</span>
                  <span className="quiet">{archived ? "archived" : hasIssues ? visibility : "without issues"}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </PagedList>
    </>
  );
}

function Issues(props: { connectionId: string; repository: string; choose(issue: Issue): void }) {
  const { connectionId, repository, choose } = props;
  const [words, setWords] = useState("");
  const [labels, setLabels] = useState("");
  const [state, setState] = useState<"all" | "">("");
  const [q, wanted] = [useSettled(words.trim()), useSettled(labels.trim())];
  const issues = useInfiniteQuery({
    queryKey: ["issues", connectionId, repository, q, wanted, state],
    queryFn: ({ signal, pageParam }) =>
      client.listIssues({
        query: {
          ...{ connectionId, repository, limit: 30, state: state || "open" },
          ...(q ? { q } : {}),
          ...(wanted ? { labels: wanted } : {}),
          ...(pageParam ? { cursor: pageParam } : {}),
        },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
    staleTime: 30_000,
    placeholderData: (before) => before,
  });
  return (
    <>
      <Filters>
        <Words label="Words in issues" placeholder="Search issues" value={words} set={setWords} />
        <Words label="Labels, between commas" placeholder="bug, good first issue" value={labels} set={setLabels} />
        <Choice<"all"> label="State" all="Open" options={[["all", "Open and closed"]]} value={state} set={setState} />
      </Filters>
      <PagedList
        of={issues}
        what="issues"
        empty={q || wanted ? "No issue has these words and labels." : "No open issue."}
      >
        {(found) => (
          <ul className="choices-list" aria-label="Issues">
            {found.map((issue) => (
              <li key={issue.number}>
                <button type="button" onClick={() => choose(issue)}>
                  <StateIcon state={issue.state} />
                  <span className="title">
                    {visible(issue.title)} <span className="mono quiet">#{issue.number}</span>{" "}
                    {issue.labels.slice(0, 6).map((label) => (
                      <span key={label} className="chip">
                        {visible(label)}
                      </span>
                    ))}
                  </span>
                  <span className="quiet by">
                    {visible(issue.author)} · <Age at={issue.updatedAt} />
                    {issue.comments > 0 ? (
                      <>
                        {" "}
                        · <MessageSquareText size={12} aria-hidden /> {issue.comments}
                        <span className="hidden"> comments</span>
                      </>
                    ) : null}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </PagedList>
    </>
  );
}

const StateIcon = ({ state }: { state: Issue["state"] }) =>
  state === "open" ? (
    <CircleDot size={16} className="good" aria-label="open" />
  ) : (
    <CircleSlash size={16} className="quiet" aria-label="closed" />
  );

/** The issue as the agent will get it: whose words are in, whose are not, and what was hidden in them. */
function OneIssue(props: { connectionId: string; repository: string; number: number }) {
  const issue = useQuery(issueQuery(props.connectionId, props.repository, props.number));
  if (issue.isPending) return <Loading />;
  if (!issue.data) return <Failure error={issue.error} retry={() => void issue.refetch()} />;
  const { title, number, state, labels, trust, words, truncated, jobs, url } = issue.data;
  return (
    <article className="card issue" aria-label={`Issue ${number}`}>
      <div className="state-line">
        <h2>
          <StateIcon state={state} /> {visible(title)} <OutLink to={url}>#{number}</OutLink>
        </h2>
        <Trust trust={trust} />
      </div>
      {labels.length > 0 ? (
        <p>
          {labels.map((label) => (
            <span key={label} className="chip">
              {visible(label)}
            </span>
          ))}
        </p>
      ) : null}
      {trust === "member" ? null : (
        <div className="notice waiting">
          <p>{untrustedMeans}</p>
        </div>
      )}
      {state === "closed" ? <p className="bad">The issue is closed.</p> : null}
      {jobs.length > 0 ? (
        <ul className="plain-list" aria-label="Jobs on this issue">
          {jobs.map(({ jobId, state, pullRequest }) => (
            <li key={jobId} className="bad">
              <Link to="/jobs/$jobId" params={{ jobId }}>
                A job
              </Link>{" "}
              is on it already: {state.replaceAll("_", " ")}
              {pullRequest === null ? "" : `, pull request #${pullRequest}`}
            </li>
          ))}
        </ul>
      ) : null}
      <ol className="words" aria-label="What the agent gets">
        {words.map((word) => (
          <Said key={word.id} word={word} />
        ))}
      </ol>
      {truncated ? <p className="quiet">There are more comments than were read; the agent does not get them.</p> : null}
    </article>
  );
}

function Said({ word }: { word: Detail["words"][number] }) {
  const { author, permission, trusted, included, text, hidden, createdAt } = word;
  return (
    <li className={included ? undefined : "left-out"}>
      <p className="quiet">
        <strong>{visible(author)}</strong> · {permission === "none" ? "no" : visible(permission)} access
        {trusted ? "" : " · untrusted"} · <Age at={createdAt} />
        {included ? "" : " · the agent does not get this"}
      </p>
      {text ? <p className="text reported">{visible(text)}</p> : <p className="quiet">No words.</p>}
      {hidden.length > 0 ? (
        <ul className="plain-list hidden-words">
          {hidden.map(({ kind, count, sample }) => (
            <li key={kind} className="bad">
              <EyeOff size={14} aria-hidden /> {count} × {visible(kind.replaceAll("_", " "))}, taken out:{" "}
              <code>{visible(sample)}</code>
            </li>
          ))}
        </ul>
      ) : null}
    </li>
  );
}
