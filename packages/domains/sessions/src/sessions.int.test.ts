import { sql } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  appendEvents,
  closeQuestions,
  eventNamesBlob,
  eventsChannel,
  getSession,
  listOpenQuestions,
  listSaid,
  migrations,
  type NewEvent,
  openQuestion,
  putCommand,
  readEvents,
  resumableSession,
  saveSession,
  takeCommands,
} from "./index.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
});
afterAll(() => db?.close());

const org = "org_a";
const actor = { kind: "user", id: "usr_1" } as const;
const event = (text: unknown, change: Partial<NewEvent> = {}): NewEvent => ({
  type: "agent.text",
  source: "reported",
  attemptId: "att_1",
  payload: { text },
  ...change,
});
const append = (jobId: string, events: NewEvent[]) => db.tenant(org, (tx) => appendEvents(tx, org, jobId, events));
const read = (jobId: string, after = 0, limit = 10_000) => db.tenant(org, (tx) => readEvents(tx, jobId, after, limit));

describe("the record of a job", () => {
  it("keeps events in order, replayable from any number", async () => {
    const stored = await append("job_1", [event("a", { turn: 1, origin: "1-1" }), event("b"), event("c")]);
    expect(await read("job_1")).toEqual(stored);
    expect((await read("job_1", 1, 1)).map(({ seq, payload }) => [seq, payload.text])).toEqual([[2, "b"]]);
  });

  it("numbers without gap or double when many write at once, each group together", async () => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => append("job_2", [event(`${i}a`), event(`${i}b`)])));
    const all = await read("job_2");
    expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    for (let i = 0; i < 40; i += 2)
      expect(String(all[i + 1]?.payload.text)).toBe(`${String(all[i]?.payload.text).slice(0, -1)}b`);
  });

  it("stores a resent event once, also when two resend it at once", async () => {
    const again = (text: string, origin: string) => event(text, { origin, attemptId: "att_3" });
    const group = [again("a", "1-1"), again("b", "1-2")];
    await Promise.all([append("job_3", group), append("job_3", group)]);
    expect(await append("job_3", [...group, again("c", "1-3")])).toHaveLength(1);
    expect((await read("job_3")).map(({ payload }) => payload.text)).toEqual(["a", "b", "c"]);
  });

  it("takes what a hostile agent sends without losing its neighbours", async () => {
    const deep = JSON.parse(`${"[".repeat(50_000)}${"]".repeat(50_000)}`) as unknown;
    await append("job_4", [
      event("before"),
      event("nul\0 half\ud800 literal \\u0000"),
      event("x", { type: "bad\0type", origin: "o\0\ud800" }),
      event(deep),
      event("when", { ts: "yesterday" }),
      event(Number.MAX_VALUE),
      event("after", { payload: { "key\0": 1, __proto__: 1 } }),
    ]);
    const all = await read("job_4");
    expect(all).toHaveLength(7);
    expect(all[1]?.payload.text).toBe("nul␀ half\ufffd literal \\u0000");
    expect(all[3]?.payload).toEqual({ dropped: "nested too deeply" });
    expect(Math.abs(Date.parse(all[4]?.ts ?? "") - Date.now())).toBeLessThan(60_000);
  });

  it("tells the job and its last number after commit, and is another tenant's business never", async () => {
    const heard: string[] = [];
    const stop = await db.listen(eventsChannel, (payload) => void heard.push(payload));
    await append("job_5", [event("a"), event("b")]);
    await expect.poll(() => heard.map((text) => JSON.parse(text) as unknown)).toEqual([{ o: org, j: "job_5", s: 2 }]);
    stop();
    expect(await db.tenant("org_b", (tx) => readEvents(tx, "job_5", 0, 10))).toEqual([]);
    await expect(db.tenant("org_b", (tx) => appendEvents(tx, "org_b", "job_5", [event("forged")]))).rejects.toThrow();
    expect(await read("job_5")).toHaveLength(2);
  });

  it("cannot be changed by the service", async () => {
    for (const statement of ["update event set source = 'observed'", "delete from event"])
      await expect(db.tenant(org, (tx) => sql.raw(statement).execute(tx))).rejects.toThrow(/permission denied/);
  });

  it("names the blobs that may be read through it", async () => {
    await append("job_6", [event("cut", { payload: { text: "cut…", outputBlob: "d".repeat(64) } })]);
    const names = (jobId: string) => db.tenant(org, (tx) => eventNamesBlob(tx, jobId, "d".repeat(64)));
    expect([await names("job_6"), await names("job_1")]).toEqual([true, false]);
  });
});

describe("a session", () => {
  it("keeps what was said of it before, and is resumed by its own runtime only", async () => {
    const save = (session: Parameters<typeof saveSession>[3]) =>
      db.tenant(org, (tx) => saveSession(tx, org, "job_7", session));
    const resume = (runtime: string) => db.tenant(org, (tx) => resumableSession(tx, "job_7", runtime));
    await save({ attemptId: "att_7", runtime: "r", cliSession: "s1" });
    expect(await resume("r")).toBeNull();
    await save({ attemptId: "att_7", runtime: "r", homeBlob: "h1", lastOrigin: "1-9" });
    expect(await resume("r")).toEqual({
      attemptId: "att_7",
      runtime: "r",
      cliSession: "s1",
      homeBlob: "h1",
      workBlob: null,
      lastOrigin: "1-9",
    });
    expect(await resume("other")).toBeNull();
    expect(await db.tenant("org_b", (tx) => getSession(tx, "att_7"))).toBeNull();
  });
});

describe("questions", () => {
  it("are open until answered, once", async () => {
    const ask = () =>
      db.tenant(org, (tx) =>
        openQuestion(tx, org, "job_8", "att_8", { requestId: "q1", title: "May I?", options: [], freeText: true }),
      );
    const close = () => db.tenant(org, (tx) => closeQuestions(tx, "att_8", "answered", "q1"));
    const open = () => db.tenant(org, (tx) => listOpenQuestions(tx, "job_8"));
    await ask();
    await ask();
    expect(await open()).toMatchObject([{ requestId: "q1", freeText: true }]);
    expect((await Promise.all([close(), close()])).sort()).toEqual([0, 1]);
    await ask();
    expect(await open()).toEqual([]);
  });
});

describe("commands to a job's owner", () => {
  it("are one for each dedupe, and each is taken once, in order", async () => {
    const put = (dedupe: string) =>
      db.tenant(org, (tx) =>
        putCommand(tx, org, "job_9", { kind: "inject", dedupe, body: { content: `${dedupe}\0` }, actor }),
      );
    const take = () => db.tenant(org, (tx) => takeCommands(tx, "job_9"));
    expect([await put("m1"), await put("m1"), await put("m2")]).toEqual([true, false, true]);
    await db.tenant(org, async (tx) => {
      for (const dedupe of ["m3", "m4", "m5"])
        await putCommand(tx, org, "job_9", { kind: "inject", dedupe, body: { content: dedupe }, actor });
    });
    const taken = (await Promise.all([take(), take(), take()])).flat();
    expect(taken.map(({ body }) => body.content)).toEqual(["m1␀", "m2␀", "m3", "m4", "m5"]);
    // Who said it is known by its name later too, to the job and the organization alone.
    const said = (of: string, jobId: string) => db.tenant(of, (tx) => listSaid(tx, jobId, ["m3", "m9"]));
    expect(await said(org, "job_9")).toEqual([{ kind: "inject", dedupe: "m3", body: { content: "m3" }, actor }]);
    expect([await said(org, "job_8"), await said("org_other", "job_9")]).toEqual([[], []]);
    expect(await put("m1")).toBe(false);
    expect(await take()).toEqual([]);
  });
});
