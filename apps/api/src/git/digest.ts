import { createHash } from "node:crypto";
import type { ApprovalSubject, Digest, EvidenceRecord } from "@x1agent/contract";
import canonicalize from "canonicalize";
import type { PullRequestText } from "./port.ts";

/** Canonical JSON (RFC 8785) as bytes: the same value gives the same bytes on every machine. */
export function canonicalBytes(value: unknown): Buffer {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("value has no JSON form");
  return Buffer.from(text, "utf8");
}

const sha256 = (value: unknown): Digest => createHash("sha256").update(canonicalBytes(value)).digest("hex");

/** Digest of the stored evidence, and the name of its blob. */
export const recordDigest = (record: EvidenceRecord): Digest => sha256(record);
/** Digest of the pull request's title and body as they were shown. */
export const pullRequestDigest = ({ title, body }: PullRequestText): Digest => sha256({ title, body });
/** What a person or policy approves. */
export const approvalDigest = (subject: ApprovalSubject): Digest => sha256(subject);
