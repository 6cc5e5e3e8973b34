import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import type { DiffFile, LineComment } from "@x1agent/contract";
import {
  ChevronDown,
  ChevronRight,
  Columns2,
  Download,
  MessageSquarePlus,
  MessageSquareText,
  PanelLeft,
  Rows2,
  ShieldAlert,
  Trash2,
} from "lucide-react";
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Empty, Failure } from "../../../components/states.tsx";
import { client } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { saveFile } from "../../../lib/save.ts";
import { useShortcuts } from "../../../lib/shortcuts.ts";
import { setComments, useComments } from "../comments.ts";
import { useRemembered } from "../remembered.ts";
import type { Evidence } from "../review.ts";
import { tokensOf } from "./colours.ts";
import { FileTree } from "./file-tree.tsx";
import {
  changedRanges,
  type Mode,
  type Patch,
  type PatchLine,
  type Place,
  pieces,
  placeOf,
  placesOf,
  type Row,
  rowsOf,
} from "./rows.ts";
import { usePatches } from "./use-patches.ts";
import "./changes.css";

/** Larger files open folded: a reviewer chooses them. */
const MANY_LINES = 1_500;
/** Files that begin open; the rest of a very wide change begins folded. */
const MANY_FILES = 300;
const marks = { added: "+", removed: "−", same: "" } as const;

/**
 * The change of one piece of evidence: what a person should look at first, then the files. Every line of every file is a
 * row of one virtual list, so that a change of 100,000 lines scrolls like a short one.
 */
export function Changes({ evidence, canComment }: { evidence: Evidence; canComment: boolean }) {
  const { files } = evidence.record;
  const { patches, error, retry } = usePatches(evidence);
  const [chosenMode, setMode] = useRemembered("diff", "unified");
  const [tree, setTree] = useRemembered("tree", window.innerWidth < 1280 ? "no" : "yes");
  const mode: Mode = chosenMode === "split" ? "split" : "unified";
  const [viewedText, setViewedText] = useRemembered(`viewed.${evidence.id}`, "");
  const viewed = useMemo(() => new Set(viewedText.split("\n").filter(Boolean)), [viewedText]);
  const [open, setOpen] = useState<ReadonlyMap<number, boolean>>(new Map());
  const comments = useComments(evidence.id);
  const [draft, setDraft] = useState<Place | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const folded = useCallback(
    (file: number) => {
      const facts = files[file];
      if (!facts) return true;
      const chosen = open.get(file);
      if (chosen !== undefined) return !chosen;
      return (
        viewed.has(facts.path) ||
        (patches[file]?.generated ?? facts.flags.includes("lock")) ||
        (facts.insertions ?? 0) + (facts.deletions ?? 0) > MANY_LINES ||
        file >= MANY_FILES
      );
    },
    [files, patches, open, viewed],
  );
  const rows = useMemo(
    () => rowsOf({ files, patches, mode, folded, comments, draft }),
    [files, patches, mode, folded, comments, draft],
  );
  const heads = useMemo(() => rows.flatMap(({ kind }, index) => (kind === "file" ? [index] : [])), [rows]);
  const box = useRef<HTMLDivElement>(null);
  const head = useRef(0);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: (index) => {
      const kind = rows[index]?.kind;
      return kind === "file" ? 36 : kind === "draft" ? 150 : kind === "comment" ? 72 : kind === "note" ? 36 : 20;
    },
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 20,
    // The head of the file that is being read stays at the top: it is always among what is drawn.
    rangeExtractor: (range) => {
      head.current = heads.findLast((at) => at <= range.startIndex) ?? 0;
      return [...new Set([head.current, ...defaultRangeExtractor(range)])].sort((a, b) => a - b);
    },
  });
  const latest = useRef(rows);
  latest.current = rows;
  const toFile = (file: number) => list.scrollToIndex(heads[file] ?? 0, { align: "start" });
  const fold = (file: number) => setOpen(new Map(open).set(file, folded(file)));
  const view = (file: number) => {
    const path = files[file]?.path;
    if (path === undefined) return;
    const next = new Set(viewed);
    if (!next.delete(path)) next.add(path);
    setViewedText([...next].join("\n"));
    const opened = new Map(open);
    opened.delete(file);
    setOpen(opened);
  };
  /** The row that keys act on: the chosen one, or the first that is seen. */
  const here = () => {
    const chosen = rows.findIndex(({ key }) => key === cursor);
    if (chosen >= 0) return chosen;
    const top = (box.current?.scrollTop ?? 0) + 36;
    return list.getVirtualItems().find(({ end }) => end > top)?.index ?? 0;
  };
  const step = (by: 1 | -1) => () => {
    const chosen = rows.findIndex(({ key }) => key === cursor);
    let at = chosen >= 0 ? chosen : by > 0 ? -1 : rows.length;
    do at += by;
    while (rows[at] && !isStart(rows[at]));
    const row = rows[at];
    if (!row) return;
    setCursor(row.key);
    list.scrollToIndex(at, { align: "center" });
  };
  const say = (place: Place) => {
    if (!canComment) return;
    setDraft(place);
  };
  useShortcuts({
    n: step(1),
    p: step(-1),
    v: () => view(rows[here()]?.file ?? 0),
    c: () => {
      const at = here();
      for (let i = at; i < rows.length; i++) {
        const row = rows[i];
        const place = row && placesOf(files[row.file]?.path ?? "", row)[0];
        if (place) return say(place);
      }
    },
  });
  useEffect(() => {
    if (!draft) return;
    const at = rows.findIndex(({ kind }) => kind === "draft");
    if (at >= 0) list.scrollToIndex(at, { align: "auto" });
  }, [draft, rows, list]);
  const save = (text: string) => {
    if (draft && text.trim()) setComments(evidence.id, [...comments, { ...draft, text: text.trim().slice(0, 4_000) }]);
    setDraft(null);
  };
  const downloadWhole = async () =>
    saveFile(
      `${evidence.jobId}.diff`,
      await client.jobDiff({ params: { jobId: evidence.jobId }, query: { evidenceId: evidence.id } }),
      "text/plain",
    );
  if (files.length === 0) return <Empty>No file was changed.</Empty>;
  const risky = files.flatMap((facts, file) =>
    (facts.risks ?? facts.flags.map((kind) => ({ kind, reason: "", line: null }))).map((risk) => ({ ...risk, file })),
  );
  const toRisk = (file: number, line: number | null) => {
    setOpen(new Map(open).set(file, true));
    // The file's rows are there with the next picture.
    setTimeout(() => {
      const at = line === null ? -1 : latest.current.findIndex((row) => row.file === file && atLine(row, line));
      const to = at >= 0 ? at : latest.current.findIndex((row) => row.file === file);
      const row = latest.current[to];
      if (!row) return;
      setCursor(row.key);
      list.scrollToIndex(to, { align: at >= 0 ? "center" : "start" });
    }, 50);
  };
  return (
    <div className="changes">
      {risky.length > 0 ? <Risks risks={risky} files={files} go={toRisk} /> : null}
      <div className="diff-bar">
        <button
          type="button"
          className="mini-button"
          aria-pressed={tree === "yes"}
          title="Files"
          onClick={() => setTree(tree === "yes" ? "no" : "yes")}
        >
          <PanelLeft size={16} aria-hidden />
          <span className="hidden">Files</span>
        </button>
        <span className="mono">
          {files.length} {files.length === 1 ? "file" : "files"}{" "}
          <span className="plus">+{evidence.record.insertions}</span>{" "}
          <span className="minus">−{evidence.record.deletions}</span>
        </span>
        <span className="quiet viewed-count">
          {files.filter(({ path }) => viewed.has(path)).length} of {files.length} viewed
        </span>
        <span className="quiet keys" aria-hidden>
          <kbd>n</kbd> <kbd>p</kbd> change <kbd>v</kbd> viewed <kbd>c</kbd> comment
        </span>
        <button
          type="button"
          className="mini-button"
          title="Download the whole diff"
          onClick={() => void downloadWhole()}
        >
          <Download size={16} aria-hidden />
          <span className="hidden">Download the whole diff</span>
        </button>
        <fieldset className="switch">
          <legend className="hidden">Layout of the diff</legend>
          {(["unified", "split"] as const).map((name) => (
            <button key={name} type="button" aria-pressed={mode === name} onClick={() => setMode(name)}>
              {name === "unified" ? <Rows2 size={14} aria-hidden /> : <Columns2 size={14} aria-hidden />}
              {name === "unified" ? "Unified" : "Side by side"}
            </button>
          ))}
        </fieldset>
      </div>
      {error ? <Failure error={error} retry={retry} /> : null}
      <div className={tree === "yes" ? "panes with-tree" : "panes"}>
        {tree === "yes" ? <FileTree files={files} viewed={viewed} comments={comments} go={toFile} /> : null}
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard */}
        <section ref={box} className={`lines ${mode}`} tabIndex={0} aria-label="Lines of the change">
          <div style={{ height: list.getTotalSize(), position: "relative" }}>
            {list.getVirtualItems().map(({ index, key, start }) => {
              const row = rows[index];
              if (!row) return null;
              const stuck = index === head.current;
              return (
                <div
                  key={key}
                  ref={list.measureElement}
                  data-index={index}
                  className={stuck ? "row stuck" : "row"}
                  style={stuck ? {} : { transform: `translateY(${start}px)` }}
                >
                  <OneRow
                    row={row}
                    facts={files[row.file] as DiffFile}
                    patch={patches[row.file]}
                    chosen={row.key === cursor}
                    folded={row.kind === "file" && folded(row.file)}
                    viewed={viewed.has(files[row.file]?.path ?? "")}
                    canComment={canComment}
                    fold={() => fold(row.file)}
                    view={() => view(row.file)}
                    say={(place) => {
                      setCursor(row.key);
                      say(place);
                    }}
                    save={save}
                    remove={(at) =>
                      setComments(
                        evidence.id,
                        comments.filter((_, i) => i !== at),
                      )
                    }
                    whole={() => void downloadWhole()}
                  />
                </div>
              );
            })}
          </div>
        </section>
      </div>
    </div>
  );
}

const isStart = (row: Row | undefined): boolean => (row?.kind === "line" || row?.kind === "pair") && row.starts;
const atLine = (row: Row, line: number): boolean =>
  (row.kind === "line" && (row.line.new ?? row.line.old) === line) ||
  (row.kind === "pair" && (row.new?.new ?? row.old?.old) === line);

type Risk = { kind: string; reason: string; line: number | null; file: number };
function Risks({
  risks,
  files,
  go,
}: {
  risks: Risk[];
  files: readonly DiffFile[];
  go(file: number, line: number | null): void;
}) {
  const [all, setAll] = useState(false);
  return (
    <section className="risks" aria-label="What to look at first">
      <h2>
        <ShieldAlert size={16} aria-hidden /> Look at these first
      </h2>
      <ul>
        {risks.slice(0, all ? 500 : 4).map(({ kind, reason, line, file }) => (
          <li key={`${file}.${kind}.${line}.${reason}`}>
            <button type="button" className="link" onClick={() => go(file, line)}>
              {visible(files[file]?.path ?? "")}
              {line === null ? "" : `:${line}`}
            </button>{" "}
            <strong>{kind.replaceAll("_", " ")}</strong>
            {reason ? <span className="quiet"> {reason}</span> : null}
          </li>
        ))}
      </ul>
      {risks.length > 4 && !all ? (
        <button type="button" className="link" onClick={() => setAll(true)}>
          {risks.length - 4} more
        </button>
      ) : null}
    </section>
  );
}

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
};

function OneRow(props: RowProps) {
  const { row, patch, chosen } = props;
  switch (row.kind) {
    case "file":
      return <FileHead {...props} />;
    case "note":
      return (
        <p className="note">
          {row.text}
          {row.action === "whole" ? (
            <button type="button" className="link" onClick={props.whole}>
              Download the whole diff
            </button>
          ) : null}
        </p>
      );
    case "gap":
      return (
        <div className="gap mono" aria-hidden>
          ⋯ {row.hidden} unchanged {row.hidden === 1 ? "line" : "lines"}
        </div>
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
            <span>{line.old}</span>
            <span>{line.new}</span>
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
                      <span>{side === 0 ? line.old : line.new}</span>
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
