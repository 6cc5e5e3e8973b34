import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { compareIds, idOf, Journal } from "./journal.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "x1-journal-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const put = (journal: Journal, from: number, to: number, epoch = 100) => {
  for (let seq = from; seq <= to; seq += 1)
    journal.append(`${epoch}-${seq}`, JSON.stringify({ id: `${epoch}-${seq}`, text: "x".repeat(50) }));
};
/** Ids that a reader gets from a cursor on. */
function rest(journal: Journal, cursor: number): string[] {
  const ids: string[] = [];
  for (let at = cursor; ; ) {
    const read = journal.read(at);
    if (!read || read.bytes.length === 0) return ids;
    ids.push(
      ...read.bytes
        .toString()
        .trimEnd()
        .split("\n")
        .map((line) => idOf(line) ?? "?"),
    );
    at = read.next;
  }
}

it("goes on exactly after the id a reader has seen", () => {
  const journal = new Journal({ dir });
  put(journal, 1, 5);
  expect(journal.locate("100-3")).toMatchObject({ gap: false });
  expect(rest(journal, journal.locate("100-3").cursor)).toEqual(["100-4", "100-5"]);
  expect(journal.locate("100-5")).toEqual({ cursor: journal.end, gap: false });
  expect(rest(journal, journal.locate(null).cursor)).toHaveLength(5);
});

it("stays within its bound and tells whoever missed something", () => {
  const journal = new Journal({ dir, segmentBytes: 500, segments: 3 });
  put(journal, 1, 100);
  const bytes = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
  expect(bytes).toBeLessThanOrEqual(1_500);
  const { cursor, gap } = journal.locate("100-2");
  expect(gap).toBe(true);
  const kept = rest(journal, cursor);
  expect(kept.at(-1)).toBe("100-100");
  expect(kept.length).toBeGreaterThan(5);
  // Who has seen exactly the last one that went misses nothing.
  const first = Number(kept[0]?.split("-")[1]);
  expect(journal.locate(`100-${first - 1}`)).toMatchObject({ gap: false });
  expect(journal.locate(null).gap).toBe(true);
  // A slow reader's cursor that was overtaken is noticed too.
  expect(journal.read(0)).toBeNull();
});

it.each(["99-1", "100-77", "200-1"])("calls the unknown id %s a gap", (id) => {
  const journal = new Journal({ dir });
  put(journal, 1, 5);
  expect(journal.locate(id).gap).toBe(true);
});

it("takes up what an earlier host left, without its last line that was cut off", () => {
  const first = new Journal({ dir });
  put(first, 1, 3);
  first.close();
  appendFileSync(join(dir, readdirSync(dir)[0]!), '{"id":"100-4","text":"cut o');
  const second = new Journal({ dir });
  expect(second.lastId).toBe("100-3");
  put(second, 1, 2, 200);
  expect(rest(second, second.locate("100-2").cursor)).toEqual(["100-3", "200-1", "200-2"]);
});

it("knows that something went before what an earlier host left", () => {
  const first = new Journal({ dir, segmentBytes: 500, segments: 3 });
  put(first, 1, 100);
  first.close();
  // With room for more: it drops nothing itself.
  const second = new Journal({ dir, segmentBytes: 500, segments: 9 });
  expect(second.locate(null).gap).toBe(true);
  expect(rest(second, second.locate(null).cursor).at(-1)).toBe("100-100");
});

it.skipIf(!existsSync("/dev/full"))(
  "makes room once when the disk is full, and tells of the gap (needs /dev/full)",
  () => {
    const journal = new Journal({ dir, segmentBytes: 500 });
    put(journal, 1, 3);
    symlinkSync("/dev/full", join(dir, "events-0000000002.jsonl"));
    put(journal, 4, 20);
    const { cursor, gap } = journal.locate("100-1");
    expect(gap).toBe(true);
    const kept = rest(journal, cursor);
    expect([kept.at(-1), journal.lastId]).toEqual(["100-20", "100-20"]);
    expect(kept.map((id) => Number(id.split("-")[1]))).toEqual(kept.map((_, at) => 21 - kept.length + at));
    expect(existsSync(join(dir, "events-0000000001.jsonl"))).toBe(false);
  },
);

it("orders ids by boot, then by number", () => {
  expect(["2-1", "1-10", "1-9"].toSorted(compareIds)).toEqual(["1-9", "1-10", "2-1"]);
});
