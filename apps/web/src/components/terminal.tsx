import Anser from "anser";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { visible } from "../lib/format.ts";
import "./terminal.css";

/** Lines shown before somebody asks for all. */
const LAST = 20;
/** Characters that are ever coloured; the rest of a long output lies in its log. */
const MAX = 200_000;

/** Taken over from the output. "Hidden" and "blink" are not: nothing that was printed goes out of sight. */
const weights: ReadonlySet<string> = new Set(["bold", "italic", "underline", "dim"]);

const Screen = lazy(() => import("./screen.tsx"));

/** Anything that a terminal takes as more than text, a line's end and a colour: it would show something else than what came. */
const moving = /\r(?!\n)|[\b\v\f]|\u001b(?!\[[\d;:]*m)/;

/** Output as it came, and on demand as a terminal would show it after all that it overwrote and erased. */
export function Played({ text, children }: { text: string; children: ReactNode }) {
  const [played, setPlayed] = useState(false);
  if (!moving.test(text)) return children;
  return (
    <>
      <p className="played">
        <button type="button" className="more" aria-pressed={played} onClick={() => setPlayed(!played)}>
          {played ? "Show all that was printed" : "Play it as a terminal"}
        </button>{" "}
        <span className="quiet">
          {played ? "What was overwritten or erased does not stand here." : "It moves the cursor or erases."}
        </span>
      </p>
      {played ? (
        <Suspense fallback={<p className="quiet">Playing…</p>}>
          <Screen text={text.slice(-MAX)} />
        </Suspense>
      ) : (
        children
      )}
    </>
  );
}

/**
 * Output of a command as a terminal would colour it. Colours and weight are all that is taken from it: every other
 * sequence, and every character that cannot be seen, is shown as what it is.
 */
export function Terminal({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  const lines = text.replace(/\r\n/g, "\n").split("\n");
  const hidden = all ? 0 : Math.max(0, lines.length - LAST);
  const shown = lines.slice(hidden).join("\n").slice(-MAX);
  return (
    <Played text={text}>
      {hidden > 0 ? (
        <button type="button" className="more" onClick={() => setAll(true)}>
          Show {hidden} earlier lines
        </button>
      ) : null}
      <pre className="terminal">
        {Anser.ansiToJson(shown, { json: true, remove_empty: true, use_classes: true }).map((part, index) => (
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity and are replaced together
            key={index}
            className={[part.fg, part.bg && `${part.bg}-bg`, ...part.decorations.filter((name) => weights.has(name))]
              .filter(Boolean)
              .join(" ")}
          >
            {visible(part.content)}
          </span>
        ))}
      </pre>
    </Played>
  );
}
