import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { RouteResponse } from "@x1agent/contract";
import { ChevronRight, Download } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Choice, Filters, Words } from "../../../components/filters.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty, Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client } from "../../../lib/client.ts";
import { formatCount, visible } from "../../../lib/format.ts";
import { useListKeys } from "../../../lib/list-keys.ts";
import { membersQuery } from "../../../lib/queries.ts";
import { saveFile } from "../../../lib/save.ts";
import { useTitle } from "../../../lib/title.ts";
import { useWho } from "../../../lib/who.ts";
import { groups, meaning } from "../words.ts";
import { Chain } from "./chain.tsx";
import "../../../components/ledger.css";
import "../audit.css";

type Entry = RouteResponse<"listAudit">["items"][number];
const PAGE = 50;
const spans = [
  { days: 1, label: "Last 24 hours" },
  { days: 7, label: "Last 7 days" },
  { days: 30, label: "Last 30 days" },
] as const;

/** Everything that people, policies and the platform did, newest first, in a chain that shows every change to it. */
export function Audit() {
  useTitle("Audit");
  const navigate = useNavigate();
  const search = useSearch({ from: "/audit" });
  const { q = "", action = "", actor = "", days = 0 } = search;
  const filter = {
    ...(q ? { q } : {}),
    ...(action ? { action } : {}),
    ...(actor ? { actor } : {}),
    // To the minute, so that the same question has the same name while one reads.
    ...(days > 0
      ? { since: new Date(Math.floor(Date.now() / 60_000) * 60_000 - days * 86_400_000).toISOString() }
      : {}),
  };
  const narrowed = Object.keys(filter).length > 0;
  const log = useInfiniteQuery({
    queryKey: ["audit", q, action, actor, days],
    queryFn: ({ pageParam, signal }) =>
      client.listAudit({
        query: { ...filter, order: "newest", limit: PAGE, ...(pageParam ? { before: pageParam } : {}) },
        signal,
      }),
    initialPageParam: 0,
    getNextPageParam: (last) => (last.cursor === null ? undefined : Number(last.cursor)),
  });
  const entries = log.data?.pages.flatMap(({ items }) => items) ?? [];
  const newest = entries[0]?.seq ?? 0;
  // New entries are announced, not pushed in: what one reads stays where it is.
  const fresh = useQuery({
    queryKey: ["audit-new", q, action, actor, newest],
    queryFn: ({ signal }) => client.listAudit({ query: { ...filter, after: newest, limit: 100 }, signal }),
    refetchInterval: 10_000,
    enabled: log.isSuccess,
  });
  const waiting = fresh.data?.items.length ?? 0;
  const members = useQuery(membersQuery);
  const list = useListKeys<HTMLUListElement>("summary");
  const set = (change: { q?: string; action?: string; actor?: string; days?: number }) =>
    void navigate({ to: "/audit", search: { q, action, actor, days, ...change }, replace: true });
  return (
    <>
      <div className="head">
        <h1>Audit</h1>
        <Export filter={filter} narrowed={narrowed} />
      </div>
      <Chain />
      <Filters>
        <Words
          label="Search the audit log"
          placeholder="Search actions, ids and details"
          value={q}
          set={(q) => set({ q })}
        />
        <Choice
          label="Action"
          all="All actions"
          options={groups.map(({ prefix, label }) => [prefix, label])}
          value={action}
          set={(action) => set({ action })}
        />
        <Choice
          label="Who"
          all="Everybody"
          options={[
            ...(members.data?.items ?? []).map(({ id, name }) => [id, visible(name)] as const),
            ["x1", "the platform"],
          ]}
          value={actor}
          set={(actor) => set({ actor })}
        />
        <Choice
          label="When"
          all="Any time"
          options={spans.map(({ days, label }) => [String(days), label])}
          value={days > 0 ? String(days) : ""}
          set={(days) => set({ days: Number(days) })}
        />
        {waiting > 0 ? (
          <Button onClick={() => void log.refetch()}>{waiting >= 100 ? "100 or more" : waiting} new</Button>
        ) : null}
      </Filters>
      <View query={log} what="the audit log">
        {() =>
          entries.length === 0 ? (
            <Empty>
              <p>{narrowed ? "No entry fits." : "Nothing has happened yet."}</p>
              {narrowed ? (
                <Button onClick={() => set({ q: "", action: "", actor: "", days: 0 })}>Show all</Button>
              ) : (
                <Only scope="write">
                  <Link to="/new">State a goal</Link>
                </Only>
              )}
            </Empty>
          ) : (
            <>
              <ul ref={list} className="log" aria-label="Audit log">
                {entries.map((entry) => (
                  <Line key={entry.seq} entry={entry} />
                ))}
              </ul>
              <div className="more">
                {log.hasNextPage ? (
                  <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
                    {log.isFetchingNextPage ? "Loading…" : "Older entries"}
                  </Button>
                ) : (
                  <span className="quiet">{narrowed ? "No older entry fits." : "The first entry."}</span>
                )}
              </div>
            </>
          )
        }
      </View>
    </>
  );
}

function Line({ entry }: { entry: Entry }) {
  const who = useWho();
  const [open, setOpen] = useState(false);
  const details = Object.keys(entry.data).length > 0 ? JSON.stringify(entry.data, null, 2) : null;
  return (
    <li>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <ChevronRight size={14} aria-hidden className="turn" />
          <span className="did">
            <strong>{visible(who(entry.actor))}</strong> {visible(meaning(entry.action, entry.data))}{" "}
            <span className="mono quiet subject">{visible(entry.subject)}</span>
          </span>
          <code className="quiet code">{visible(entry.action)}</code>
          <Age at={entry.ts} />
          <span className="mono quiet seq">{formatCount(entry.seq)}</span>
        </summary>
        {open ? (
          <div className="log-more">
            {details ? <pre>{visible(details)}</pre> : null}
            <dl className="facts">
              <div>
                <dt>Subject</dt>
                <dd>
                  {entry.subject.startsWith("job_") ? (
                    <Link to="/jobs/$jobId" params={{ jobId: entry.subject }}>
                      {visible(entry.subject)}
                    </Link>
                  ) : (
                    <code>{visible(entry.subject)}</code>
                  )}
                </dd>
              </div>
              <div>
                <dt>Actor</dt>
                <dd>
                  {entry.actor.kind} <code>{visible(entry.actor.id)}</code>
                </dd>
              </div>
              <div>
                <dt>Time</dt>
                <dd className="mono">{entry.ts}</dd>
              </div>
              <div>
                <dt>Hash</dt>
                <dd>
                  <code>{entry.hash}</code>
                </dd>
              </div>
              <div>
                <dt>Before it</dt>
                <dd>
                  <code>{entry.previous}</code>
                </dd>
              </div>
            </dl>
          </div>
        ) : null}
      </details>
    </li>
  );
}

/** Entries as JSON lines: all of them make a file that `x1 audit verify` checks without any service. */
function Export({ filter, narrowed }: { filter: object; narrowed: boolean }) {
  const [done, setDone] = useState(0);
  const save = useMutation({
    mutationFn: async () => {
      const lines: string[] = [];
      for (let after = 0; ; ) {
        const page = await client.listAudit({ query: { ...filter, after, limit: 1_000 } });
        for (const entry of page.items) {
          lines.push(`${JSON.stringify(entry)}\n`);
          after = entry.seq;
        }
        setDone(lines.length);
        if (page.cursor === null) break;
      }
      const day = new Date().toISOString().slice(0, 10);
      saveFile(`x1agent-audit-${day}${narrowed ? "-part" : ""}.jsonl`, lines, "application/x-ndjson");
    },
  });
  return (
    <>
      <Button disabled={save.isPending} onClick={() => save.mutate()}>
        <Download size={16} aria-hidden />{" "}
        {save.isPending ? `${formatCount(done)} entries…` : narrowed ? "Export these" : "Export"}
      </Button>
      {save.error ? <Failure error={save.error} /> : null}
    </>
  );
}
