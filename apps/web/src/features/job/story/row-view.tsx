import { formatUsd } from "@x1agent/contract";
import {
  BadgeCheck,
  Brain,
  CircleAlert,
  CircleCheck,
  CircleDot,
  Coins,
  FileSearch,
  Globe,
  Hourglass,
  ListTodo,
  type LucideIcon,
  MessageSquareQuote,
  Pencil,
  Search,
  SquareTerminal,
  User,
  Wrench,
} from "lucide-react";
import type { ReactNode } from "react";
import { Age } from "../../../components/age.tsx";
import { Terminal } from "../../../components/terminal.tsx";
import { formatDuration, visible } from "../../../lib/format.ts";
import { Edit } from "./edit.tsx";
import { type Namer, type Row, saidOf, type Tool, verbOf } from "./rows.ts";

const toolIcons: Record<string, LucideIcon> = {
  read: FileSearch,
  search: Search,
  edit: Pencil,
  delete: Pencil,
  move: Pencil,
  execute: SquareTerminal,
  fetch: Globe,
  think: Brain,
};
const iconOf = (row: Row): LucideIcon => {
  if (row.kind === "tool") return toolIcons[row.tool.kind] ?? Wrench;
  const icons = {
    text: MessageSquareQuote,
    thought: Brain,
    message: User,
    reads: FileSearch,
    plan: ListTodo,
    calls: Coins,
    command: SquareTerminal,
    state: CircleDot,
    silence: Hourglass,
    mark: CircleDot,
  } as const;
  if (row.kind === "mark") return row.tone === "bad" ? CircleAlert : row.tone === "good" ? CircleCheck : CircleDot;
  return icons[row.kind];
};

type Props = { row: Row; jobId: string; name: Namer };

/** One row of the story. A seal marks what the platform saw by itself; all else is the agent's word. */
export function RowView({ row, jobId, runtime, name }: Props & { runtime: string }) {
  const Icon = iconOf(row);
  const observed = row.source === "observed";
  const whose = observed ? "Observed by the platform" : `Reported by ${runtime}`;
  return (
    <div className={`row ${row.source} ${row.kind}${row.kind === "mark" ? ` ${row.tone}` : ""}`}>
      <span className="who" title={whose}>
        <Icon size={16} aria-hidden />
        <span className="hidden">{whose}: </span>
      </span>
      <div className="body">
        <Body row={row} jobId={jobId} name={name} />
      </div>
      {observed && row.kind !== "silence" ? (
        <BadgeCheck size={14} className="seal" aria-hidden />
      ) : (
        <span className="seal" />
      )}
      <Age at={row.ts} />
    </div>
  );
}

function Body({ row, jobId, name }: Props): ReactNode {
  switch (row.kind) {
    case "text":
      return <p className="text">{visible(row.text)}</p>;
    case "thought":
      return (
        <Folded summary={`Thought: ${firstLine(row.text)}`}>
          {row.text.includes("\n") || row.text.length > 120 ? <p className="text">{visible(row.text)}</p> : null}
        </Folded>
      );
    case "message":
      return (
        <p className="text">
          <strong>{visible(saidOf({ text: "To the agent", by: row.by }, name))}</strong>{" "}
          <span className="quiet">({row.delivered ? row.mode : "waits for its turn"})</span> {visible(row.text)}
        </p>
      );
    case "tool":
      return <ToolView tool={row.tool} />;
    case "reads":
      return (
        <Folded summary={`Read ${row.tools.length} files`}>
          <ul>
            {row.tools.map((tool) => (
              <li key={tool.id}>
                {verbOf(tool)} <code>{visible(tool.title)}</code>
              </li>
            ))}
          </ul>
        </Folded>
      );
    case "plan":
      return (
        <ul className="plan" aria-label="Plan">
          {row.entries.map(({ content, status }, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a plan is replaced as a whole
            <li key={index} className={status}>
              {status === "completed" ? "✓" : status === "in_progress" ? "▸" : "·"} {visible(content)}
              <span className="hidden"> ({status.replaceAll("_", " ")})</span>
            </li>
          ))}
        </ul>
      );
    case "calls":
      return (
        <span>
          {row.count === 1 ? "1 model call" : `${row.count} model calls`} ·{" "}
          <span className="mono">{formatUsd(row.costMicros)}</span> ·{" "}
          <span className="mono">{formatDuration(row.ms)}</span> · {row.models.map(visible).join(", ")}
        </span>
      );
    case "command":
      return (
        <Folded
          summary={
            <>
              <code>$ {visible(firstLine(row.command))}</code>{" "}
              <Result good={row.exitCode === 0 && !row.timedOut}>
                {row.timedOut ? "timed out" : `exit ${row.exitCode ?? "none"}`}
              </Result>{" "}
              <span className="mono quiet">{formatDuration(row.ms)}</span> <span className="quiet">{row.phase}</span>
            </>
          }
        >
          {row.output || row.blob ? (
            <>
              {row.output ? <Terminal text={row.output} /> : null}
              {row.blob ? (
                <a href={`/api/v1/jobs/${jobId}/blobs/${row.blob}`} download={`${row.phase}.log`}>
                  Whole log
                </a>
              ) : null}
            </>
          ) : null}
        </Folded>
      );
    case "state":
      return (
        <span>
          <strong>{visible(row.text)}</strong>
          {row.by ? visible(` by ${name(row.by)}`) : ""} <span className="quiet">{visible(row.detail)}</span>
        </span>
      );
    case "silence":
      return <span className="quiet">{formatDuration(row.ms)} without an event</span>;
    case "mark":
      return (
        <Folded summary={visible(saidOf(row, name))}>
          {row.detail ? (
            row.detail.length > 160 || row.detail.includes("\n") ? (
              <pre>{visible(row.detail)}</pre>
            ) : (
              <span className="quiet">{visible(row.detail)}</span>
            )
          ) : null}
        </Folded>
      );
  }
}

function ToolView({ tool }: { tool: Tool }) {
  const ms = tool.endedAt ? Date.parse(tool.endedAt) - Date.parse(tool.startedAt) : null;
  const open = tool.input || tool.output || tool.diffs.length > 0;
  return (
    <Folded
      summary={
        <>
          {verbOf(tool)} <code>{visible(firstLine(tool.title))}</code>{" "}
          {tool.status === "running" ? (
            <span className="state running">running</span>
          ) : (
            <Result good={tool.status === "completed"}>
              {tool.status === "completed" ? "done" : tool.exitCode === null ? "failed" : `exit ${tool.exitCode}`}
            </Result>
          )}{" "}
          {ms === null ? null : <span className="mono quiet">{formatDuration(ms)}</span>}
        </>
      }
    >
      {open ? (
        <>
          {tool.diffs.map((diff) => (
            <Edit key={diff.path} diff={diff} />
          ))}
          {tool.input && tool.diffs.length === 0 ? <pre>{visible(tool.input)}</pre> : null}
          {tool.output ? <Terminal text={tool.output} /> : null}
        </>
      ) : null}
    </Folded>
  );
}

function Result({ good, children }: { good: boolean; children: ReactNode }) {
  return (
    <span className={good ? "good" : "bad"}>
      {good ? "✓" : "✗"} {children}
    </span>
  );
}

/** A line that opens; only a line where nothing is below. */
function Folded({ summary, children }: { summary: ReactNode; children: ReactNode }) {
  if (!children) return <span>{summary}</span>;
  return (
    <details>
      <summary>{summary}</summary>
      {children}
    </details>
  );
}

const firstLine = (text: string): string => {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > 200 ? `${line.slice(0, 200)}…` : line === text ? line : `${line} …`;
};
