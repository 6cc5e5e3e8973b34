import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import type { DiffFile } from "@x1agent/contract";
import { Columns2, Download, PanelLeft, Rows2 } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type ChangeData, getChangeKey } from "react-diff-view";
import { Empty, Failure } from "../../../components/states.tsx";
import { Tooltip } from "../../../components/tooltip.tsx";
import { client } from "../../../lib/client.ts";
import { saveFile } from "../../../lib/save.ts";
import { useShortcuts } from "../../../lib/shortcuts.ts";
import { setComments, useComments } from "../comments.ts";
import { useRemembered } from "../remembered.ts";
import type { Evidence } from "../review.ts";
import { FileTree } from "./file-tree.tsx";
import type { Acts, Said } from "./lines.tsx";
import { Risks } from "./risks.tsx";
import { RowView } from "./row-view.tsx";
import { type LinesRow, type Mode, type Place, placeOf, type Row, rowsOf } from "./rows.ts";
import { usePatches } from "./use-patches.ts";
import "react-diff-view/style/index.css";
import "./changes.css";

/** Larger files open folded: a reviewer chooses them. */
const MANY_LINES = 1_500;
/** Files that begin open; the rest of a very wide change begins folded. */
const MANY_FILES = 300;
/** What a line and a head take before they are measured, in pixels. */
const [LINE, HEAD] = [20, 36];
/** Pictures in which a line that was gone to is still brought into view: rows are measured as they are drawn. */
const FOLLOWED = 20;
const none: readonly Said[] = [];
/** A line of the change, by its file and the viewer's key. */
type Spot = { file: number; key: string };

/**
 * The change of one piece of evidence: what a person should look at first, then the files. The lines of all files are
 * rows of one virtual list, some dozens each, so that a change of 100,000 lines scrolls like a short one.
 */
export function Changes({ evidence, canComment }: { evidence: Evidence; canComment: boolean }) {
  const { files } = evidence.record;
  const { patches, unfolded, error, retry, more, unfold } = usePatches(evidence);
  const [chosenMode, setMode] = useRemembered("diff", "unified");
  const [tree, setTree] = useRemembered("tree", window.innerWidth < 1280 ? "no" : "yes");
  const mode: Mode = chosenMode === "split" ? "split" : "unified";
  const [viewedText, setViewedText] = useRemembered(`viewed.${evidence.id}`, "");
  const viewed = useMemo(() => new Set(viewedText.split("\n").filter(Boolean)), [viewedText]);
  const [open, setOpen] = useState<ReadonlyMap<number, boolean>>(new Map());
  const comments = useComments(evidence.id);
  const [draft, setDraft] = useState<Place | null>(null);
  const [cursor, setCursor] = useState<Spot | null>(null);
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
    () => rowsOf({ files, patches, unfolded, mode, folded }),
    [files, patches, unfolded, mode, folded],
  );
  const heads = useMemo(() => rows.flatMap(({ kind }, index) => (kind === "file" ? [index] : [])), [rows]);
  const said = useMemo(() => {
    const by = new Map<string, Said[]>();
    for (const [index, comment] of comments.entries())
      by.set(comment.path, [...(by.get(comment.path) ?? []), { comment, index }]);
    return by;
  }, [comments]);
  const box = useRef<HTMLDivElement>(null);
  const head = useRef(0);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: (index) => {
      const row = rows[index];
      return row?.kind === "lines" ? row.height * LINE : row?.kind === "gap" ? 22 : HEAD;
    },
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 2,
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
  const follow = useRef(0);
  /** Goes to a line, which need not be drawn yet, and stays with it while what is above is measured. */
  const show = ({ file, key }: Spot) => {
    const index = latest.current.findIndex((row) => row.file === file && hasKey(row, key));
    const row = latest.current[index];
    if (row?.kind !== "lines") return;
    const inside = row.hunk.changes.findIndex((change) => getChangeKey(change) === key) / row.hunk.changes.length;
    const middle = (box.current?.clientHeight ?? 0) / 2;
    list.scrollToOffset((list.measurementsCache[index]?.start ?? 0) + inside * row.height * LINE - middle);
    cancelAnimationFrame(follow.current);
    const stay = (left: number) => {
      const line = box.current?.querySelector(`[data-index="${index}"] [data-change-key="${key}"]`);
      if (line && box.current) {
        const [seen, frame] = [line.getBoundingClientRect(), box.current.getBoundingClientRect()];
        if (seen.top < frame.top + HEAD || seen.bottom > frame.bottom)
          box.current.scrollTop += seen.top - frame.top - middle;
      }
      if (left > 0) follow.current = requestAnimationFrame(() => stay(left - 1));
    };
    stay(FOLLOWED);
  };
  useEffect(() => () => cancelAnimationFrame(follow.current), []);
  const choose = (spot: Spot) => {
    setCursor(spot);
    show(spot);
  };
  /** The first file or line that is seen below the head. */
  const seen = (what: string): Spot | null => {
    const top = (box.current?.getBoundingClientRect().top ?? 0) + HEAD;
    for (const row of box.current?.querySelectorAll<HTMLElement>(".row:not(.stuck)") ?? [])
      for (const line of row.querySelectorAll<HTMLElement>(what))
        if (line.getBoundingClientRect().bottom > top)
          return { file: rows[Number(row.dataset.index)]?.file ?? 0, key: line.dataset.changeKey ?? "" };
    return null;
  };
  const step = (by: 1 | -1) => () => {
    const here = cursor ? orderOf(rows, cursor) : by > 0 ? -1 : Number.POSITIVE_INFINITY;
    const stops = stopsOf(rows);
    const stop = by > 0 ? stops.find(({ order }) => order > here) : stops.findLast(({ order }) => order < here);
    if (stop) choose(stop);
  };
  const say = (file: number, change: ChangeData) => {
    if (!canComment) return;
    setCursor({ file, key: getChangeKey(change) });
    setDraft(placeOf(files[file]?.path ?? "", change));
  };
  useShortcuts({
    n: step(1),
    p: step(-1),
    v: () => view((cursor ?? seen(".row > *"))?.file ?? rows[head.current]?.file ?? 0),
    c: () => {
      const spot = cursor ?? seen("[data-change-key]");
      const change = spot && changeAt(rows, spot);
      if (spot && change) say(spot.file, change);
    },
  });
  useEffect(() => {
    if (!draft) return;
    // The field is drawn with the next picture; it has the focus, and the list keeps what it has measured.
    const frame = requestAnimationFrame(() =>
      box.current?.querySelector(".draft")?.scrollIntoView({ block: "nearest" }),
    );
    return () => cancelAnimationFrame(frame);
  }, [draft]);
  const save = (text: string) => {
    if (draft && text.trim()) setComments(evidence.id, [...comments, { ...draft, text: text.trim().slice(0, 4_000) }]);
    setDraft(null);
  };
  const remove = (at: number) =>
    setComments(
      evidence.id,
      comments.filter((_, i) => i !== at),
    );
  const current = useRef<Acts>({ say, save, remove });
  current.current = { say, save, remove };
  // One object for good: what is drawn stays drawn while the list scrolls.
  const acts = useMemo<Acts>(
    () => ({
      say: (file, change) => current.current.say(file, change),
      save: (text) => current.current.save(text),
      remove: (index) => current.current.remove(index),
    }),
    [],
  );
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
      const spot = line === null ? null : spotOf(latest.current, file, line);
      if (spot) choose(spot);
      else {
        setCursor(null);
        list.scrollToIndex(
          latest.current.findIndex((row) => row.file === file),
          { align: "start" },
        );
      }
    }, 50);
  };
  return (
    <div className="changes">
      {risky.length > 0 ? <Risks risks={risky} files={files} go={toRisk} /> : null}
      <div className="diff-bar">
        <Tooltip label="Files">
          <button
            type="button"
            className="mini-button"
            aria-pressed={tree === "yes"}
            onClick={() => setTree(tree === "yes" ? "no" : "yes")}
          >
            <PanelLeft size={16} aria-hidden />
            <span className="hidden">Files</span>
          </button>
        </Tooltip>
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
        <Tooltip label="Download the whole diff">
          <button type="button" className="mini-button" onClick={() => void downloadWhole()}>
            <Download size={16} aria-hidden />
            <span className="hidden">Download the whole diff</span>
          </button>
        </Tooltip>
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
                  <RowView
                    row={row}
                    facts={files[row.file] as DiffFile}
                    patch={patches[row.file]}
                    mode={mode}
                    selected={cursor?.file === row.file ? cursor.key : null}
                    comments={said.get(files[row.file]?.path ?? "") ?? none}
                    draft={draft?.path === files[row.file]?.path ? draft : null}
                    acts={acts}
                    folded={row.kind === "file" && folded(row.file)}
                    viewed={viewed.has(files[row.file]?.path ?? "")}
                    canComment={canComment}
                    fold={() => fold(row.file)}
                    view={() => view(row.file)}
                    whole={() => void downloadWhole()}
                    more={() => more(row.file)}
                    unfold={() => row.kind === "gap" && unfold(row.file, row.range)}
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

const hasKey = (row: Row, key: string): row is LinesRow =>
  row.kind === "lines" && row.hunk.changes.some((change) => getChangeKey(change) === key);

function changeAt(rows: readonly Row[], { file, key }: Spot): ChangeData | undefined {
  const row = rows.find((one) => one.file === file && hasKey(one, key));
  return row?.kind === "lines" ? row.hunk.changes.find((change) => getChangeKey(change) === key) : undefined;
}

/** The line of a file with a number of the new one, or of the old one when it is gone. */
function spotOf(rows: readonly Row[], file: number, line: number): Spot | null {
  for (const row of rows)
    if (row.file === file && row.kind === "lines")
      for (const change of row.hunk.changes)
        if (placeOf("", change).line === line) return { file, key: getChangeKey(change) };
  return null;
}

const orderIn = (index: number, { hunk }: LinesRow, key: string): number =>
  index + hunk.changes.findIndex((change) => getChangeKey(change) === key) / hunk.changes.length;
/** Where a line stands among all that are there, as a number that grows downwards; -1 when it is folded away. */
function orderOf(rows: readonly Row[], { file, key }: Spot): number {
  const index = rows.findIndex((row) => row.file === file && hasKey(row, key));
  const row = rows[index];
  return row?.kind === "lines" ? orderIn(index, row, key) : -1;
}
/** Lines at which a run of changed ones begins, from above. */
const stopsOf = (rows: readonly Row[]): (Spot & { order: number })[] =>
  rows.flatMap((row, index) =>
    row.kind === "lines" ? row.starts.map((key) => ({ file: row.file, key, order: orderIn(index, row, key) })) : [],
  );
