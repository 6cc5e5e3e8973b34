import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { createProgram } from "./apps/cli/src/program.ts";

/** What the documents tell people to type exists, and so do the files they point at. */
const root = import.meta.dirname;
const documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...globSync("docs/**/*.md", { cwd: root })];
// Hints of the contract's errors are read on a terminal, and are documents too.
const sources = [...documents, "packages/contract/src/errors.ts"];
const scripts = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> })
  .scripts;
const program = createProgram(() => undefined);
type Command = Omit<typeof program, "commands"> & { readonly commands: readonly Command[] };
const endings: Record<string, string> = { unit: ".test.ts", integration: ".int.test.ts", e2e: ".e2e.test.ts" };

/** Inline code and the lines of code blocks, comments taken off. */
function snippets(text: string): string[] {
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].flatMap((match) => (match[1] ?? "").split("\n"));
  const inline = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
  return [...blocks, ...inline].map((line) => line.replace(/\s#\s.*$/, "").trim()).filter(Boolean);
}

/** Commands of one line: `a && b; c | d`. */
const commands = (line: string) => line.split(/\s*(?:&&|;|\|)\s*/).map((part) => part.replace(/^\$ /, ""));

/** What is wrong with one `x1 ...` command line. Quoted words and placeholders are not looked into. */
function x1Mistake(line: string): string | null {
  const words = line
    .replace(/"[^"]*"/g, "X")
    .replace(/[[\]]/g, "")
    .split(/\s+/)
    .slice(1);
  let command = program as Command;
  const options = new Set(["--help", "--version", "--json", "--data"]);
  for (const [index, word] of words.entries()) {
    if (word === "...") return null;
    if (word.startsWith("--")) {
      const name = word.split("=")[0] ?? "";
      const known = options.has(name) || command.options.some((option) => option.long === name);
      if (!known) return `x1 ${command.name()} has no ${name}`;
      continue;
    }
    const below: Command | undefined = command.commands.find((one) => one.name() === word);
    if (below) command = below;
    else if (index === 0 && /^[a-z-]+$/.test(word)) return `x1 has no command "${word}"`;
  }
  return null;
}

/** What is wrong with one `npm ...` command line. */
function npmMistake(line: string): string | null {
  const [, verb, ...rest] = line.split(/\s+/);
  const name = verb === "run" ? rest[0]?.replace(/,$/, "") : verb;
  if (verb !== "run" && verb !== "test" && verb !== "start") return null;
  if (!scripts[name ?? ""]) return `package.json has no script "${name}"`;
  const [suite = "", filter] = rest.slice(rest.indexOf("--") + 1);
  if (name !== "test" || !rest.includes("--") || !endings[suite]) return null;
  const found = globSync(`{packages,drivers,images,runtimes,apps,scripts}/**/*${endings[suite]}`, {
    cwd: root,
    exclude: (path) => path === "node_modules",
  });
  return found.some((file) => filter === undefined || file.includes(filter)) ? null : `${line} runs no test`;
}

function mistakes(text: string): string[] {
  return snippets(text)
    .flatMap(commands)
    .flatMap((line) => {
      const plain = line.replace(/^npx --no-install /, "");
      if (/^x1( |$)/.test(plain)) return x1Mistake(plain) ?? [];
      return /^npm /.test(plain) ? (npmMistake(plain) ?? []) : [];
    });
}

describe("the documents", () => {
  it.each(sources)("%s: every command exists", (file) => {
    expect(mistakes(readFileSync(join(root, file), "utf8"))).toEqual([]);
  });

  it("are looked at: they hold commands", () => {
    const all = sources.flatMap((file) => snippets(readFileSync(join(root, file), "utf8")).flatMap(commands));
    expect(all.filter((line) => /^(npx --no-install )?x1 /.test(line)).length).toBeGreaterThan(40);
    expect(all.filter((line) => /^npm (run|test)/.test(line)).length).toBeGreaterThan(6);
  });

  it.each(documents)("%s: every link inside the repository leads somewhere", (file) => {
    const links = [...readFileSync(join(root, file), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)];
    const broken = links.map((match) => match[1] ?? "").filter((to) => !existsSync(join(root, dirname(file), to)));
    expect(broken).toEqual([]);
  });

  it("name every command of x1 in docs/cli.md", () => {
    const page = readFileSync(join(root, "docs/cli.md"), "utf8");
    const missing = program.commands.map((command) => command.name()).filter((name) => !page.includes(`x1 ${name}`));
    expect(missing).toEqual([]);
  });

  it.each([
    ["`x1 fly`", /no command/],
    ["`x1 run --fast`", /no --fast/],
    ["`npx --no-install x1 audit verify --deep`", /no --deep/],
    ["`npm run nothing`", /no script/],
    ["```\nnpm test -- e2e no-such-place   # why\n```", /runs no test/],
  ])("a planted %s is found", (text, sentence) => {
    expect(mistakes(text).join()).toMatch(sentence);
  });
});

/** Tests that the security page names, as `file` and title, by row of its table. */
function namedTests(page: string): { row: string; file: string; title: string }[] {
  const [, table = ""] = page.split("## Each decision, its guard and its test");
  return table.split("\n").flatMap((row) =>
    row
      .split(" | ")
      .map((cell) => /^`([^`]+\.test\.ts)`: (.*?)(?: \|)?$/.exec(cell.trim()))
      .flatMap((match) => (match ? [{ row, file: match[1] ?? "", title: match[2] ?? "" }] : [])),
  );
}

/** What is wrong with one of them. */
function testMistake({ file, title }: { file: string; title: string }): string | null {
  if (!existsSync(join(root, file))) return `${file} does not exist`;
  const text = readFileSync(join(root, file), "utf8");
  return ['"', "`", "'"].some((quote) => text.includes(`${quote}${title}`)) ? null : `${file} has no test "${title}"`;
}

describe("the table of decisions on the security page", () => {
  const page = readFileSync(join(root, "docs/security.md"), "utf8");
  it("names tests that exist, and has one for each row", () => {
    const named = namedTests(page);
    expect(named.map(testMistake).filter((mistake) => mistake !== null)).toEqual([]);
    const rows =
      page
        .split("## Each decision")[1]
        ?.split("\n")
        .filter((line) => line.startsWith("| ")) ?? [];
    expect(rows.length).toBeGreaterThan(30);
    for (const row of rows.slice(1))
      expect(
        named.some((one) => one.row === row),
        row,
      ).toBe(true);
  });

  it("would be told of a test that is gone", () => {
    const one = "drivers/local/src/spec.test.ts";
    expect(testMistake({ file: one, title: "a workspace's root is whatever it likes" })).toContain("has no test");
    expect(testMistake({ file: "drivers/local/src/gone.test.ts", title: "x" })).toContain("does not exist");
    expect(namedTests(`## Each decision, its guard and its test\n| a | b | \`${one}\`: t | c |`)).toMatchObject([
      { file: one, title: "t" },
    ]);
  });
});

it("decision records have a number each, the one that their title says", () => {
  const records = documents.filter((path) => path.startsWith("docs/adr/")).sort();
  const numbers = records.map((path) => path.slice("docs/adr/".length).split("-")[0]);
  expect(numbers).toEqual(records.map((_, index) => String(index + 1).padStart(3, "0")));
  const titles = records.map((path) => /^# (\d+)\b/.exec(readFileSync(join(root, path), "utf8"))?.[1]);
  expect(titles).toEqual(numbers);
});
