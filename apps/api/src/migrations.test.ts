import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createAssembly } from "./assemble.ts";

/** SHA-256 of every migration's text, in the order in which they run; a database remembers the same and refuses another. */
const known = JSON.parse(readFileSync(join(import.meta.dirname, "../test/upgrade/migrations.json"), "utf8")) as Record<
  string,
  string
>;

/** Migrations that are not as databases have run them, each with what to do. */
function changed(migrations: readonly { name: string; sql: string }[]): string[] {
  const now = migrations.map(({ name, sql }) => [name, createHash("sha256").update(sql).digest("hex")] as const);
  const gone = Object.keys(known).filter((name) => !now.some(([one]) => one === name));
  return [
    ...now
      .filter(([name, digest]) => known[name] !== digest)
      .map(([name, digest]) =>
        known[name]
          ? `${name} has another text: undo that, and add a new one`
          : `${name} is new: add "${name}": "${digest}" to migrations.json`,
      ),
    ...gone.map((name) => `${name} is gone`),
  ];
}

const { migrations } = createAssembly({ startLoop: () => Promise.reject(new Error("not here")) });

it("keeps the text of every migration, so that each older database opens", () => {
  expect(changed(migrations)).toEqual([]);
  expect(new Set(migrations.map(({ name }) => name)).size).toBe(migrations.length);
});

it("notices one that was changed, made or taken away", () => {
  const [first = { name: "", sql: "" }, ...rest] = migrations;
  expect(changed([{ ...first, sql: `${first.sql} ` }, ...rest])).toEqual([expect.stringContaining("another text")]);
  expect(changed([...migrations, { name: "jobs-999", sql: "select 1" }])).toEqual([expect.stringContaining("is new")]);
  expect(changed(rest)).toEqual([`${first.name} is gone`]);
});
