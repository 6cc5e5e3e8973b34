import type { DiffFile, LineComment } from "@x1agent/contract";
import { MessageSquarePlus, MessageSquareText, Trash2 } from "lucide-react";
import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import {
  type ChangeData,
  computeNewLineNumber,
  computeOldLineNumber,
  Diff,
  type GutterOptions,
  getChangeKey,
  isDelete,
} from "react-diff-view";
import { Button } from "../../../components/button.tsx";
import { Tooltip } from "../../../components/tooltip.tsx";
import { visible } from "../../../lib/format.ts";
import { tokensOf } from "./colours.ts";
import { type LinesRow, type Mode, type Place, placeOf, samePlace } from "./rows.ts";

/** A comment and its place among all of the change. */
export type Said = { comment: LineComment; index: number };
export type Acts = {
  /** Begins a comment on a line of a file. */
  say(file: number, change: ChangeData): void;
  save(text: string): void;
  remove(index: number): void;
};
export type LinesProps = {
  row: LinesRow;
  path: string;
  status: DiffFile["status"];
  mode: Mode;
  /** Key of the chosen line, when it is a line of this file. */
  selected: string | null;
  /** Comments on this file. */
  comments: readonly Said[];
  /** Where a comment is being written, when it is in this file. */
  draft: Place | null;
  canComment: boolean;
  acts: Acts;
};

const kinds = { insert: "added: ", delete: "removed: ", normal: "" } as const;
const types = { added: "add", deleted: "delete", modified: "modify", type_changed: "modify" } as const;

/** Some lines of a file, with the comments on them. Drawn again only when something of theirs has changed. */
export const Lines = memo(function Lines(props: LinesProps) {
  const { row, path, status, mode, selected, comments, draft, canComment, acts } = props;
  const { hunk, whole, file } = row;
  const tokens = useMemo(() => tokensOf(path, hunk, whole), [path, hunk, whole]);
  const widgets = useMemo(() => {
    const found: Record<string, ReactNode> = {};
    if (comments.length === 0 && !draft) return found;
    for (const change of hunk.changes) {
      const place = placeOf(path, change);
      const mine = comments.filter(({ comment }) => samePlace(comment, place));
      const drafted = draft !== null && samePlace(draft, place);
      if (mine.length === 0 && !drafted) continue;
      found[getChangeKey(change)] = (
        <>
          {mine.map(({ comment, index }) => (
            <Remark key={index} comment={comment} remove={() => acts.remove(index)} />
          ))}
          {drafted ? <Draft place={place} save={acts.save} /> : null}
        </>
      );
    }
    return found;
  }, [hunk, path, comments, draft, acts]);
  const chosen = useMemo(() => (selected === null ? [] : [selected]), [selected]);
  const gutter = useMemo(() => {
    const events = {
      onClick: ({ change }: { change: ChangeData | null }) => {
        if (change) acts.say(file, change);
      },
    };
    return canComment ? { events, className: "said" } : { events: {}, className: "" };
  }, [acts, file, canComment]);
  return (
    <Diff
      diffType={types[status]}
      viewType={mode}
      hunks={[hunk]}
      tokens={tokens}
      widgets={widgets}
      selectedChanges={chosen}
      gutterEvents={gutter.events}
      gutterClassName={gutter.className}
      renderGutter={canComment ? numberToComment : numberOnly}
    />
  );
});

const numberOnly = (options: GutterOptions) => <LineNumber {...options} canComment={false} />;
const numberToComment = (options: GutterOptions) => <LineNumber {...options} canComment />;

/** The numbers are drawn by the style sheet: they are no text, so that neither a copy nor a button's name has them. */
function LineNumber({ change, side, canComment }: GutterOptions & { canComment: boolean }) {
  const number = side === "old" ? computeOldLineNumber(change) : computeNewLineNumber(change);
  const own = side === (isDelete(change) ? "old" : "new");
  const place = placeOf("", change);
  return (
    <>
      {number > 0 ? <span data-n={number} /> : null}
      {own && kinds[change.type] ? <span className="hidden">{kinds[change.type]}</span> : null}
      {own && canComment ? (
        // A click reaches the cell, which is the larger target.
        <button
          type="button"
          tabIndex={-1}
          aria-label={`Comment on ${place.side === "old" ? "removed " : ""}line ${place.line}`}
        >
          <MessageSquarePlus size={14} aria-hidden />
        </button>
      ) : null}
    </>
  );
}

function Remark({ comment, remove }: { comment: LineComment; remove(): void }) {
  return (
    <div className="remark">
      <MessageSquareText size={16} aria-hidden />
      <p className="text">{visible(comment.text)}</p>
      <Tooltip label="Remove this comment">
        <button type="button" className="mini-button" onClick={remove}>
          <Trash2 size={14} aria-hidden />
          <span className="hidden">Remove this comment</span>
        </button>
      </Tooltip>
    </div>
  );
}

function Draft({ place, save }: { place: Place; save(text: string): void }) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <div className="remark draft">
      <label>
        <span>
          Comment on {place.side === "old" ? "removed " : ""}line {place.line}
        </span>
        <textarea
          ref={field}
          rows={3}
          maxLength={4_000}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") save("");
            else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save(text);
          }}
        />
      </label>
      <div className="buttons">
        <Button look="primary" disabled={!text.trim()} onClick={() => save(text)}>
          Add comment
        </Button>
        <Button onClick={() => save("")}>Cancel</Button>
      </div>
    </div>
  );
}
