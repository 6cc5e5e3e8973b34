import { setTimeout as delay } from "node:timers/promises";
import type { RuntimeManifest, StopReason } from "@x1agent/contract";
import type { AttemptRecord } from "@x1agent/domain-jobs";
import {
  appendEvents,
  closeQuestions,
  listSaid,
  type NewEvent,
  openQuestion,
  saveSession,
} from "@x1agent/domain-sessions";
import type { Tx } from "@x1agent/kernel";
import type { HostExit, Workspace } from "@x1agent/workspaces";
import type { Base } from "../git/index.ts";
import type { LoopDeps } from "./deps.ts";
import { createHostClient, type HostClient } from "./host-client.ts";
import { Intake, nameSenders, namesOfSaid } from "./intake.ts";
import type { Mailbox } from "./mailbox.ts";
import type { OpenedWorkspace } from "./workspaces.ts";

/** What the steps of a job are told while a session runs. */
/** Between the end of a host's stream and its exit, when it ended. */
const EXIT_MS = 1_000;

export type Notice =
  | { kind: "turn_ended"; stopReason: StopReason; errorCode?: string; detail?: string }
  | { kind: "question" }
  | { kind: "lost"; reason: "runtime_lost" | "workspace_lost"; detail: string }
  /** The workspace went over a limit and was ended: another attempt would come to the same. */
  | { kind: "limit"; limit: string }
  | { kind: "budget" }
  /** Something waits in the database: a command, a cancel, a stop. */
  | { kind: "wake" };

/** The attempt cannot go on: its workspace, host or sidecar is gone. */
export class AttemptLost extends Error {
  override readonly name = "AttemptLost";
  readonly reason: "runtime_lost" | "workspace_lost";
  constructor(reason: "runtime_lost" | "workspace_lost", detail: string) {
    super(detail);
    this.reason = reason;
  }
}

export type LiveOptions = {
  deps: LoopDeps;
  job: { id: string; organizationId: string };
  attempt: AttemptRecord;
  manifest: RuntimeManifest;
  base: Base;
  jobRepository: string;
  opened: OpenedWorkspace;
  mailbox: Mailbox<Notice>;
};

/**
 * One attempt's live part: workspace, host and the stream of what it says. Made when the workspace is there, gone with
 * `close`; everything that must outlive it is in the database by the time it is acted upon.
 */
export class Live {
  readonly attempt: AttemptRecord;
  readonly manifest: RuntimeManifest;
  readonly base: Base;
  readonly jobRepository: string;
  readonly workspace: Workspace;
  readonly mailbox: Mailbox<Notice>;
  /** Words of the agent's last message, for the pull request. */
  summary: string | null = null;
  lastEventAt = Date.now();
  /** The agent was given a message: from here on there is work, and a conversation, to keep. */
  turnBegan = false;
  readonly #began = Promise.withResolvers<void>();
  /** Resolves when that was told, which a CLI that never starts never does. */
  readonly began: Promise<void> = this.#began.promise;
  budgetRefused = false;
  readonly #options: LiveOptions;
  readonly #abort = new AbortController();
  #client: HostClient | null = null;
  #following: Promise<void> = Promise.resolve();
  #intake: Intake | null = null;
  #closed: Promise<void> | null = null;
  /** Ends of further workspaces of the attempt that nobody had to wait for. */
  readonly #ending = new Set<Promise<void>>();

  constructor(options: LiveOptions) {
    this.#options = options;
    this.attempt = options.attempt;
    this.manifest = options.manifest;
    this.base = options.base;
    this.jobRepository = options.jobRepository;
    this.workspace = options.opened.workspace;
    this.mailbox = options.mailbox;
    // Without a sidecar there is nothing to lose; the port's promise is settled then.
    if (this.workspace.spec.sidecar)
      void this.workspace.sidecarExited.then(({ exitCode, signal }) =>
        this.#lost("workspace_lost", `The sidecar ended (${signal ?? exitCode ?? "no status"}).`),
      );
  }

  /** The host; there is one after `startHost`. */
  get host(): HostClient {
    if (!this.#client) throw new Error("The host was asked before it was started.");
    return this.#client;
  }

  /** Starts the host and begins to read what it says. */
  async startHost(): Promise<void> {
    const { endpoint, exited } = await this.workspace.startHost();
    const { deps, job, attempt } = this.#options;
    const gone = ({ exitCode, signal, limitHit }: HostExit): void => {
      if (limitHit === null)
        this.#lost("runtime_lost", `The runtime's host ended (${signal ?? exitCode ?? "no status"}).`);
      else if (!this.over) this.mailbox.put({ kind: "limit", limit: limitHit });
    };
    void exited.then(gone);
    this.#client = createHostClient(endpoint);
    const intake = new Intake({
      attemptId: attempt.id,
      runtime: this.manifest.name,
      blobs: deps.blobs,
      store: (events) => storeReported(deps, job, this.manifest.name, events),
      live: (event) => {
        this.lastEventAt = Date.now();
        deps.hub.publish(job.organizationId, job.id, {
          ts: event.ts ?? new Date().toISOString(),
          ...{ type: event.type, source: event.source, attemptId: event.attemptId, payload: event.payload },
          ...{ turn: event.turn ?? null, origin: event.origin ?? null },
        });
      },
      seen: (event) => this.#seen(event),
      failed: (error) => {
        deps.log.error("events could not be stored", { error, jobId: job.id });
        this.#lost("workspace_lost", "The events of the session could not be stored.");
      },
    });
    this.#intake = intake;
    this.#following = this.#client
      .follow({
        lastEventId: null,
        signal: this.#abort.signal,
        onEvent: (event) => intake.take(event),
        onInvalid: (detail) => deps.log.warn("a host sent what is no event", { detail, jobId: job.id }),
        ready: () => intake.ready(),
      })
      .catch(async (error: unknown) => {
        // A stream breaks when its host ends, and that says why.
        const end = await Promise.race([exited, delay(EXIT_MS, null, { ref: false })]);
        if (end === null) this.#lost("runtime_lost", (error as Error).message);
      });
  }

  #lost(reason: "runtime_lost" | "workspace_lost", detail: string): void {
    if (!this.over) this.mailbox.put({ kind: "lost", reason, detail });
  }

  #seen(event: NewEvent): void {
    if (event.source !== "reported") return;
    this.lastEventAt = Date.now();
    const payload = event.payload as Record<string, string | undefined>;
    switch (event.type) {
      case "agent.text":
        this.summary = String(payload.text).slice(0, 8_000);
        break;
      case "turn.started":
        this.turnBegan = true;
        this.#began.resolve();
        break;
      case "turn.ended":
        this.turnBegan = true;
        this.mailbox.put({ kind: "turn_ended", ...(event.payload as { stopReason: StopReason }) });
        break;
      case "permission.requested":
      case "permission.resolved":
        this.mailbox.put({ kind: "question" });
        break;
      case "session.ended":
        this.#lost("runtime_lost", `The session ended: ${payload.code}${payload.detail ? `, ${payload.detail}` : ""}`);
        break;
    }
  }

  /** Resolves when all that was read is in the record. */
  flush(): Promise<void> {
    return this.#intake?.flush() ?? Promise.resolve();
  }

  /** See `OpenedWorkspace.giveBack`: for the transaction that ends the attempt's work, so that nobody sees it done and still holding money. */
  giveBack(tx: Tx): Promise<void> {
    return this.#options.opened.giveBack(tx);
  }

  /** Ends the session beside what goes on: its work is collected, and its agent is told nothing more. `close` waits for it. */
  letGo(): void {
    void this.close();
  }

  /** Nothing can be done in its workspace any more. */
  get over(): boolean {
    return this.#closed !== null;
  }

  /** Ends another workspace of the attempt beside what goes on; `close` waits for it. */
  endBeside({ workspace, close }: OpenedWorkspace): void {
    const { deps, job } = this.#options;
    const ending = close()
      .catch((error: unknown) =>
        deps.log.error("a workspace could not be ended", { error, jobId: job.id, workspaceId: workspace.id }),
      )
      .finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /**
   * Ends session, workspace and sidecar. Resolves when these and all that `endBeside` was told of until then are gone; may be
   * called again. Never rejects.
   */
  async close(): Promise<void> {
    this.#closed ??= Promise.resolve().then(async () => {
      await this.#endSession();
      this.endBeside(this.#options.opened);
    });
    await this.#closed;
    while (this.#ending.size > 0) await Promise.all(this.#ending);
  }

  async #endSession(): Promise<void> {
    try {
      await this.flush();
    } catch {
      // Told when it happened.
    }
    this.#abort.abort();
    await this.#following;
  }
}

/** Stores a group of a host's events with what follows from them: questions opened and closed, the CLI's session id. */
export async function storeReported(
  deps: Pick<LoopDeps, "db">,
  job: { id: string; organizationId: string },
  runtime: string,
  events: readonly NewEvent[],
): Promise<void> {
  await deps.db.tenant(job.organizationId, async (tx) => {
    const named = nameSenders(events, await listSaid(tx, job.id, namesOfSaid(events)));
    const stored = await appendEvents(tx, job.organizationId, job.id, named);
    for (const { type, attemptId, source, payload } of stored) {
      if (attemptId === null || source !== "reported") continue;
      if (type === "permission.requested") {
        const asked = payload as { requestId: string; title: string; options: []; freeText: boolean };
        await openQuestion(tx, job.organizationId, job.id, attemptId, {
          ...{ requestId: asked.requestId, title: asked.title, options: asked.options, freeText: asked.freeText },
        });
      } else if (type === "permission.resolved") {
        const how =
          payload.outcome === "selected" ? "answered" : payload.outcome === "expired" ? "expired" : "cancelled";
        await closeQuestions(tx, attemptId, how, String(payload.requestId));
      } else if (type === "session.init")
        await saveSession(tx, job.organizationId, job.id, {
          attemptId,
          runtime,
          cliSession: String(payload.sessionId),
        });
    }
  });
}
