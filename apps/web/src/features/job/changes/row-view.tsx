import type { DiffFile } from "@x1agent/contract";
import { ChevronDown, ChevronRight, ShieldAlert } from "lucide-react";
import { visible } from "../../../lib/format.ts";
import { Lines, type LinesProps } from "./lines.tsx";
import type { Patch, Row } from "./rows.ts";

type RowProps = Omit<LinesProps, "row" | "path" | "status"> & {
  row: Row;
  facts: DiffFile;
  patch: Patch | undefined;
  folded: boolean;
  viewed: boolean;
  fold(): void;
  view(): void;
  whole(): void;
  more(): void;
  /** Brings the lines that the gap leaves out. */
  unfold(): void;
};

/** One row of the diff: a file's head, some of its lines, a gap, a note. */
export function RowView(props: RowProps) {
  const { row, facts, mode, selected, comments, draft, canComment, acts } = props;
  switch (row.kind) {
    case "file":
      return <FileHead {...props} />;
    case "note":
      return (
        <p className="note">
          {row.text}
          {row.action === "more" ? (
            <button type="button" className="link" onClick={props.more}>
              Show more lines
            </button>
          ) : null}
          {row.action === "whole" ? (
            <button type="button" className="link" onClick={props.whole}>
              Download the whole diff
            </button>
          ) : null}
        </p>
      );
    case "gap": {
      const hidden = row.range[1] - row.range[0];
      return (
        <button type="button" className="gap mono" onClick={props.unfold}>
          ⋯ {hidden} unchanged {hidden === 1 ? "line" : "lines"}
        </button>
      );
    }
    case "lines":
      return (
        <Lines
          {...{ row, mode, selected, comments, draft, canComment, acts }}
          path={facts.path}
          status={facts.status}
        />
      );
  }
}

function FileHead({ facts, patch, folded, viewed, fold, view }: RowProps) {
  const path = visible(facts.path);
  const cut = path.lastIndexOf("/") + 1;
  const Chevron = folded ? ChevronRight : ChevronDown;
  return (
    <div className="file-head">
      <button type="button" className="fold" aria-expanded={!folded} onClick={fold}>
        <Chevron size={16} aria-hidden />
        <span className="mono path">
          <span className="quiet">{path.slice(0, cut)}</span>
          <strong>{path.slice(cut)}</strong>
        </span>
      </button>
      {facts.status === "modified" ? null : <span className="tag">{facts.status.replaceAll("_", " ")}</span>}
      {patch?.generated ? <span className="tag">generated</span> : null}
      {facts.flags.length > 0 ? (
        <span className="tag risk" title={facts.flags.join(", ")}>
          <ShieldAlert size={12} aria-hidden /> {facts.flags.slice(0, 2).join(", ")}
        </span>
      ) : null}
      <span className="mono counts">
        {facts.binary ? (
          "binary"
        ) : (
          <>
            <span className="plus">+{facts.insertions ?? 0}</span>{" "}
            <span className="minus">−{facts.deletions ?? 0}</span>
          </>
        )}
      </span>
      <label className="check">
        <input type="checkbox" checked={viewed} onChange={view} /> Viewed
      </label>
    </div>
  );
}
