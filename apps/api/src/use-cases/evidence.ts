import { createHash } from "node:crypto";
import { ApprovalSubject, accept, type Digest, EvidenceRecord, Fault, type Outcome } from "@x1agent/contract";
import { z } from "zod";
import {
  approvalDigest,
  approvalSubject,
  buildEvidence,
  canonicalBytes,
  type EvidenceInput,
  type GitCredential,
  type PlatformGit,
  type PullRequestText,
  pullRequestText,
} from "../git/index.ts";

/** Content by its SHA-256, as the blob store keeps it. */
export type Blobs = {
  put(bytes: Buffer): Promise<string>;
  get(digest: string): Promise<Uint8Array | null>;
};

/** A round's evidence with what an approval of it binds to. */
export type SealedEvidence = {
  evidenceId: string;
  record: EvidenceRecord;
  recordDigest: Digest;
  pullRequest: PullRequestText;
  subject: ApprovalSubject;
  approvalDigest: Digest;
};

/**
 * Seals one round: record, pull-request text and subject are stored as canonical bytes, so that each is found by the very
 * digest that the next one names. From the approval's digest alone all of it can be read back and proves itself.
 */
export async function sealEvidence(
  deps: { git: Pick<PlatformGit, "remoteBranch">; blobs: Blobs },
  input: {
    evidence: EvidenceInput;
    evidenceId: string;
    title: string;
    agentSummary: string | null;
    lead?: readonly string[];
    credential?: GitCredential;
  },
): Promise<Outcome<SealedEvidence>> {
  const { evidenceId, title, agentSummary, credential } = input;
  const record = buildEvidence(input.evidence);
  const expectedOld = await deps.git.remoteBranch(record.repository, record.targetBranch, credential);
  if (!expectedOld.ok) return expectedOld;
  const pullRequest = pullRequestText({ title, record, agentSummary, lead: input.lead ?? [] });
  const subject = approvalSubject({ record, evidenceId, expectedOld: expectedOld.value, pullRequest });
  const digest = approvalDigest(subject);
  // Each waits for the disk twice; all are there before anybody is told of one.
  await Promise.all([
    store(deps.blobs, record, subject.recordDigest),
    store(deps.blobs, pullRequest, subject.pullRequestDigest),
    store(deps.blobs, subject, digest),
  ]);
  return accept({
    evidenceId,
    record,
    recordDigest: subject.recordDigest,
    pullRequest,
    subject,
    approvalDigest: digest,
  });
}

/** Reads back what a digest stands for; null when any part is missing or is not what its digest says. */
export async function openEvidence(blobs: Blobs, digest: string): Promise<Omit<SealedEvidence, "recordDigest"> | null> {
  const subject = await load(blobs, digest, ApprovalSubject);
  if (!subject) return null;
  const record = await load(blobs, subject.recordDigest, EvidenceRecord);
  const pullRequest = await load(blobs, subject.pullRequestDigest, z.object({ title: z.string(), body: z.string() }));
  if (!record || !pullRequest) return null;
  return { evidenceId: subject.evidenceId, record, pullRequest, subject, approvalDigest: digest };
}

async function store(blobs: Blobs, value: unknown, digest: string): Promise<void> {
  const stored = await blobs.put(canonicalBytes(value));
  if (stored !== digest) throw new Fault("internal", "The blob store returned another digest; check its disk.");
}

async function load<T>(blobs: Blobs, digest: string, schema: z.ZodType<T>): Promise<T | null> {
  const bytes = await blobs.get(digest);
  if (!bytes || createHash("sha256").update(bytes).digest("hex") !== digest) return null;
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch {
    return null;
  }
}
