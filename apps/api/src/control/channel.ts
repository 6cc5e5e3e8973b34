import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CallRecord,
  EnrolRequest,
  type ErrorCode,
  Fault,
  GitCredentialReply,
  GitCredentialRequest,
  type GitPurpose,
  type LeaseReply,
  LeaseRequest,
  observedEvents,
  type PhaseName,
  problem,
  repositoryGrants,
  SettleRequest,
  SidecarEvents,
  type SidecarRepository,
  sidecarPaths,
  type UseReply,
  UseRequest,
} from "@x1agent/contract";
import { jobMoney, lease, settle } from "@x1agent/domain-budgets";
import { effectiveGrants, grantsChannel, useGrant } from "@x1agent/domain-permissions";
import { appendEvents, type NewEvent } from "@x1agent/domain-sessions";
import type { Database, Logger, Tx } from "@x1agent/kernel";
import type { z } from "zod";
import { sidecarPolicy, usableGrants } from "./policy.ts";

/**
 * The control plane's end of the sidecar channel. Stages of one sidecar:
 *
 *   registered -> enrolled (one-time token for an identity) -> policy stream, leases, settlements, events -> revoked
 *
 * - Only hashes of tokens and identities are kept, in memory: a sidecar never outlives the process that launched it.
 * - An identity stands for one workspace of one attempt and is worth nothing after `revoke`.
 * - Who spends is read from the registration, never from a request.
 */
export type ChannelRepository = SidecarRepository & {
  /** Unsealed or minted for this purpose now; null where none is stored. A Fault carries a sentence that may be shown. */
  credential(purpose: GitPurpose): Promise<GitCredentialReply | null>;
  /** Absent: it is never pushed to from a workspace. Read for each policy that is sent, so it may become known later. */
  push?:
    | {
        /** Branches that never are, its default branch and the one that the job stands on among them. */
        protected: readonly string[];
        /** Whether the forge protects a branch now. */
        isProtected?(branch: string): Promise<boolean>;
      }
    | undefined;
};

export type Registration = {
  workspaceId: string;
  attemptId: string;
  jobId: string;
  organizationId: string;
  projectId: string;
  memberId: string;
  phase: PhaseName;
  /** False in workspaces without an agent: no lease, no model grant. */
  inference: boolean;
  /** See `usableGrants`. */
  trusted: boolean;
  /** What its sidecar may ask credentials for. */
  repositories?: readonly ChannelRepository[];
  /** Takes what its sidecar tells, where there is no job whose events these were: a trial. */
  onEvents?: (events: readonly NewEvent[]) => void;
  /** A lease was refused: the job has no money left. */
  onBudgetRefused?: (reply: Extract<LeaseReply, { outcome: "refused" }>) => void;
};

export type ControlChannel = {
  /** What a sidecar dials. */
  readonly url: string;
  readonly port: number;
  /** Announces a sidecar that is about to start; returns its one-time token. */
  register(registration: Registration): string;
  /** Moves a workspace to another phase; resolves when its sidecar was told. */
  setPhase(workspaceId: string, phase: PhaseName): Promise<void>;
  /** Ends an identity: open streams are told to stop and everything later is refused. */
  revoke(workspaceId: string): void;
  close(): Promise<void>;
};

type Entry = Registration & {
  enrolHash: string | null;
  identityHash: string | null;
  expiresAt: number;
  version: number;
  streams: Set<ServerResponse>;
  /** Grants for one use that this sidecar took and may still be using. */
  taken: Set<string>;
};

const MAX_BODY = 4 * 1024 ** 2;
const IDENTITY_MS = 10 * 60_000;
const BEAT_MS = 1_000;
/** A stream that does not read is cut: its sidecar must not work on by an old policy. */
const MAX_UNSENT = 1024 ** 2;
const MAX_STREAMS = 4;
const sidecarTypes = [
  ...["model.refused", "egress.opened", "egress.blocked", "limit.hit"],
  ...["git.fetched", "git.pushed", "git.refused", "forge.commented"],
] as const;

const hash = (text: string) => createHash("sha256").update(text).digest("hex");
const secret = () => randomBytes(32).toString("base64url");

class Refused extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, detail?: string) {
    super(detail ?? code);
    this.code = code;
  }
}

/** Starts the listener on loopback, on a port of the system's choice. */
export async function startControlChannel(deps: { db: Database; log: Logger }): Promise<ControlChannel> {
  const { db, log } = deps;
  const byWorkspace = new Map<string, Entry>();
  const byEnrolment = new Map<string, Entry>();
  const byIdentity = new Map<string, Entry>();

  const spender = ({ organizationId, projectId, memberId, jobId, attemptId, workspaceId }: Entry) => ({
    ...{ organizationId, projectId, memberId, jobId, attemptId, workspaceId },
  });

  /** Sends the present policy to a workspace's open streams. */
  async function push(entry: Entry, only?: ServerResponse): Promise<void> {
    // Taken before the read: a change that comes meanwhile makes a later document, never an earlier one.
    entry.version += 1;
    const version = entry.version;
    const stopped = byWorkspace.get(entry.workspaceId) !== entry;
    const grants = stopped
      ? []
      : await db.tenant(entry.organizationId, (tx) => effectiveGrants(tx, entry, [...entry.taken]));
    if (version !== entry.version && only === undefined) return;
    const policy = sidecarPolicy({ ...rules(entry), version, grants, stopped });
    for (const stream of only ? [only] : entry.streams) send(stream, `data: ${JSON.stringify(policy)}\n\n`);
  }

  function send(stream: ServerResponse, text: string): void {
    if (stream.destroyed) return;
    if (stream.writableLength > MAX_UNSENT) stream.destroy();
    else stream.write(text);
  }

  function authenticated(request: IncomingMessage): Entry {
    const given = /^Bearer ([\w-]{20,100})$/.exec(request.headers.authorization ?? "")?.[1];
    // Looked up by hash, so the comparison tells nothing of the identity.
    const entry = given === undefined ? undefined : byIdentity.get(hash(given));
    if (!entry || entry.expiresAt < Date.now()) throw new Refused("unauthenticated");
    return entry;
  }

  async function enrol(request: IncomingMessage): Promise<unknown> {
    const { token } = await body(request, EnrolRequest);
    const entry = byEnrolment.get(hash(token));
    if (!entry) throw new Refused("unauthenticated", "The enrolment token is unknown or was used.");
    byEnrolment.delete(hash(token));
    entry.enrolHash = null;
    const identity = secret();
    entry.identityHash = hash(identity);
    entry.expiresAt = Date.now() + IDENTITY_MS;
    byIdentity.set(entry.identityHash, entry);
    return { identity, expiresAt: new Date(entry.expiresAt).toISOString() };
  }

  function renew(entry: Entry, request: IncomingMessage): unknown {
    entry.expiresAt = Date.now() + IDENTITY_MS;
    return {
      identity: request.headers.authorization?.slice("Bearer ".length),
      expiresAt: new Date(entry.expiresAt).toISOString(),
    };
  }

  async function stream(entry: Entry, response: ServerResponse): Promise<void> {
    if (entry.streams.size >= MAX_STREAMS) throw new Refused("rate_limited");
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    entry.streams.add(response);
    response.on("close", () => entry.streams.delete(response));
    await push(entry, response);
  }

  /**
   * Consumes a grant for one use. The sidecar that got it keeps it in its policy, so that it can still be revoked: for a model
   * until its call is settled, for a host or a repository until the workspace ends.
   */
  async function takeGrant(entry: Entry, request: IncomingMessage): Promise<UseReply> {
    const { grantId } = await body(request, UseRequest);
    if (entry.taken.has(grantId)) return { taken: false };
    // Before the notice of it can come: the policy that follows must still name it.
    entry.taken.add(grantId);
    let taken = false;
    try {
      taken = await db.tenant(entry.organizationId, async (tx) => {
        const own = (await effectiveGrants(tx, entry)).find(({ id, scope }) => id === grantId && scope === "once");
        if (own?.type.startsWith("ai.") && !entry.inference)
          throw new Refused("not_granted", "A workspace without an agent calls no model.");
        if (!own || !(await useGrant(tx, entry.organizationId, grantId))) return false;
        const { type, details } = own;
        await keep(tx, entry, [
          observed(entry, "grant.used", { grantId, type, pattern: details.pattern }, `grant:${grantId}`),
        ]);
        return true;
      });
    } finally {
      if (!taken) entry.taken.delete(grantId);
    }
    return { taken };
  }

  /** Mints what a grant covers; whether it is for one use is the sidecar's to take before it uses it. */
  async function giveCredential(entry: Entry, request: IncomingMessage): Promise<GitCredentialReply> {
    const { repository: name, purpose, branches = [] } = await body(request, GitCredentialRequest);
    const repository = entry.repositories?.find((known) => known.name === name);
    if (!repository) throw new Refused("not_found", "There is no such repository.");
    const grants = await db.tenant(entry.organizationId, (tx) => effectiveGrants(tx, entry, [...entry.taken]));
    if (repositoryGrants(usableGrants(grants, rules(entry)), purpose, repository).length === 0)
      throw new Refused("not_granted");
    if (purpose === "push" && !rules(entry).push.some(({ repository: open }) => open === name))
      throw new Refused("not_granted", "This repository is not pushed to from a workspace.");
    try {
      for (const branch of branches)
        if (await repository.push?.isProtected?.(branch))
          throw new Refused("not_granted", `The branch ${branch} is protected.`);
      const credential = await repository.credential(purpose);
      return GitCredentialReply.parse(credential ?? { authorization: null, expiresAt: null });
    } catch (error) {
      if (error instanceof Fault) throw new Refused(error.code, error.message);
      throw error;
    }
  }

  async function takeLease(entry: Entry, request: IncomingMessage): Promise<LeaseReply> {
    const asked = await body(request, LeaseRequest);
    if (!entry.inference) throw new Refused("not_granted", "A workspace without an agent calls no model.");
    const reply = await db.tenant(entry.organizationId, (tx) => lease(tx, spender(entry), asked));
    if (reply.outcome === "refused") entry.onBudgetRefused?.(reply);
    else await db.tenant(entry.organizationId, (tx) => storeCost(tx, entry, []));
    return reply;
  }

  async function takeSettlement(entry: Entry, request: IncomingMessage): Promise<unknown> {
    const asked = await body(request, SettleRequest);
    await db.tenant(entry.organizationId, async (tx) => {
      const fresh = await settle(tx, spender(entry), asked);
      for (const grantId of new Set(fresh.map((call) => call.grantId)))
        await useGrant(tx, entry.organizationId, grantId);
      if (fresh.length > 0) await storeCost(tx, entry, fresh);
    });
    for (const { grantId } of asked.calls) entry.taken.delete(grantId);
    return {};
  }

  async function keep(tx: Tx, entry: Entry, events: readonly NewEvent[]): Promise<void> {
    if (entry.onEvents) entry.onEvents(events);
    else await appendEvents(tx, entry.organizationId, entry.jobId, events);
  }

  async function storeCost(tx: Tx, entry: Entry, calls: readonly CallRecord[]): Promise<void> {
    const events = calls.map((call): NewEvent => {
      const { leaseId: _lease, grantId: _grant, startedAt, ...payload } = CallRecord.parse(call);
      return observed(entry, "model.call", payload, `call:${call.callId}`, startedAt);
    });
    const money = await jobMoney(tx, entry.jobId);
    await appendEvents(tx, entry.organizationId, entry.jobId, [...events, observed(entry, "cost.updated", money)]);
  }

  async function takeEvents(entry: Entry, request: IncomingMessage): Promise<unknown> {
    const { events } = await body(request, SidecarEvents);
    const checked = events.map(({ id, ts, type, payload }) => {
      const known = sidecarTypes.find((name) => name === type);
      const parsed = known && observedEvents[known].safeParse(payload);
      if (!known || !parsed?.success) throw new Refused("invalid_request", `A sidecar does not send this ${type}.`);
      return observed(entry, known, parsed.data, `${entry.workspaceId}:${id}`.slice(0, 200), ts);
    });
    await db.tenant(entry.organizationId, (tx) => keep(tx, entry, checked));
    return {};
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    if (path === sidecarPaths.enrol && request.method === "POST") return json(response, await enrol(request));
    const entry = authenticated(request);
    if (path === sidecarPaths.policy && request.method === "GET") return stream(entry, response);
    if (request.method !== "POST") throw new Refused("not_found");
    switch (path) {
      case sidecarPaths.renew:
        return json(response, renew(entry, request));
      case sidecarPaths.use:
        return json(response, await takeGrant(entry, request));
      case sidecarPaths.git:
        return json(response, await giveCredential(entry, request));
      case sidecarPaths.lease:
        return json(response, await takeLease(entry, request));
      case sidecarPaths.settle:
        return json(response, await takeSettlement(entry, request));
      case sidecarPaths.events:
        return json(response, await takeEvents(entry, request));
      default:
        throw new Refused("not_found");
    }
  }

  const server = createServer((request, response) => {
    response.on("error", () => {});
    answer(request, response).catch((error: unknown) => {
      if (!(error instanceof Refused)) log.error("the sidecar channel broke", { error, path: request.url });
      if (response.headersSent) return response.destroy();
      const told = problem(
        error instanceof Refused ? error.code : "internal",
        error instanceof Refused ? error.message : undefined,
      );
      response.setHeader("connection", "close");
      json(response, told, told.status);
    });
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.maxConnections = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;

  const pushAll = (organizationId?: string) => {
    for (const entry of byWorkspace.values())
      if (organizationId === undefined || entry.organizationId === organizationId)
        push(entry).catch((error: unknown) => log.error("a policy could not be sent", { error }));
  };
  const unlisten = await db.listen(
    grantsChannel,
    (payload) => pushAll((JSON.parse(payload) as { o: string }).o),
    () => pushAll(),
  );
  const beat = setInterval(() => {
    for (const { streams } of byWorkspace.values()) for (const stream of streams) send(stream, ": beat\n\n");
  }, BEAT_MS);
  beat.unref();

  function revoke(workspaceId: string): void {
    const entry = byWorkspace.get(workspaceId);
    if (!entry) return;
    byWorkspace.delete(workspaceId);
    if (entry.enrolHash) byEnrolment.delete(entry.enrolHash);
    if (entry.identityHash) byIdentity.delete(entry.identityHash);
    const last = sidecarPolicy({ ...rules(entry), version: entry.version + 1, grants: [], stopped: true });
    for (const stream of entry.streams) {
      send(stream, `data: ${JSON.stringify(last)}\n\n`);
      stream.end();
    }
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    register(registration) {
      if (byWorkspace.has(registration.workspaceId))
        throw new Fault("conflict", `Workspace ${registration.workspaceId} has a sidecar already.`);
      const token = secret();
      const entry: Entry = {
        ...registration,
        enrolHash: hash(token),
        identityHash: null,
        expiresAt: 0,
        version: 0,
        streams: new Set(),
        taken: new Set(),
      };
      byWorkspace.set(entry.workspaceId, entry);
      byEnrolment.set(hash(token), entry);
      return token;
    },
    async setPhase(workspaceId, phase) {
      const entry = byWorkspace.get(workspaceId);
      if (!entry || entry.phase === phase) return;
      entry.phase = phase;
      await push(entry);
    },
    revoke,
    async close() {
      clearInterval(beat);
      unlisten();
      for (const workspaceId of [...byWorkspace.keys()]) revoke(workspaceId);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What of a registration its sidecar's policy depends on. */
function rules({ phase, inference, trusted, repositories = [] }: Entry) {
  const push = repositories.flatMap(({ name, push: open }) =>
    open ? [{ repository: name, protected: [...open.protected] }] : [],
  );
  return { phase, inference, trusted, push };
}

function observed(entry: Entry, type: string, payload: object, origin?: string, ts?: string): NewEvent {
  return {
    type,
    source: "observed",
    attemptId: entry.attemptId,
    payload: payload as Record<string, unknown>,
    origin: origin ?? null,
    ...(ts === undefined ? {} : { ts }),
  };
}

async function body<S extends z.ZodType>(request: IncomingMessage, schema: S): Promise<z.output<S>> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw new Refused("body_too_large", `At most ${MAX_BODY} bytes.`);
    parts.push(part);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw new Refused("invalid_request", "The body is not JSON.");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Paths only: a message could quote a token.
  throw new Refused(
    "invalid_request",
    parsed.error.issues
      .map(({ path }) => path.join("."))
      .join(", ")
      .slice(0, 500),
  );
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(text);
}
