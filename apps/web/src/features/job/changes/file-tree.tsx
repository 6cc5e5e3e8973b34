import type { DiffFile, LineComment } from "@x1agent/contract";
import { Check, Folder as FolderIcon, MessageSquareText, ShieldAlert } from "lucide-react";
import { useMemo, useState } from "react";
import { visible } from "../../../lib/format.ts";
import { type Folder, treeOf } from "./rows.ts";

/** Entries drawn at once; the rest is found by the filter. */
const MAX_SHOWN = 500;
const letters = { added: "A", modified: "M", deleted: "D", type_changed: "T" } as const;

type Props = {
  files: readonly DiffFile[];
  viewed: ReadonlySet<string>;
  comments: readonly LineComment[];
  go(file: number): void;
};

/** Files of the change as folders, each with what it needs: viewed, risk, comments. */
export function FileTree({ files, viewed, comments, go }: Props) {
  const [words, setWords] = useState("");
  const shown = useMemo(() => {
    const found = files.flatMap(({ path }, file) => (path.toLowerCase().includes(words.toLowerCase()) ? [file] : []));
    return { all: found.length, files: found.slice(0, MAX_SHOWN) };
  }, [files, words]);
  const root = useMemo(() => treeOf(shown.files.map((file) => files[file]?.path ?? "")), [shown, files]);
  const commented = useMemo(() => new Set(comments.map(({ path }) => path)), [comments]);
  const branch = (folder: Folder) => (
    <ul>
      {folder.folders.map((inner) => (
        <li key={inner.path}>
          <span className="folder quiet">
            <FolderIcon size={14} aria-hidden /> {visible(inner.name)}
          </span>
          {branch(inner)}
        </li>
      ))}
      {folder.files.map((at) => {
        const file = shown.files[at] ?? 0;
        const facts = files[file];
        if (!facts) return null;
        const seen = viewed.has(facts.path);
        return (
          <li key={file}>
            <button
              type="button"
              className={seen ? "leaf seen" : "leaf"}
              onClick={() => go(file)}
              title={visible(facts.path)}
            >
              <span className={`letter mono ${facts.status}`}>
                <span aria-hidden>{letters[facts.status]}</span>
                <span className="hidden">{facts.status}</span>
              </span>
              <span className="name">{visible(facts.path.slice(facts.path.lastIndexOf("/") + 1))}</span>
              {commented.has(facts.path) ? <MessageSquareText size={14} role="img" aria-label="has comments" /> : null}
              {facts.flags.length > 0 ? (
                <ShieldAlert className="risky" size={14} role="img" aria-label={`look: ${facts.flags.join(", ")}`} />
              ) : null}
              {seen ? <Check size={14} role="img" aria-label="viewed" /> : null}
            </button>
          </li>
        );
      })}
    </ul>
  );
  return (
    <div className="tree">
      {files.length > 8 ? (
        <input
          type="search"
          aria-label="Filter files"
          placeholder="Filter files"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      ) : null}
      {branch(root)}
      {shown.all > MAX_SHOWN ? <p className="quiet">{shown.all - MAX_SHOWN} more: filter to find them.</p> : null}
    </div>
  );
}
