import { describe, expect, it } from "vitest";
import { flush, PacketError, PacketReader, packet } from "./pkt-line.ts";
import {
  compareWithRemote,
  isPlainBranch,
  judgePush,
  type PushGrant,
  parseHead,
  refusalReport,
  writeHead,
  ZERO,
} from "./push-rules.ts";

const [a, b] = ["a".repeat(40), "b".repeat(40)];
const caps = "report-status side-band-64k agent=git/2.39.5";
const first = (ref: string, old = ZERO, to = a, said = caps) => Buffer.from(`${old} ${to} ${ref}\0 ${said}`, "latin1");
const next = (ref: string, old = ZERO, to = a) => Buffer.from(`${old} ${to} ${ref}`, "latin1");
const head = (...lines: Buffer[]) => {
  const read = parseHead(lines);
  if (typeof read === "string") throw new Error(read);
  return read;
};

describe("packets", () => {
  const stream = Buffer.concat([packet("one\n"), packet(Buffer.alloc(1_000, "x")), flush, Buffer.from("PACK...")]);
  it("come out the same wherever the bytes are cut", () => {
    for (let cut = 1; cut < stream.length; cut += cut < 20 || cut > 1_000 ? 1 : 97) {
      const reader = new PacketReader();
      const found: string[] = [];
      for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
        reader.add(piece);
        while (found.at(-1) !== "flush") {
          const one = reader.next();
          if (one === null) break;
          found.push(one === "flush" ? "flush" : `${one.length}`);
        }
      }
      expect(found, `cut at ${cut}`).toEqual(["4", "1000", "flush"]);
      expect(reader.rest().toString(), `cut at ${cut}`).toBe("PACK...");
    }
  });
  it.each(["0001", "0002", "0003", "0004", "fff1", "PACK", "+00a", "0x0a", "00 a"])("are not made of %s", (digits) => {
    const reader = new PacketReader();
    reader.add(Buffer.from(`${digits}abcdefgh`));
    expect(() => reader.next()).toThrow(PacketError);
  });
});

describe("a push's list of commands", () => {
  it("is read and written anew from what was understood", () => {
    const read = head(Buffer.from(`shallow ${b}\n`), first("refs/heads/x1/a"), next("refs/heads/x1/b", a, b));
    expect(read).toEqual({
      shallow: [b],
      capabilities: ["report-status", "side-band-64k"],
      commands: [
        { old: ZERO, new: a, ref: "refs/heads/x1/a" },
        { old: a, new: b, ref: "refs/heads/x1/b" },
      ],
    });
    const reader = new PacketReader();
    reader.add(writeHead(read));
    const packets: Buffer[] = [];
    for (let one = reader.next(); one !== null && one !== "flush"; one = reader.next()) packets.push(one);
    expect(parseHead(packets)).toEqual(read);
    expect(packets[1]?.toString()).toContain("agent=x1agent");
    expect(packets[1]?.toString()).not.toContain("git/2.39.5");
  });
  it.each([
    ["options", [first("refs/heads/x1/a", ZERO, a, `${caps} push-options`)], /options/],
    ["a certificate", [Buffer.from(`push-cert\0${caps}\n`)], /Signed/],
    ["another hash function", [first("refs/heads/x1/a", ZERO, a, `${caps} object-format=sha256`)], /object-format/],
    ["an unknown word", [first("refs/heads/x1/a", ZERO, a, `${caps} surprise`)], /surprise/],
    ["no wish to hear how it went", [first("refs/heads/x1/a", ZERO, a, "atomic")], /how it went/],
    [
      "a zero byte in a later command",
      [first("refs/heads/x1/a"), Buffer.from(`${ZERO} ${a} refs/heads/main\0x`)],
      /zero/,
    ],
    ["two zero bytes", [Buffer.from(`${ZERO} ${a} refs/heads/x1/a\0 ${caps}\0more`)], /zero/],
    ["a short id", [Buffer.from(`${ZERO.slice(1)} ${a} refs/heads/x1/a\0 ${caps}`)], /malformed/],
    ["an id in capitals", [Buffer.from(`${ZERO} ${a.toUpperCase()} refs/heads/x1/a\0 ${caps}`)], /malformed/],
    ["a shallow line after a command", [first("refs/heads/x1/a"), Buffer.from(`shallow ${b}`)], /malformed/],
    [
      "too many",
      [first("refs/heads/x1/0"), ...Array.from({ length: 60 }, (_, n) => next(`refs/heads/x1/${n}`))],
      /at most/,
    ],
  ] as const)("is refused with %s", (_name, lines, why) => {
    expect(parseHead(lines)).toMatch(why);
  });
});

describe("a branch", () => {
  it.each(["x1/a", "x1/fix-12_b.c", "x1/a+b=c", "v1.0", "a@b"])("may be called %s", (name) =>
    expect(isPlainBranch(`refs/heads/${name}`)).toBe(true),
  );
  it.each([
    ...["refs/Heads/x1/a", "REFS/HEADS/x1/a", "refs/tags/x1/a", "refs/heads/", "heads/x1/a", "x1/a", "HEAD"],
    ...["refs/heads/x1/../main", "refs/heads/x1//a", "refs/heads/x1/a/", "refs/heads/x1/.a", "refs/heads//x1/a"],
    ...["refs/heads/x1/a.lock", "refs/heads/x1/a.LOCK", "refs/heads/x1/a.", "refs/heads/x1/a b", "refs/heads/x1/a\tb"],
    ...["refs/heads/x1/a\nb", "refs/heads/x1/a\0b", "refs/heads/x1/a\x7f", "refs/heads/x1/\xe9", "refs/heads/x1/a~1"],
    ...["refs/heads/x1/a^", "refs/heads/x1/a:b", "refs/heads/x1/a?", "refs/heads/x1/*", "refs/heads/x1/[a]"],
    ...["refs/heads/x1/a\\b", "refs/heads/x1/@{u}", "refs/heads/@", "refs/heads/-a", "refs/heads/x1/-a"],
    ...["refs/pull/1/head", "refs/changes/1", `refs/heads/${"a".repeat(201)}`, "refs/heads/x1/%2e%2e/main"],
  ])("is not called %j", (ref) => expect(isPlainBranch(ref)).toBe(false));
});

describe("the judgement", () => {
  const grant = (pattern: string, change: Partial<PushGrant> & { force?: boolean } = {}): PushGrant => ({
    ...{ id: `g-${pattern}`, once: false },
    ...change,
    details: { pattern, ...(change.force ? { force: true } : {}) },
  });
  const facts = {
    grants: [grant("x1/*")],
    protected: ["main", "release/*", "x1/held"],
    own: new Map<string, string>(),
  };
  const judge = (lines: Buffer[], change: Partial<typeof facts> = {}) =>
    Object.fromEntries(judgePush(head(...lines), { ...facts, ...change }).refused);

  it("lets through what a grant covers", () => {
    expect(judge([first("refs/heads/x1/a"), next("refs/heads/x1/b")])).toEqual({});
  });
  it.each([
    ["the default branch", "refs/heads/main", "*", /protected/],
    ["the default branch in capitals", "refs/heads/MAIN", "*", /protected/],
    ["a protected pattern", "refs/heads/release/2/b", "*", /protected/],
    ["a protected branch below the grant's own pattern", "refs/heads/x1/held", "x1/*", /protected/],
    ["a branch beside the pattern", "refs/heads/x2/a", "x1/*", /no grant/],
    ["a branch that only begins alike", "refs/heads/x1", "x1/*", /no grant/],
    ["a tag", "refs/tags/v1", "*", /tags/],
    ["another name space", "refs/notes/x", "*", /plainly/],
  ] as const)("refuses %s", (_name, ref, pattern, why) => {
    expect(judge([first(ref)], { grants: [grant(pattern, { force: true })] })[ref]).toMatch(why);
  });
  it("refuses with every grant revoked, a deletion, a branch named twice, and a branch that others made", () => {
    expect(judge([first("refs/heads/x1/a")], { grants: [] })).toEqual({
      "refs/heads/x1/a": expect.stringMatching(/no grant/),
    });
    expect(judge([first("refs/heads/x1/a", a, ZERO)])["refs/heads/x1/a"]).toMatch(/deleted/);
    expect(
      judge([first("refs/heads/x1/a"), next("refs/heads/X1/A")], { grants: [grant("*")] })["refs/heads/X1/A"],
    ).toMatch(/twice/);
    expect(judge([first("refs/heads/x1/a", a, b)])["refs/heads/x1/a"]).toMatch(/force/);
  });
  it("moves what this workspace made, from where it left it, and with force what others made", () => {
    const own = new Map([["refs/heads/x1/a", a]]);
    expect(judge([first("refs/heads/x1/a", a, b)], { own })).toEqual({});
    expect(judge([first("refs/heads/x1/a", b, a)], { own })["refs/heads/x1/a"]).toMatch(/force/);
    expect(judge([first("refs/heads/x1/a", b, a)], { grants: [grant("x1/*", { force: true })] })).toEqual({});
  });
  it("reads a pattern that it does not know as more, never as less", () => {
    for (const pattern of ["rel[a-e]ase", "re?ease", "rel\\ease", "[^x]*", "REL*"])
      expect(judge([first("refs/heads/release")], { grants: [grant("*")], protected: [pattern] }), pattern).toEqual({
        "refs/heads/release": "this branch is protected",
      });
  });
  it("takes a grant for one use only where no lasting one will do, and one for several branches", () => {
    const once = grant("x1/*", { once: true, id: "once" });
    const used = (lines: Buffer[], grants: PushGrant[]) =>
      judgePush(head(...lines), { ...facts, grants }).grants.map(({ id }) => id);
    expect(used([first("refs/heads/x1/a")], [once, grant("x1/*")])).toEqual(["g-x1/*"]);
    expect(used([first("refs/heads/x1/a"), next("refs/heads/x1/b")], [once])).toEqual(["once"]);
  });
  it("compares with what the remote holds", () => {
    const refs = new Map([["refs/heads/x1/a", a]]);
    expect([...compareWithRemote(head(first("refs/heads/x1/a")).commands, refs).keys()]).toEqual(["refs/heads/x1/a"]);
    expect([...compareWithRemote(head(first("refs/heads/x1/b", a, b)).commands, refs).keys()]).toEqual([
      "refs/heads/x1/b",
    ]);
    expect(compareWithRemote(head(first("refs/heads/x1/a", a, b), next("refs/heads/x1/c")).commands, refs).size).toBe(
      0,
    );
  });
  it("is told of every branch, in bands where they were asked for, without control characters", () => {
    const read = head(first("refs/heads/x1/a"), next("refs/heads/ma\nin"));
    const told = refusalReport(read, new Map([["refs/heads/ma\nin", "no\x1b[2J"]])).toString("latin1");
    expect(told).toContain("\x01000eunpack ok\n");
    expect(told).toContain("ng refs/heads/x1/a another branch of this push was refused\n");
    expect(told).toContain("ng refs/heads/ma?in no?[2J\n");
    expect(refusalReport({ ...read, capabilities: [] }, new Map()).toString("latin1")).toMatch(/^000eunpack ok\n/);
  });
});
