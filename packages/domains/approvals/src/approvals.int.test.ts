import type { EvidenceRecord } from "@x1agent/contract";
import { newId } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  evidenceNamesBlob,
  getEvidence,
  listApprovals,
  listEvidence,
  listPublications,
  migrations,
  pendingApproval,
  recordApproval,
  recordPublication,
  storeEvidence,
  useApproval,
  voidApprovals,
} from "./index.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
});
afterAll(() => db?.close());

const org = "org_a";
const within = <T>(work: Parameters<typeof db.tenant<T>>[1]) => db.tenant(org, work);
const blob = "b".repeat(64);
/** Only stored and given back here; what is in it is the platform git's business. */
const record = (outputTail = "") =>
  ({ verification: { verify: { outputTail, outputBlob: blob } } }) as unknown as EvidenceRecord;
const store = (jobId: string, change: Partial<Parameters<typeof storeEvidence>[2]> = {}) =>
  within((tx) =>
    storeEvidence(tx, org, {
      ...{ id: newId("evi"), jobId, attemptId: "att_1", round: 1, record: record(), recordDigest: "a".repeat(64) },
      ...{ approvalDigest: "d".repeat(64), subject: null, pullRequest: { title: "t", body: "b" } },
      ...{ diffBlob: "c".repeat(64), baseBranch: "main" },
      ...change,
    }),
  );
const approve = (jobId: string, evidenceId: string, decision: "approve" | "override" | "reject" = "approve") =>
  within((tx) =>
    recordApproval(tx, org, {
      jobId,
      evidenceId,
      decision,
      digest: "d".repeat(64),
      actor: { kind: "user", id: "usr_1" },
      comment: "ok\0",
    }),
  );
const pending = (jobId: string) => within((tx) => pendingApproval(tx, jobId));

describe("evidence", () => {
  it("comes back as it was stored, whatever a command printed", async () => {
    const stored = await store("job_1", { record: record("nul\0 half\ud800") });
    expect(stored.record).toMatchObject({ verification: { verify: { outputTail: "nul␀ half\ufffd" } } });
    expect(await within((tx) => getEvidence(tx, stored.id))).toEqual(stored);
    expect(await db.tenant("org_b", (tx) => getEvidence(tx, stored.id))).toBeNull();
    const second = await store("job_1", { round: 2 });
    expect((await within((tx) => listEvidence(tx, "job_1"))).map(({ id }) => id)).toEqual([second.id, stored.id]);
  });

  it("is replaced by a repeated step until somebody decided on it", async () => {
    const { id } = await store("job_2");
    await store("job_2", { id, recordDigest: "e".repeat(64) });
    expect(await within((tx) => listEvidence(tx, "job_2"))).toMatchObject([{ id, recordDigest: "e".repeat(64) }]);
    await approve("job_2", id);
    await expect(store("job_2", { id, recordDigest: "f".repeat(64) })).rejects.toThrow(/cannot be replaced/);
  });

  it("names the blobs that may be read through it", async () => {
    const [said, again] = ["7".repeat(64), "8".repeat(64)];
    const base = { setup: { outputBlob: again }, withBaseTests: null };
    await store("job_3", { record: { ...record(`see ${said}`), baseline: base } as unknown as EvidenceRecord });
    const names = (jobId: string, digest: string) => within((tx) => evidenceNamesBlob(tx, jobId, digest));
    for (const digest of ["a", "b", "c"]) expect(await names("job_3", digest.repeat(64))).toBe(true);
    expect(await names("job_3", again)).toBe(true);
    expect(await names("job_3", "9".repeat(64))).toBe(false);
    // What a command printed names nothing: blobs are shared by all organizations.
    expect(await names("job_3", said)).toBe(false);
    expect(await names("job_9", blob)).toBe(false);
  });
});

describe("an approval", () => {
  it("is used by one of many, once", async () => {
    const { id } = await approve("job_4", (await store("job_4")).id);
    expect(await pending("job_4")).toMatchObject({ id, comment: "ok␀", usedAt: null });
    expect(await db.tenant("org_b", (tx) => useApproval(tx, id))).toBe(false);
    const used = await Promise.all(Array.from({ length: 10 }, () => within((tx) => useApproval(tx, id))));
    expect(used.filter(Boolean)).toHaveLength(1);
    expect(await pending("job_4")).toBeNull();
  });

  it("is pending only when it allows; the newest counts", async () => {
    const { id: evidenceId } = await store("job_5");
    await approve("job_5", evidenceId);
    const newest = await approve("job_5", evidenceId, "override");
    await approve("job_5", evidenceId, "reject");
    expect((await pending("job_5"))?.id).toBe(newest.id);
    expect(await within((tx) => listApprovals(tx, "job_5"))).toHaveLength(3);
  });

  it("that is void is not used", async () => {
    const { id } = await approve("job_6", (await store("job_6")).id);
    await within((tx) => voidApprovals(tx, "job_6"));
    expect(await pending("job_6")).toBeNull();
    expect(await within((tx) => useApproval(tx, id))).toBe(false);
  });
});

describe("a publication", () => {
  it("is one for each approval, however often its step is repeated", async () => {
    const { id: approvalId } = await approve("job_7", (await store("job_7")).id);
    const publish = () =>
      within((tx) =>
        recordPublication(tx, org, {
          jobId: "job_7",
          approvalId,
          repository: "/r",
          branch: "x1/fix",
          commit: "c",
          url: null,
          title: "t\0",
          body: "b",
        }),
      );
    await Promise.all([publish(), publish(), publish()]);
    expect(await within((tx) => listPublications(tx, "job_7"))).toMatchObject([
      { approvalId, branch: "x1/fix", title: "t␀" },
    ]);
    expect(await db.tenant("org_b", (tx) => listPublications(tx, "job_7"))).toEqual([]);
  });
});
