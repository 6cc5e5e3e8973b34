import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { ApiError, type Client, type LiveEvent } from "@x1agent/client";
import { isTerminal, JobState } from "@x1agent/contract";
import type { Context } from "./context.ts";
import { exitCodeOf, exitCodes } from "./exit.ts";
import { createProgress, jobFacts, type Progress, visibleLine } from "./render/index.ts";

export type AttachOptions = {
  /** Take typed lines and offer choices on Ctrl-C; else Ctrl-C detaches. */
  interactive: boolean;
  after?: number;
  /** Skip what is stored already. */
  fromNow?: boolean;
  /** A state that the job is about to leave: no reason to stop before it has. Needs an `after` from before the decision. */
  leaving?: JobState;
};

/**
 * Follows a job until it ends, or waits for a person where nobody can answer here. Returns the exit code. Detaching
 * leaves the job running.
 */
export async function attach(context: Context, jobId: string, options: AttachOptions): Promise<number> {
  const { client } = context;
  const job = await client.getJob({ params: { jobId } });
  const after = options.after ?? (options.fromNow ? await newestEvent(client, jobId) : 0);
  const interactive = options.interactive && Boolean(process.stdin.isTTY) && !context.json;
  const stop = new AbortController();
  let detached = false;
  const detach = () => {
    detached = true;
    stop.abort();
  };
  const progress = createProgress({
    write: (text) => process.stdout.write(text),
    style: context.style,
    name: await namer(context),
    ...(job.isolation === "process" ? { mark: "not isolated" } : {}),
  });
  const keyboard = interactive ? openKeyboard(context, jobId, progress, detach) : openSignals(detach);
  // A job that stands still already says nothing new by itself: replay what is stored, then stop.
  const rests = (state: JobState) => restsIn(state, interactive) && (left || state !== options.leaving);
  let left = job.state !== options.leaving;
  let resting = rests(job.state);
  const follow = client.events(jobId, {
    after,
    signal: stop.signal,
    onReconnect: (_, attempt) => {
      if (attempt > 1 && !context.json) progress.note(context.style.warn("connection lost, trying again"));
    },
  });
  let seen = after;
  const newest = resting ? await newestEvent(client, jobId) : 0;
  if (!(resting && seen >= newest))
    for await (const event of follow) {
      if (event.seq !== null) seen = event.seq;
      if (context.json) process.stdout.write(`${JSON.stringify(event)}\n`);
      else progress.event(event);
      keyboard.event(event);
      const to = event.type === "job.state" ? JobState.safeParse(event.payload.to) : null;
      // An old state in the replay is no reason to stop: only one that the job still has.
      if (to?.success) left ||= to.data !== options.leaving;
      if (to?.success && rests(to.data)) {
        const now = await client.getJob({ params: { jobId } });
        resting = rests(now.state);
        if (resting && now.state === to.data) break;
      }
      if (resting && newest > 0 && seen >= newest) break;
    }
  stop.abort();
  keyboard.close();
  const end = await client.getJob({ params: { jobId } });
  if (context.json) process.stdout.write(`${JSON.stringify(end)}\n`);
  else context.say(detached ? `Detached; ${jobId} goes on. x1 attach ${jobId}` : `\n${jobFacts(end, context.style)}`);
  if (detached) return options.interactive ? exitCodes.ok.code : exitCodes.interrupted.code;
  return exitCodeOf(end.state);
}

/** Names of people by how events write them; nothing where they cannot be asked for, since a story is told without them too. */
async function namer({ client, json }: Context): Promise<(actor: string) => string> {
  const people = json
    ? []
    : await client.listMembers().then(
        ({ items }) => items,
        () => [],
      );
  const names = new Map(people.map(({ id, name }) => [`user:${id}`, name]));
  return (actor) => names.get(actor) ?? actor;
}

/** Whether following ends in this state: for good, or because a person must act somewhere else. */
function restsIn(state: JobState, interactive: boolean): boolean {
  return isTerminal(state) || state === "awaiting_approval" || (state === "awaiting_input" && !interactive);
}

/** Number of the newest stored event of a job; 0 when there is none. */
export async function newestEvent(client: Client, jobId: string): Promise<number> {
  let after = 0;
  for (;;) {
    const page = await client.listEvents({ params: { jobId }, query: { after, limit: 1_000 } });
    after = page.items.at(-1)?.seq ?? after;
    if (page.cursor === null || page.items.length === 0) return after;
  }
}

type Keyboard = { event(event: LiveEvent): void; close(): void };

function openSignals(detach: () => void): Keyboard {
  process.once("SIGINT", detach);
  return { event: () => undefined, close: () => process.off("SIGINT", detach) };
}

/** Typed lines become messages; `/steer`, `/interrupt`, `/answer`, `/cancel` and `/detach` are commands. */
function openKeyboard(context: Context, jobId: string, progress: Progress, detach: () => void): Keyboard {
  const { client, style } = context;
  const open = new Map<string, LiveEvent["payload"]>();
  const terminal = createInterface({ input: process.stdin, terminal: true });
  let choosing = false;
  const act = (what: Promise<unknown>) => {
    what.catch((error: unknown) => {
      const text = error instanceof ApiError ? `${error.message} [${error.code}]` : String(error);
      progress.note(style.bad(visibleLine(text)));
    });
  };
  const send = (content: string, mode: "queue" | "steer" | "interrupt") =>
    act(client.injectMessage({ params: { jobId }, body: { id: randomUUID(), content, mode } }));
  const answer = (text: string) => {
    const requestId = [...open.keys()].at(-1);
    if (!requestId) return progress.note(style.warn("no question is open"));
    const options = open.get(requestId)?.options;
    const known = Array.isArray(options) && options.some((o: { optionId?: unknown }) => o.optionId === text);
    act(client.answerQuestion({ params: { jobId }, body: { requestId, ...(known ? { optionId: text } : { text }) } }));
  };
  terminal.on("line", (line) => {
    const text = line.trim();
    if (choosing) {
      choosing = false;
      if (text === "i") act(client.interruptJob({ params: { jobId } }));
      else if (text === "d") detach();
      else if (text === "c") act(client.cancelJob({ params: { jobId } }));
      return;
    }
    const [, command, rest = ""] = /^\/(\w+)\s*([\s\S]*)$/.exec(text) ?? [];
    if (!text) return;
    if (command === "detach") detach();
    else if (command === "interrupt") act(client.interruptJob({ params: { jobId } }));
    else if (command === "cancel") act(client.cancelJob({ params: { jobId } }));
    else if (command === "steer" && rest) send(rest, "steer");
    else if (command === "answer" && rest) answer(rest);
    else if (command)
      progress.note(style.quiet("/steer <text>  /interrupt  /answer <option or text>  /cancel  /detach"));
    else send(text, "queue");
  });
  terminal.on("SIGINT", () => {
    if (choosing) return detach();
    choosing = true;
    progress.note(
      style.strong("i: interrupt the turn   d: detach   c: cancel the job   Enter: go on   (Ctrl-C again: detach)"),
    );
  });
  return {
    event(event) {
      const id = event.payload.requestId;
      if (typeof id !== "string") return;
      if (event.type === "permission.requested") open.set(id, event.payload);
      if (event.type === "permission.resolved") open.delete(id);
    },
    close: () => terminal.close(),
  };
}
