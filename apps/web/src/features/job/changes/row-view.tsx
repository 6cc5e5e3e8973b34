import type { DiffFile, LineComment } from "@x1agent/contract";
import { ChevronDown, ChevronRight, MessageSquarePlus, MessageSquareText, ShieldAlert, Trash2 } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { visible } from "../../../lib/format.ts";
import { tokensOf } from "./colours.ts";
import { changedRanges, type Patch, type PatchLine, type Place, pieces, placeOf, type Row } from "./rows.ts";

const marks = { added: "+", removed: "−", same: "" } as const;

type RowProps = {
  row: Row;
  facts: DiffFile;
  patch: Patch | undefined;
  chosen: boolean;
  folded: boolean;
  viewed: boolean;
  canComment: boolean;
  fold(): void;
  view(): void;
  say(place: Place): void;
  save(text: string): void;
  remove(at: number): void;
  whole(): void;
  more(): void;
  /** Brings what stands around the file's hunks. */
  unfold(): void;
};

/** One row of the diff: a file's head, a line or a pair of them, a gap, a comment. */
export function RowView(props: RowProps) {
  const { row, patch, chosen } = props;
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
    case "gap":
      return (
        <button type="button" className="gap mono" disabled={patch?.moreLines === true} onClick={props.unfold}>
          ⋯ {row.hidden} unchanged {row.hidden === 1 ? "line" : "lines"}
        </button>
      );
    case "comment":
      return <Remark comment={row.comment} remove={() => props.remove(row.index)} />;
    case "draft":
      return <Draft place={row.place} save={props.save} />;
    case "line": {
      const { line, mate } = row;
      return (
        <div className={`code ${line.kind}${chosen ? " chosen" : ""}`}>
          <Numbers {...props} line={line}>
            <span data-n={line.old} />
            <span data-n={line.new} />
          </Numbers>
          <Mark kind={line.kind} />
          <Text patch={patch} line={line} mate={mate} at={row.at} />
        </div>
      );
    }
    case "pair":
      return (
        <div className={chosen ? "two chosen" : "two"}>
          {([row.old, row.new] as const).map((line, side) => {
            const mate = row.old?.kind === "removed" && row.new ? (side === 0 ? row.new : row.old) : null;
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: there are always these two sides
              <div key={side} className={`code ${line?.kind ?? "absent"}`}>
                {line ? (
                  <>
                    <Numbers {...props} line={line}>
                      <span data-n={side === 0 ? line.old : line.new} />
                    </Numbers>
                    <Mark kind={line.kind} />
                    <Text patch={patch} line={line} mate={mate} at={placeInPatch(patch, line, row.at)} />
                  </>
                ) : null}
              </div>
            );
          })}
        </div>
      );
  }
}

/** Side by side the rows of a run are paired: a line's own place is looked for near its row's. */
function placeInPatch(patch: Patch | undefined, line: PatchLine, near: number): number {
  const at = patch?.lines.indexOf(line, Math.max(0, near - 200)) ?? -1;
  return at >= 0 ? at : near;
}

/** The numbers are drawn by the style sheet: they are no text, so that neither a copy nor a button's name has them. */
function Numbers({ line, facts, canComment, say, children }: RowProps & { line: PatchLine; children: ReactNode }) {
  const place = placeOf(facts.path, line);
  if (!canComment) return <span className="numbers">{children}</span>;
  return (
    <button
      type="button"
      className="numbers"
      tabIndex={-1}
      aria-label={`Comment on ${place.side === "old" ? "removed " : ""}line ${place.line}`}
      onClick={() => say(place)}
    >
      {children}
      <MessageSquarePlus className="plus-mark" size={14} aria-hidden />
    </button>
  );
}

const kinds = { added: "added: ", removed: "removed: ", same: "" } as const;
function Mark({ kind }: { kind: PatchLine["kind"] }) {
  return (
    <span className="mark">
      <span aria-hidden>{marks[kind]}</span>
      <span className="hidden">{kinds[kind]}</span>
    </span>
  );
}

function Text({
  patch,
  line,
  mate,
  at,
}: {
  patch: Patch | undefined;
  line: PatchLine;
  mate: PatchLine | null;
  at: number;
}) {
  if (!patch) return null;
  const tokens = tokensOf(patch, line, at);
  const ranges = mate
    ? line.kind === "removed"
      ? changedRanges(visible(line.text), visible(mate.text)).old
      : changedRanges(visible(mate.text), visible(line.text)).new
    : [];
  return (
    <span className="text-of mono">
      {pieces(tokens, ranges).map(({ text, look, changed }, index) =>
        look || changed ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line's pieces never change places
          <span key={index} className={changed ? `${look} word` : look}>
            {text}
          </span>
        ) : (
          text
        ),
      )}
    </span>
  );
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

function Remark({ comment, remove }: { comment: LineComment; remove(): void }) {
  return (
    <div className="remark">
      <MessageSquareText size={16} aria-hidden />
      <p className="text">{visible(comment.text)}</p>
      <button type="button" className="mini-button" title="Remove this comment" onClick={remove}>
        <Trash2 size={14} aria-hidden />
        <span className="hidden">Remove this comment</span>
      </button>
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
