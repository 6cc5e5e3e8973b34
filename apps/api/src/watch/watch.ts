import { randomUUID } from "node:crypto";
import {
  type Connection,
  type Delivery,
  endDeliveries,
  endStrayDeliveries,
  failDeliveries,
  leaveWatch,
  listConnections,
  listFollowedRepositories,
  listUsedRepositories,
  pruneDeliveries,
  pullRequestsToLookAt,
  releaseWatches,
  renewWatch,
  storeDelivery,
  takeDeliveries,
  takeWatch,
} from "@x1agent/domain-forges";
import { listProjects } from "@x1agent/domain-projects";
import type { Forge } from "@x1agent/forges";
import { z } from "zod";
import { nameAt } from "../forges/open.ts";
import { putChecks } from "./checks.ts";
import { type Cycle, createCycle, ForgeWaits, there, WatchLost } from "./cycle.ts";
import { defaultWatchTiming, type WatchDeps, type WatchTiming } from "./deps.ts";
import { lookAtIssue } from "./issue.ts";
import { beginRounds, lookAtPullRequest } from "./pull-request.ts";
import { deliveriesChannel } from "./receive.ts";
import { lookForReverts } from "./reverts.ts";

/**
 * Looks after connections: deliveries say where to look at once, polling finds what no delivery told of, and both end in the
 * same looks. Invariants:
 *
 * - One process at a time follows a connection (a lease in its row); within it one thing happens after the other.
 * - What is true is asked of the forge. A delivery that is lost, doubled, late or old changes when somebody looks, and
 *   nothing else.
 * - Everything seen has a key, everything said has one, and a job moves in the transaction that notes why: a process that
 *   dies anywhere leaves work that the next one repeats without effect.
 */
export type Watch = { wake(): void; stop(): Promise<void> };

const BATCH = 200;
const MAX_BATCHES = 20;
const MAX_LOOKS = 50;
const MAX_PROJECTS = 1_000;
const STRAY_MS = 60_000;
/** How long forges keep deliveries; and how long it may take until one is known to have failed. */
const KEPT_BY_FORGE_MS = 3 * 86_400_000;
const OVERLAP_MS = 600_000;
/** Deliveries are remembered longer than a forge sends one again. */
const KEEP_DAYS = 30;
const Notice = z.object({ o: z.string() });

export async function startWatch(deps: WatchDeps): Promise<Watch> {
  const { db, log } = deps;
  const timing = { ...defaultWatchTiming, ...deps.timing };
  const owner = `${deps.instance}:${randomUUID()}`;
  const busy = new Map<string, Promise<void>>();
  /** Until when a connection is left alone: its forge said so, or is away. */
  const paused = new Map<string, number>();
  /** When it was last asked for a project's repository in vain. */
  const tried = new Map<string, number>();
  const asked = new Map<string, number>();
  let stopping = false;
  let again = false;
  let ticking: Promise<void> | null = null;
  let ticks = 0;

  for (const organizationId of await deps.organizations())
    await db.tenant(organizationId, (tx) => releaseWatches(tx, deps.instance));

  async function tick(): Promise<void> {
    for (const organizationId of await deps.organizations()) {
      const connections = await db.tenant(organizationId, (tx) => listConnections(tx));
      for (const connection of connections) {
        if (stopping || busy.has(connection.id) || (paused.get(connection.id) ?? 0) > Date.now()) continue;
        if (connection.state === "suspended") {
          // Its owner may lift that, and nothing else would say so.
          paused.set(connection.id, Date.now() + timing.suspendedMs);
          const asked = deps
            .check(organizationId, connection.id)
            .catch((error: unknown) =>
              log.warn("a connection could not be checked", { error, connection: connection.id }),
            )
            .then(() => void busy.delete(connection.id));
          busy.set(connection.id, asked);
        }
        if (connection.state !== "active") continue;
        const done = follow(organizationId, connection)
          .catch((error: unknown) =>
            log.warn("a connection could not be followed", { error, connection: connection.id }),
          )
          .finally(() => busy.delete(connection.id));
        busy.set(connection.id, done);
      }
      if (ticks % 100 === 0)
        await db.tenant(organizationId, async (tx) => {
          await endStrayDeliveries(tx, STRAY_MS);
          await pruneDeliveries(tx, KEEP_DAYS);
        });
    }
    ticks += 1;
  }

  async function follow(organizationId: string, connection: Connection): Promise<void> {
    const taken = await db.tenant(organizationId, (tx) =>
      takeWatch(tx, organizationId, connection.id, owner, timing.leaseMs),
    );
    if (!taken) return;
    let lost = false;
    const renewal = setInterval(() => {
      db.tenant(organizationId, (tx) => renewWatch(tx, connection.id, owner, timing.leaseMs)).then(
        (held) => {
          lost ||= !held;
        },
        (error: unknown) => log.warn("a connection's lease could not be renewed", { error, connection: connection.id }),
      );
    }, timing.leaseMs / 4);
    let next: Parameters<typeof leaveWatch>[3] = null;
    try {
      const forge = await deps.open(organizationId, connection.id);
      if (!forge.ok) throw new ForgeWaits(forge.code, forge.detail);
      const alive = () => {
        if (lost || stopping) throw new WatchLost("The connection is another's to follow.");
      };
      const cycle = createCycle({ deps, timing, organizationId, connection, forge: forge.value, alive, tried, asked });
      const seenUntil = await once(cycle, taken.due, taken.seenUntil);
      if (taken.due) next = { afterMs: pollAfter(forge.value, timing), seenUntil, error: null };
    } catch (error) {
      if (error instanceof WatchLost) return;
      const detail = error instanceof Error ? error.message : String(error);
      const wait = error instanceof ForgeWaits ? timing.pollMs : timing.tickMs * 5;
      paused.set(connection.id, Date.now() + wait);
      next = { afterMs: timing.pollMs, seenUntil: null, error: detail.slice(0, 500) };
      log.warn("a forge could not be asked; it is tried again", { connection: connection.id, detail });
    } finally {
      clearInterval(renewal);
      await db.tenant(organizationId, (tx) => leaveWatch(tx, connection.id, owner, next));
    }
  }

  const run = () => {
    if (stopping) return;
    if (ticking) {
      again = true;
      return;
    }
    ticking = tick()
      .catch((error: unknown) => log.warn("looking after connections failed", { error }))
      .finally(() => {
        ticking = null;
        if (again) {
          again = false;
          setTimeout(run, 20).unref();
        }
      });
  };
  const unlisten = [
    await db.listen(deliveriesChannel, (payload) => void (Notice.safeParse(JSON.parse(payload)).success && run()), run),
  ];
  const timer = setInterval(run, timing.tickMs);
  run();
  return {
    wake: run,
    async stop() {
      stopping = true;
      clearInterval(timer);
      for (const end of unlisten) end();
      await ticking;
      // A request may still be on its way. What it would bring is asked for again by whoever follows next.
      const enough = new Promise((settle) => void setTimeout(settle, timing.stopMs).unref());
      await Promise.race([Promise.all(busy.values()), enough]);
    },
  };
}

/** One round of looking; returns until when issues were seen, where they were asked for. */
async function once(cycle: Cycle, due: boolean, seenUntil: string | null): Promise<string | null> {
  await linkProjects(cycle);
  await fetchMissed(cycle);
  await handleDeliveries(cycle, seenUntil);
  for (const row of await cycle.tenant((tx) => pullRequestsToLookAt(tx, cycle.connection.id, [], MAX_LOOKS)))
    await lookAtPullRequest(cycle, row);
  await lookForReverts(cycle);
  const seen = due ? await pollIssues(cycle, seenUntil) : null;
  await beginRounds(cycle);
  await putChecks(cycle);
  return seen;
}

/**
 * Takes in what the forge could not hand over: the service was down, or its address wrong. They are handled like others; one
 * that had arrived after all is there already. What a process asked for before it ended is asked for again by the next one.
 */
async function fetchMissed(cycle: Cycle): Promise<void> {
  const { connection, forge, asked, timing, organizationId } = cycle;
  const { appId, installation } = connection;
  const now = Date.now();
  const before = asked.get(connection.id);
  if (appId === null || !forge.listMissedDeliveries || (before !== undefined && before > now - timing.reconcileMs))
    return;
  const since = Math.max(Date.parse(connection.createdAt), (before ?? now) - (before ? OVERLAP_MS : KEPT_BY_FORGE_MS));
  const missed = there(await forge.listMissedDeliveries(new Date(since).toISOString())) ?? [];
  await cycle.tenant(async (tx) => {
    for (const { id, event, action, installationId, repositoryId, number, commits } of missed.reverse())
      if (installationId === installation)
        await storeDelivery(tx, organizationId, {
          ...{ appId, id, event, action },
          about: { installation: installationId, repository: repositoryId, number, commits },
        });
  });
  asked.set(connection.id, now);
}

/** Looks where deliveries say, once for all that say the same. */
async function handleDeliveries(cycle: Cycle, seenUntil: string | null): Promise<void> {
  const { appId, installation } = cycle.connection;
  if (appId === null || installation === null) return;
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    const taken = await cycle.tenant((tx) => takeDeliveries(tx, { appId, installation }, BATCH));
    if (taken.length === 0) return;
    const ids = taken.map(({ id }) => id);
    try {
      await look(cycle, taken, seenUntil);
    } catch (error) {
      if (error instanceof WatchLost) throw error;
      const detail = error instanceof Error ? error.message : String(error);
      await cycle.tenant((tx) => failDeliveries(tx, appId, ids, detail));
      throw error;
    }
    await cycle.tenant((tx) => endDeliveries(tx, appId, ids));
  }
}

async function look(cycle: Cycle, deliveries: readonly Delivery[], seenUntil: string | null): Promise<void> {
  const { connection, organizationId } = cycle;
  if (deliveries.some(({ event }) => event.startsWith("installation") || event === "repository"))
    await cycle.deps.check(organizationId, connection.id);
  const named = new Map(
    deliveries.flatMap(({ about: { repository, number, commits } }) =>
      repository === null ? [] : [[JSON.stringify([repository, number, commits]), { repository, number, commits }]],
    ),
  );
  if (named.size === 0) return;
  const rows = await cycle.tenant((tx) => pullRequestsToLookAt(tx, connection.id, [...named.values()], 1_000));
  for (const row of rows) await lookAtPullRequest(cycle, row);
  const pushed = deliveries.filter(({ event }) => event === "push").map(({ about }) => about.repository);
  if (pushed.length > 0)
    await lookForReverts(
      cycle,
      pushed.filter((repository) => repository !== null),
    );
  // A project may be younger than this round.
  await linkProjects(cycle);
  const used = await cycle.tenant((tx) => listFollowedRepositories(tx, connection.id));
  const pulls = new Set(rows.map(({ repository, number }) => `${repository} ${number}`));
  const issues = new Set<string>();
  // A missed one names no issue: all that changed in the repository are asked for.
  const unnamed = deliveries.filter(({ event, about }) => event.startsWith("issue") && about.number === null);
  if (unnamed.length > 0)
    await pollIssues(cycle, seenUntil, new Set(unnamed.flatMap(({ about }) => about.repository ?? [])));
  for (const { event, about } of deliveries) {
    const { repository, number } = about;
    if (repository === null || number === null || !event.startsWith("issue")) continue;
    const key = `${repository} ${number}`;
    if (pulls.has(key) || issues.has(key)) continue;
    issues.add(key);
    const known = used.find(({ externalId }) => externalId === repository);
    if (known?.projectId) await lookAtIssue(cycle, { repository, projectId: known.projectId }, number);
  }
}

/** Projects whose repository the connection reaches and nobody has said so yet: the forge is asked by their address. */
async function linkProjects(cycle: Cycle): Promise<void> {
  const { connection, organizationId, deps, tried, timing } = cycle;
  const { used, projects } = await cycle.tenant(async (tx) => ({
    used: await listUsedRepositories(tx, connection.id),
    projects: (await listProjects(tx, MAX_PROJECTS)).items,
  }));
  const known = new Set(used.map(({ projectId }) => projectId));
  for (const { id, repository, archivedAt } of projects) {
    const name = nameAt(connection.baseUrl, repository);
    if (known.has(id) || archivedAt !== null || name === null) continue;
    if ((tried.get(id) ?? Number.NEGATIVE_INFINITY) > Date.now() - timing.pollMs) continue;
    tried.set(id, Date.now());
    const found = there(await cycle.forge.getRepository({ fullName: name }));
    if (found) await deps.link(organizationId, connection.id, found, id);
  }
}

/** Issues that changed since the last time, in repositories that projects use, or in those of them that are named. */
async function pollIssues(cycle: Cycle, seenUntil: string | null, only?: ReadonlySet<string>): Promise<string | null> {
  let newest = seenUntil ?? cycle.connection.createdAt;
  for (const known of await cycle.tenant((tx) => listFollowedRepositories(tx, cycle.connection.id))) {
    if (!known.projectId || only?.has(known.externalId) === false) continue;
    const repository = await cycle.repository(known.externalId);
    if (!repository?.hasIssues) continue;
    let cursor: string | undefined;
    for (let page = 0; page < 5; page += 1) {
      const found = there(
        await cycle.forge.listIssues(repository, {
          ...{ limit: 100, state: "all", updatedSince: seenUntil ?? cycle.connection.createdAt },
          ...(cursor === undefined ? {} : { cursor }),
        }),
      );
      for (const issue of found?.items ?? []) {
        await lookAtIssue(cycle, { repository: known.externalId, projectId: known.projectId }, issue.number);
        if (issue.updatedAt > newest) newest = issue.updatedAt;
      }
      if (!found?.cursor) break;
      cursor = found.cursor;
    }
  }
  return newest;
}

/** Slower when little is left of the rate limit: other work needs it too. Pure but for the forge's last answer. */
export function pollAfter(forge: Pick<Forge, "limits">, timing: Pick<WatchTiming, "pollMs">, now = Date.now()): number {
  const limits = forge.limits();
  if (!limits || limits.limit <= 0) return timing.pollMs;
  const left = limits.remaining / limits.limit;
  if (left > 0.25) return timing.pollMs;
  if (left > 0.05) return timing.pollMs * 4;
  return Math.max(timing.pollMs, Math.min(Date.parse(limits.resetAt) - now, 3_600_000) || timing.pollMs);
}
