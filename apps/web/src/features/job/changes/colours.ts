import { common, createLowlight } from "lowlight";
import { type ChangeData, type HunkData, type HunkTokens, markEdits, type TokenNode, tokenize } from "react-diff-view";
import { inOrder, paired } from "./rows.ts";

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
const STRETCH = 200;
/** Longer stretches stay plain: colouring them would be felt. */
const MAX_CHARS = 40_000;
/** Longer lines are not compared word by word: nobody reads them that way, and it takes long. */
const MAX_COMPARED = 400;

/** A part of a hunk, and where its numbers begin on each side. */
type Stretch = { changes: ChangeData[]; old: number; new: number; tokens?: HunkTokens };
const stretches = new WeakMap<HunkData, Map<ChangeData, Stretch>>();

/** Which stretch a line of the hunk lies in; lines that stand side by side are never parted. */
function stretchesOf(whole: HunkData): Map<ChangeData, Stretch> {
  const known = stretches.get(whole);
  if (known) return known;
  const made = new Map<ChangeData, Stretch>();
  let [old, now] = [whole.oldStart, whole.newStart];
  let stretch: Stretch | undefined;
  let before: ChangeData | undefined;
  for (const change of inOrder(whole.changes, "split")) {
    if (!stretch || (stretch.changes.length >= STRETCH && !paired(before, change)))
      stretch = { changes: [], old, new: now };
    stretch.changes.push(change);
    made.set(change, stretch);
    if (change.type !== "insert") old += 1;
    if (change.type !== "delete") now += 1;
    before = change;
  }
  stretches.set(whole, made);
  return made;
}

/** The line with numbers that count from where its stretch begins: the viewer colours a file from its first line on. */
const moved = (change: ChangeData, { old, new: now }: Stretch): ChangeData =>
  change.type === "normal"
    ? { ...change, oldLineNumber: change.oldLineNumber - old + 1, newLineNumber: change.newLineNumber - now + 1 }
    : { ...change, lineNumber: change.lineNumber - (change.type === "delete" ? old : now) + 1 };

const lengthOf = (node: TokenNode): number =>
  node.children?.reduce((sum, child) => sum + lengthOf(child), 0) ?? String(node.value ?? "").trim().length;
const editedIn = (node: TokenNode): number =>
  node.type === "edit" ? lengthOf(node) : (node.children?.reduce((sum, child) => sum + editedIn(child), 0) ?? 0);
const unmarked = (nodes: readonly TokenNode[]): TokenNode[] =>
  nodes.flatMap((node) =>
    node.type === "edit"
      ? unmarked(node.children ?? [])
      : [node.children ? { ...node, children: unmarked(node.children) } : node],
  );
/** A line of which most is new is plainly another line: marks on all of it would say nothing. */
const calm = (nodes: TokenNode[]): TokenNode[] => {
  const line = { type: "root", children: nodes };
  return editedIn(line) * 3 > lengthOf(line) * 2 ? unmarked(nodes) : nodes;
};

function colour(stretch: Stretch, language: string | undefined): HunkTokens {
  if (stretch.tokens) return stretch.tokens;
  const changes = stretch.changes.map((change) => moved(change, stretch));
  const hunk = { content: "", oldStart: 1, newStart: 1, oldLines: 0, newLines: 0, changes };
  const short = changes.map((change) => (change.content.length > MAX_COMPARED ? { ...change, content: "" } : change));
  const enhancers = [markEdits([{ ...hunk, changes: short }], { type: "line" })];
  const plain = !language || changes.reduce((sum, { content }) => sum + content.length, 0) > MAX_CHARS;
  const made = plain
    ? tokenize([hunk], { enhancers })
    : tokenize([hunk], {
        ...{ highlight: true, language, enhancers },
        refractor: { highlight: (text: string, name: string) => lowlight.highlight(name, text).children },
      } as Parameters<typeof tokenize>[1]);
  stretch.tokens = { old: made.old.map(calm), new: made.new.map(calm) };
  return stretch.tokens;
}

/** Coloured pieces of some lines of a hunk, by their numbers as the viewer looks them up; other lines are left out. */
export function tokensOf(path: string, { changes }: HunkData, whole: HunkData): HunkTokens {
  const language = languages[/[^./]*$/.exec(path)?.[0].toLowerCase() ?? ""];
  const all = stretchesOf(whole);
  const tokens: HunkTokens = { old: [], new: [] };
  for (const change of changes) {
    const stretch = all.get(change);
    if (!stretch) continue;
    const made = colour(stretch, language);
    const at = moved(change, stretch);
    const take = (side: "old" | "new", number: number, from: number) => {
      const line = made[side][from - 1];
      if (line) tokens[side][number - 1] = line;
    };
    if (change.type === "normal" && at.type === "normal") {
      take("old", change.oldLineNumber, at.oldLineNumber);
      take("new", change.newLineNumber, at.newLineNumber);
    } else if (change.type !== "normal" && at.type !== "normal")
      take(change.type === "delete" ? "old" : "new", change.lineNumber, at.lineNumber);
  }
  return tokens;
}
