import { setTimeout as delay } from "node:timers/promises";
import { accept, type Outcome, type Refusal } from "@x1agent/contract";
import { type JobRecord, parkJob } from "@x1agent/domain-jobs";
import { appendEvents } from "@x1agent/domain-sessions";
import type { LoopDeps } from "../deps.ts";
import { observed, transition } from "../record.ts";

/**
 * A forge, or a plain remote, that is away is waited for, and the job's reason says so. How, depends on what there is to lose:
 *
 *   before an agent works   the attempt ends, the job is parked in `queued` (`parkBeginning`); a further attempt begins only
 *                           when the remote answers (`stillAway`)
 *   evidence is sealed      the step waits (`whenBack`), about a day, in none of the job's time: nothing is done twice. The agent's
 *                           workspace ends when the wait begins, and the job costs no place meanwhile
 *   publication             the job is parked in `publishing`; the approval stays
 */

/** Times in a row that a publication waits: at five minutes each about a week. */
export const MAX_WAITS = 2_000;
/** Times that a job waits to begin, or for its evidence: about a day. An address that nobody ever answers at is no outage. */
export const MAX_WAITS_FOR_A_DAY = 290;
/** Times that it waits for a submodule or LFS content, about an hour; then it begins without, and the evidence says so. */
const MAX_WAITS_FOR_CONTENT = 18;
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 300_000;

/** How long a job waits before the next try, in milliseconds. Pure. */
export const waitMs = (waits: number): number => Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(waits, 20));

/** Whether trying again later may help without anybody's doing. Pure. */
export const isPassing = ({ code }: Pick<Refusal, "code">): boolean =>
  code === "forge_limited" || code === "forge_unavailable";

/** Whether what a job lacks is still away; asked before another attempt begins. Null: it may begin, and see for itself. */
export async function stillAway(deps: LoopDeps, job: JobRecord): Promise<Refusal | null> {
  const credential = (await deps.credential?.(job, "read")) ?? accept(null);
  const answer = credential.ok
    ? await deps.git.remoteBranch(job.repository, job.base ?? "main", credential.value ?? undefined)
    : credential;
  return answer.ok || !isPassing(answer) ? null : answer;
}

/**
 * Parks a job that cannot begin, in `queued`: from `provisioning` with a move that is told. Null when it waited long enough for
 * what it lacks: the base, or only some of its content.
 */
export async function parkBeginning(
  deps: LoopDeps,
  job: JobRecord,
  { detail }: Pick<Refusal, "detail">,
  attemptId: string | null,
  lacks: "base" | "content" = "base",
): Promise<JobRecord | null> {
  if (job.waits >= (lacks === "base" ? MAX_WAITS_FOR_A_DAY : MAX_WAITS_FOR_CONTENT) || job.cancelRequested) return null;
  const queued =
    job.state === "queued"
      ? job
      : await transition(deps, job, { to: "queued", reason: "forge_waiting", detail, attemptId });
  const parked = await deps.db.tenant(job.organizationId, (tx) =>
    parkJob(tx, { jobId: job.id, state: "queued", reason: "forge_waiting", detail, delayMs: waitMs }),
  );
  return parked?.job ?? queued;
}

/**
 * Asks until the far end answers, yes or no, or for about a day. The job stays in its state with the reason that it waits, and
 * its process works on it; what passes from the first try on is not charged to the job's time. An abort ends the wait.
 * `begins` is told when it turns out that there is something to wait for.
 */
export async function whenBack<T>(
  deps: LoopDeps,
  job: JobRecord,
  attemptId: string,
  signal: AbortSignal,
  ask: () => Promise<Outcome<T>>,
  begins: () => void = () => {},
): Promise<Outcome<T>> {
  const wait = async (first: Refusal): Promise<Outcome<T>> => {
    for (let tries = 0, told = "", { code, detail } = first; ; tries += 1) {
      await deps.db.tenant(job.organizationId, async (tx) => {
        await parkJob(tx, { jobId: job.id, state: job.state, reason: "forge_waiting", detail, delayMs: waitMs });
        // Told when it begins and when the reason changes, not at each try.
        if (told === detail) return;
        const payload = { code, detail: detail.slice(0, 2_000), tries: tries + 1 };
        await appendEvents(tx, job.organizationId, job.id, [
          observed({ type: "publication.waiting", payload }, attemptId),
        ]);
      });
      told = detail;
      await delay(waitMs(tries), undefined, { signal });
      const answer = await ask();
      signal.throwIfAborted();
      if (answer.ok || !isPassing(answer) || tries >= MAX_WAITS_FOR_A_DAY) return answer;
      ({ code, detail } = answer);
    }
  };
  const answer = await ask();
  signal.throwIfAborted();
  if (answer.ok || !isPassing(answer)) return answer;
  begins();
  return deps.uncharged ? deps.uncharged(() => wait(answer)) : wait(answer);
}
