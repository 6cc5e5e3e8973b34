import { createHash } from "node:crypto";
import { accept, type EvidenceRecord } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import type { PublishRequest } from "../git/index.ts";
import { changesAsked } from "../jobs/steps/provision.ts";
import { checkComments, checkDecision, eventComments } from "./decide.ts";
import { openEvidence, sealEvidence } from "./evidence.ts";
import { publishApproved } from "./publish.ts";

const evidence: Parameters<typeof sealEvidence>[1]["evidence"] = {
  organizationId: "o",
  jobId: "j",
  attemptId: "a",
  round: 1,
  repository: "https://host:443/r",
  base: "a".repeat(40),
  targetBranch: "x1/j",
  change: { commit: "b".repeat(40), tree: "c".repeat(40), files: [], insertions: 0, deletions: 0, named: [] },
  verification: { commit: "b".repeat(40), setup: null, verify: null, passed: null, counts: null, withBaseTests: null },
  baseline: null,
  costMicros: 0,
  egressBlocked: [],
  policyVersion: "1",
};

async function sealed() {
  const kept = new Map<string, Uint8Array>();
  const blobs = {
    put: async (bytes: Uint8Array) => {
      const digest = createHash("sha256").update(bytes).digest("hex");
      kept.set(digest, bytes);
      return digest;
    },
    get: async (digest: string) => kept.get(digest) ?? null,
  };
  const git = { remoteBranch: async () => accept(null) };
  const result = await sealEvidence({ git, blobs }, { evidence, evidenceId: "e", title: "t", agentSummary: null });
  if (!result.ok) throw new Error(result.detail);
  return { kept, blobs, ...result.value };
}

describe("sealed evidence", () => {
  it("is read back from the approval's digest alone", async () => {
    const { blobs, approvalDigest, record, subject } = await sealed();
    expect(await openEvidence(blobs, approvalDigest)).toMatchObject({ record, subject, evidenceId: "e" });
  });

  it("is nothing when any of its blobs was changed or lost", async () => {
    const { kept, blobs, approvalDigest } = await sealed();
    for (const [digest, bytes] of [...kept]) {
      // Broken, and the same said in other bytes.
      for (const changed of ['" ', ' "']) {
        kept.set(digest, Buffer.from(Buffer.from(bytes).toString("utf8").replace('"', changed)));
        expect(await openEvidence(blobs, approvalDigest)).toBeNull();
      }
      kept.delete(digest);
      expect(await openEvidence(blobs, approvalDigest)).toBeNull();
      kept.set(digest, bytes);
    }
    expect(kept.size).toBe(3);
  });

  it("is what the publisher gets", async () => {
    const { blobs, approvalDigest, subject } = await sealed();
    const asked: PublishRequest[] = [];
    const git = {
      findSecrets: async () => accept([]),
      publish: async (request: PublishRequest) => {
        asked.push(request);
        return accept({ branch: "x1/j", commit: subject.commit, alreadyThere: false, behind: 0, url: null });
      },
    };
    const request = {
      organizationId: "o",
      jobId: "j",
      trust: "member",
      evidenceId: "e",
      override: false,
      jobRepository: "/r",
      baseBranch: "main",
    };
    expect(await publishApproved({ git, blobs }, { ...request, digest: approvalDigest })).toMatchObject({
      ok: true,
      value: { repository: evidence.repository },
    });
    expect(asked[0]).toMatchObject({ subject, digest: approvalDigest });
    expect(await publishApproved({ git, blobs }, { ...request, digest: "0".repeat(64) })).toMatchObject({
      ok: false,
      code: "digest_mismatch",
    });
    expect(asked).toHaveLength(1);
  });
});

describe("decision", () => {
  const passed: Pick<EvidenceRecord["verification"], "passed" | "withBaseTests"> = {
    passed: true,
    withBaseTests: null,
  };
  const now = { state: "awaiting_approval" as const, digest: "d", currentDigest: "d", verification: passed };
  it("moves the job by what was decided", () => {
    expect(checkDecision({ ...now, decision: "approve" })).toEqual(accept({ to: "publishing", override: false }));
    expect(checkDecision({ ...now, decision: "reject" })).toEqual(accept({ to: "rejected", override: false }));
    expect(checkDecision({ ...now, decision: "request_changes" })).toEqual(accept({ to: "queued", override: false }));
  });

  it("is refused for another digest, another state, or a failed verification without the override", () => {
    expect(checkDecision({ ...now, decision: "reject", digest: "other" })).toMatchObject({ code: "digest_mismatch" });
    expect(checkDecision({ ...now, decision: "approve", currentDigest: null })).toMatchObject({
      code: "digest_mismatch",
    });
    expect(checkDecision({ ...now, decision: "approve", state: "running" })).toMatchObject({
      code: "illegal_transition",
    });
    const failed = { ...now, verification: { passed: false, withBaseTests: null } };
    expect(checkDecision({ ...failed, decision: "approve" })).toMatchObject({ code: "verification_failed" });
    expect(checkDecision({ ...failed, decision: "override" })).toEqual(accept({ to: "publishing", override: true }));
  });
});

describe("remarks on lines", () => {
  const files = [{ path: "add.mjs" }];
  const remark = { path: "add.mjs", line: 3, side: "new" as const, text: "Round here." };
  it("go with a request for changes, on files of the change, and are bounded", () => {
    expect(checkComments("request_changes", [remark], files)).toEqual(accept([remark]));
    expect(checkComments("approve", [], files)).toEqual(accept([]));
    expect(checkComments("approve", [remark], files)).toMatchObject({ ok: false, code: "invalid_request" });
    const stray = { ...remark, path: "../other" };
    expect(checkComments("request_changes", [stray], files)).toMatchObject({ ok: false, code: "invalid_request" });
    const long = Array.from({ length: 30 }, () => ({ ...remark, text: "x".repeat(4_000) }));
    expect(checkComments("request_changes", long, files)).toMatchObject({ ok: false, code: "invalid_request" });
    expect(eventComments(long)[0]?.text).toHaveLength(2_000);
  });
  it("become part of the next message, each with its place", () => {
    expect(changesAsked({ comment: null, comments: [] })).toBeNull();
    expect(changesAsked({ comment: "Nearly.", comments: [remark, { ...remark, side: "old" }] })).toBe(
      "Nearly.\n\nadd.mjs, line 3:\nRound here.\n\nadd.mjs, line 3 of the file before the change:\nRound here.",
    );
  });
});
