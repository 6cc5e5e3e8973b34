/**
 * Measures the product beside what is possible on this machine, in one run.
 *
 *   npm run bench                        every figure, as a table (about 10 minutes)
 *   npm run bench -- <name> ...          some benches: the files of this folder that end in .bench.ts
 *   npm run bench -- --json              one JSON object per figure and line
 *   npm run bench -- --quick             checks that everything measures, in under two minutes; figures mean nothing
 */
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { type Bench, endParts, type Figure } from "./lib.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, quick: { type: "boolean", default: false } },
});
const files = globSync("*.bench.ts", { cwd: import.meta.dirname }).sort();
const names = files.map((file) => basename(file, ".bench.ts"));
const unknown = positionals.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`No bench "${unknown.join('", "')}". There are: ${names.join(", ")}.`);
  process.exit(2);
}

const rounded = (value: number) => Number(value.toPrecision(4));
const over = (value: number, base: number | null | undefined) =>
  base === null || base === undefined || base === 0 ? null : rounded(value / base);
const orNull = (value: number | null | undefined) => (value === null || value === undefined ? null : rounded(value));

/** The wire form of one figure. */
const line = (bench: string, { figure, unit, ours, limit, peer }: Figure) => ({
  bench,
  figure,
  unit,
  ours: rounded(ours),
  limit: orNull(limit),
  peer: orNull(peer),
  ratio_to_limit: over(ours, limit),
  ratio_to_peer: over(ours, peer),
});

/** Words go to standard error where standard output is for machines. */
const tell = (text: string) => (values.json ? console.error(text) : console.log(text));
const cell = (value: number | null) => (value === null ? "-" : String(value)).padStart(10);

process.once("SIGINT", () => {
  endParts();
  process.exit(130);
});
tell(
  `${availableParallelism()} cores, Node ${process.version}, load, upstream and rivals are Node programs${values.quick ? ", --quick: the figures mean nothing" : ""}`,
);
let failed = false;
for (const name of positionals.length > 0 ? positionals : names) {
  const { bench } = (await import(join(import.meta.dirname, `${name}.bench.ts`))) as { bench: Bench };
  tell(`\n${name}: ${bench.about}`);
  try {
    const figures = await bench.run({ quick: values.quick, note: (text) => tell(`  note: ${text}`) });
    if (!values.json)
      console.log(
        `  ${"".padEnd(52)}${["ours", "limit", "peer", "/limit", "/peer"].map((head) => head.padStart(10)).join("")}`,
      );
    for (const figure of figures) {
      const out = line(name, figure);
      if (values.json) console.log(JSON.stringify(out));
      else
        console.log(
          `  ${`${out.figure}, ${out.unit}`.padEnd(52)}${[out.ours, out.limit, out.peer, out.ratio_to_limit, out.ratio_to_peer].map(cell).join("")}`,
        );
    }
  } catch (error) {
    failed = true;
    tell(`  failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
    endParts();
  }
}
process.exit(failed ? 1 : 0);
