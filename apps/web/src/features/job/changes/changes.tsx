import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import type { DiffFile } from "@x1agent/contract";
import { Columns2, Download, PanelLeft, Rows2 } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Empty, Failure } from "../../../components/states.tsx";
import { client } from "../../../lib/client.ts";
import { saveFile } from "../../../lib/save.ts";
import { useShortcuts } from "../../../lib/shortcuts.ts";
import { setComments, useComments } from "../comments.ts";
import { useRemembered } from "../remembered.ts";
import type { Evidence } from "../review.ts";
import { FileTree } from "./file-tree.tsx";
import { Risks } from "./risks.tsx";
import { RowView } from "./row-view.tsx";
import { type Mode, type Place, placesOf, type Row, rowsOf } from "./rows.ts";
import { usePatches } from "./use-patches.ts";
import "./changes.css";

/** Larger files open folded: a reviewer chooses them. */
const MANY_LINES = 1_500;
/** Files that begin open; the rest of a very wide change begins folded. */
const MANY_FILES = 300;

/**
 * The change of one piece of evidence: what a person should look at first, then the files. Every line of every file is a
 * row of one virtual list, so that a change of 100,000 lines scrolls like a short one.
 */
export function Changes({ evidence, canComment }: { evidence: Evidence; canComment: boolean }) {
  const { files } = evidence.record;
  const { patches, error, retry, more, unfold } = usePatches(evidence);
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
                  <RowView
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
                    more={() => more(row.file)}
                    unfold={() => unfold(row.file)}
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
