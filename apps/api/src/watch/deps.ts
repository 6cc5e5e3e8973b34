import type { Actor, Outcome } from "@x1agent/contract";
import type { Forge, ForgeRepository } from "@x1agent/forges";
import type { Database, Logger } from "@x1agent/kernel";

/** All that the watch works with; nothing is read from the environment. */
export type WatchDeps = {
  db: Pick<Database, "tenant" | "listen">;
  log: Logger;
  /** Name of this installation: what an earlier process of it held is free again at once. */
  instance: string;
  organizations(): Promise<string[]>;
  /** The forge of a connection that is in use. */
  open(organizationId: string, connectionId: string): Promise<Outcome<Forge>>;
  /** Asks the forge who a connection is, and notes the answer. */
  check(organizationId: string, connectionId: string): Promise<unknown>;
  /** Tells the loop that a job can go on. */
  kick(organizationId: string, jobId: string): void;
  /** Asks for the end of a job. */
  cancel(organizationId: string, jobId: string, actor: Actor): Promise<Outcome<unknown>>;
  /** Makes a job of an issue, for somebody who may; the same `key` gives the same job. Null where issues start none. */
  start: ((request: TriggeredStart) => Promise<Outcome<{ jobId: string }>>) | null;
  /** Notes a repository that the forge just described as that of a project. */
  link(organizationId: string, connectionId: string, repository: ForgeRepository, projectId: string): Promise<void>;
  /** Names of runtimes that a command may choose. */
  runtimes(): readonly string[];
  /** Where people look at a job; null where the service has no address of its own. */
  jobUrl(jobId: string): string | null;
  timing?: Partial<WatchTiming>;
};

export type TriggeredStart = {
  organizationId: string;
  connectionId: string;
  /** The forge's lasting id of the repository. */
  repository: string;
  issueNumber: number;
  trigger: "label" | "assignment" | "comment";
  triggeredBy: string;
  key: string;
  runtime: string | null;
  budgetMicros: number | null;
  again: boolean;
};

export type WatchTiming = {
  /** How often each connection is looked after here. */
  tickMs: number;
  /** Issues and, without deliveries, pull requests are asked for this often. */
  pollMs: number;
  /** Pull requests of a connection that has deliveries: for those that were missed. */
  reconcileMs: number;
  /** Merged changes are asked for this often, whether they were taken back; a push is looked at when it is told of. */
  revertMs: number;
  /** How often it is asked whether a suspended connection is in use again. */
  suspendedMs: number;
  leaseMs: number;
  /** How long a stop waits for looks that are under way: less than the service has for its end. */
  stopMs: number;
};
export const defaultWatchTiming: WatchTiming = {
  tickMs: 3_000,
  pollMs: 60_000,
  reconcileMs: 300_000,
  revertMs: 3_600_000,
  suspendedMs: 60_000,
  leaseMs: 60_000,
  stopMs: 8_000,
};
