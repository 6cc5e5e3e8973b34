import { common, createLowlight } from "lowlight";
import { visible } from "../../../lib/format.ts";
import type { Patch, PatchLine, Token } from "./rows.ts";

const lowlight = createLowlight(common);
const languages: Record<string, string> = {
  ...{ ts: "typescript", mts: "typescript", cts: "typescript", tsx: "typescript" },
  ...{ js: "javascript", mjs: "javascript", cjs: "javascript", jsx: "javascript" },
  ...{ py: "python", rb: "ruby", rs: "rust", go: "go", java: "java", kt: "kotlin", cs: "csharp", swift: "swift" },
  ...{ c: "c", h: "c", cc: "cpp", cpp: "cpp", hpp: "cpp", m: "objectivec", php: "php", pl: "perl", lua: "lua", r: "r" },
  ...{ sh: "bash", bash: "bash", zsh: "bash", yml: "yaml", yaml: "yaml", json: "json", md: "markdown", sql: "sql" },
  ...{ css: "css", scss: "scss", less: "less", html: "xml", xml: "xml", svg: "xml", toml: "ini", ini: "ini" },
  ...{ graphql: "graphql", diff: "diff", patch: "diff", makefile: "makefile", mk: "makefile" },
};
/** Lines that are coloured together, so that comments and texts over several lines look right. */
const CHUNK = 200;
/** Longer chunks stay plain: colouring them would be felt. */
const MAX_CHUNK_CHARS = 40_000;

type Node = { type: string; value?: string; children?: Node[]; properties?: { className?: unknown } };
const done = new WeakMap<PatchLine, Token[]>();

/** A line's text in coloured pieces; plain where the language is not known. `at` is its place in the patch. */
export function tokensOf(patch: Patch, line: PatchLine, at: number): Token[] {
  const known = done.get(line);
  if (known) return known;
  const language = languages[/[^./]*$/.exec(patch.path)?.[0].toLowerCase() ?? ""];
  if (language) {
    const chunk = patch.lines.slice(at - (at % CHUNK), at - (at % CHUNK) + CHUNK);
    for (const side of ["old", "new"] as const)
      colour(
        chunk.filter((one) => one[side] !== null && (side === "new" || one.kind === "removed" || one.kind === "same")),
        language,
      );
  }
  const tokens = done.get(line) ?? [{ text: visible(line.text), look: "" }];
  done.set(line, tokens);
  return tokens;
}

function colour(lines: readonly PatchLine[], language: string): void {
  // A line end inside a line would move all that follow: `visible` keeps it, so it goes here.
  const texts = lines.map(({ text }) => visible(text).replaceAll("\n", "⏎"));
  const whole = texts.join("\n");
  if (whole.length > MAX_CHUNK_CHARS) return;
  const split: Token[][] = [[]];
  const walk = (node: Node, look: string) => {
    for (const child of node.children ?? [])
      if (child.type === "text")
        for (const [i, text] of (child.value ?? "").split("\n").entries()) {
          if (i > 0) split.push([]);
          if (text) split.at(-1)?.push({ text, look });
        }
      else {
        const names = child.properties?.className;
        walk(child, Array.isArray(names) ? names.map(String).join(" ") : look);
      }
  };
  walk(lowlight.highlight(language, whole) as unknown as Node, "");
  for (const [i, line] of lines.entries()) done.set(line, split[i] ?? []);
}
