import type { DiffFile } from "@x1agent/contract";
import { ShieldAlert } from "lucide-react";
import { useState } from "react";
import { visible } from "../../../lib/format.ts";

type Risk = { kind: string; reason: string; line: number | null; file: number };
/** What a person should look at first, each with its reason and the line. */
export function Risks({
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
