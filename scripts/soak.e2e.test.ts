import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ApiError, type Client, createClient, UnreachableError } from "@x1agent/client";
import { isTerminal, type Job, type JobState } from "@x1agent/contract";
import { createRepository, type ModelServer, startModelServer } from "@x1agent/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandOf, privateBytes, treeOf } from "./test/processes.ts";

/**
 * Many jobs through one service while its parts are killed at random; runs with X1_FULL=1. What is asked: every job ends,
 * what was approved is published once, memory stays bounded, nothing is left behind. X1_SEED repeats a plan; a failure
 * names its seed. X1_SOAK_JOBS asks for another number of jobs than 200, with kills and events in proportion.
 */
const full = process.env.X1_FULL === "1";
const jobs = Number(process.env.X1_SOAK_JOBS ?? 200);
const size = { jobs, kills: Math.ceil(jobs / 8), events: jobs * 500 };
const seed = Number(process.env.X1_SEED ?? Date.now() % 1_000_000);
/** Found in command lines: a process that outlives its workspace. */
const marker = 700_000_000 + seed;
const runtime = "mock";
/** Private memory that a service may hold, with its jobs' events passing through. Bytes. */
const MAX_MEMORY = 350e6;
/** What a killed service left is swept when it is a minute old, by a look every half minute; twice that on a busy machine. */
const SWEPT_MS = 180_000;

let root: string;
let service: ChildProcess;
let port = 0;
let client: Client;
let model: ModelServer;
let repository: string;
const servicePids: number[] = [];
let most = 0;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What is waited for now, each with its beginning: the progress lines name it, and so does a failure. */
const open = new Map<string, number>();
const begun = Date.now();
const seconds = (since: number) => `${Math.round((Date.now() - since) / 1000)} s`;
const say = (line: string) => process.stderr.write(`soak ${seed} ${seconds(begun)}: ${line}\n`);
const waits = () => [...open].map(([what, since]) => `${what} (${seconds(since)})`).join(", ") || "nothing";

/** Waits for one thing by name, within bounds: what never answers fails with its name and all that was waited for beside it. */
async function named<T>(what: string, ms: number, work: () => Promise<T>): Promise<T> {
  open.set(what, Date.now());
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work(),
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`Waited ${ms} ms for ${what}; beside it for: ${waits()}.`)), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    open.delete(what);
  }
}

/** The process' end; at once for one that has ended. */
async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

async function start(): Promise<void> {
  const main = join(import.meta.dirname, "../apps/api/src/main.ts");
  const options = ["--data", join(root, "data"), "--master-key", join(root, "key"), "--port", String(port), "--json"];
  // What lives below it is then its jobs' alone.
  options.push("--spare-sidecars", "0");
  service = spawn(process.execPath, [main, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  servicePids.push(service.pid ?? -1);
  const [line] = await named("the service to start", 90_000, () =>
    Promise.race([
      once(createInterface({ input: service.stdout! }), "line") as Promise<[string]>,
      exited(service).then(() => {
        throw new Error(`The service ended with ${service.exitCode ?? service.signalCode} instead of starting.`);
      }),
    ]),
  );
  const { url } = JSON.parse(line) as { url: string };
  port = Number(new URL(url).port);
  client = createClient({ baseUrl: url, token: (await readFile(join(root, "data/token"), "utf8")).trim() });
}

/** How long a call may stay without its answer; a service under this load answers within a second or two. */
const ANSWER_MS = 60_000;
let calls = 0;

/** A request that was cut off by a kill holds its key until it could not be running any more. */
const isTaken = (error: unknown) => error instanceof ApiError && error.message.includes("Idempotency-Key");

/** Calls again while the service is away, within bounds. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  calls += 1;
  const what = `call ${calls} to be answered`;
  for (const end = Date.now() + 200_000; ; ) {
    try {
      return await named(what, ANSWER_MS, call);
    } catch (error) {
      if (!(error instanceof UnreachableError || isTaken(error)) || Date.now() > end) throw error;
      await pause(200);
    }
  }
}

async function reach(jobId: string, ...states: JobState[]): Promise<Job> {
  const begin = Date.now();
  let job: Job | undefined;
  let what = "";
  try {
    for (; Date.now() - begin < 240_000; await pause(150)) {
      job = await insist(() => client.getJob({ params: { jobId } }));
      if (states.includes(job.state) || isTerminal(job.state)) return job;
      open.delete(what);
      what = `${jobId} to be ${states[0] ?? "ended"}, now ${job.state}/${job.reason}, attempt ${job.attempt}`;
      open.set(what, begin);
    }
  } finally {
    open.delete(what);
  }
  throw new Error(`${jobId} is still ${job?.state} (${job?.reason}, attempt ${job?.attempt}). Open: ${waits()}.`);
}

/** What a job is told, and how it may end. One that was lost three times by our own hand may end lost. */
const kinds = {
  fix: { goal: "[[edit add.mjs export const add = (a, b) => a + b;]]", ends: ["succeeded"] },
  stray: {
    goal: `[[shell (setsid sleep ${marker} >/dev/null 2>&1 &) ; true]][[edit add.mjs export const add = (a, b) => a + b;]]`,
    ends: ["succeeded"],
  },
  talk: { goal: "[[events 500]][[claim-success]]", ends: ["no_changes"] },
  model: { goal: "Say something.", ends: ["no_changes"] },
  wrong: { goal: "[[edit add.mjs wrong]]", ends: ["rejected"] },
  cancel: { goal: "[[sleep 120]]", ends: ["cancelled"] },
} satisfies Record<string, { goal: string; ends: JobState[] }>;
type Kind = keyof typeof kinds;

const plan = fc.sample(
  fc.record({
    jobs: fc.array(fc.constantFrom<Kind>("fix", "fix", "stray", "talk", "model", "wrong", "cancel"), {
      minLength: size.jobs,
      maxLength: size.jobs,
    }),
    kills: fc.array(
      fc.record({
        victim: fc.constantFrom<"host" | "sidecar" | "service">("host", "sidecar", "service"),
        afterMs: fc.integer({ min: 1_000, max: 9_000 }),
      }),
      { minLength: size.kills, maxLength: size.kills },
    ),
  }),
  { seed, numRuns: 1 },
)[0]!;

async function throughOneJob(kind: Kind, number: number): Promise<{ kind: Kind; job: Job }> {
  const { goal } = kinds[kind];
  const { id } = await insist(() =>
    client.createJob({
      body: { repository, runtime, goal, verify: "bash check.sh", maxRounds: 1 },
      idempotencyKey: `soak-${seed}-${number}`,
    }),
  );
  if (kind === "cancel") {
    await reach(id, "running");
    await insist(() => client.cancelJob({ params: { jobId: id } }).catch(ignoreRefusal));
    return { kind, job: await reach(id) };
  }
  const waiting = await reach(id, "awaiting_approval");
  if (waiting.state === "awaiting_approval") {
    const body = { decision: kind === "wrong" ? "reject" : "approve", digest: waiting.approvalDigest ?? "" } as const;
    await insist(() => client.decide({ params: { jobId: id }, body }).catch(ignoreRefusal));
  }
  return { kind, job: await reach(id) };
}
/** A call whose answer was lost with the service may have been carried out: then its repetition is refused. */
function ignoreRefusal(error: unknown): void {
  if (error instanceof UnreachableError) throw error;
}

async function killOne(victim: "host" | "sidecar" | "service"): Promise<void> {
  if (victim === "service") {
    service.kill("SIGKILL");
    await named("the killed service's end", 20_000, () => exited(service));
    await start();
    return;
  }
  const [pid] = treeOf(service.pid ?? -1).filter((one) => commandOf(one).includes(`${victim}.mjs`));
  // Between two jobs there may be none; the next kill finds another.
  if (pid !== undefined) process.kill(pid, "SIGKILL");
}

/** What of the service's making is still there; the service itself, its database and its bundler are not looked at. */
function leftovers(): string[] {
  const database = new Set(
    treeOf(service.pid ?? -1)
      .filter((pid) => /postgres|^\S*\/esbuild --service/.test(commandOf(pid)))
      .flatMap((pid) => treeOf(pid)),
  );
  const processes = treeOf(service.pid ?? -1)
    .filter((pid) => pid !== service.pid && !database.has(pid))
    .map((pid) => `process ${pid}: ${commandOf(pid).slice(0, 100)}`);
  const strays = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && commandOf(Number(name)).startsWith(`sleep ${marker}`))
    .map((pid) => `stray ${pid}`);
  const folder = join(root, "data/run/ws");
  const workspaces = existsSync(folder) ? readdirSync(folder).map((name) => `folder ${name}`) : [];
  const claims = "/run/x1agent/uids";
  const uids = existsSync(claims)
    ? readdirSync(claims)
        .filter((uid) => servicePids.includes(Number(readOr(join(claims, uid)).split(" ")[0])))
        .map((uid) => `uid ${uid}`)
    : [];
  const groups = execFileSync("find", ["/sys/fs/cgroup", "-maxdepth", "4", "-type", "d", "-name", "*x1*"], {
    encoding: "utf8",
  })
    .split("\n")
    .filter((path) => path && servicePids.some((pid) => path.includes(`/x1-${pid}-`)))
    .map((path) => `group ${path}: ${holdersOf(path).join(", ") || "no process"}`);
  return [...processes, ...strays, ...workspaces, ...uids, ...groups];
}
/** Processes that keep a group busy, its sandboxes' included. */
const holdersOf = (group: string): string[] =>
  ["", ...(existsSync(group) ? readdirSync(group).filter((name) => /^\d+$/.test(name)) : [])]
    .flatMap((sandbox) =>
      readOr(join(group, sandbox, "cgroup.procs"))
        .split("\n")
        .filter(Boolean),
    )
    .map((pid) => `${pid} ${commandOf(Number(pid)).slice(0, 80)}`);
const readOr = (path: string) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-soak-"));
  await chmod(root, 0o755);
  repository = (
    await createRepository(join(root, "repository"), {
      "add.mjs": "export const add = (a, b) => a - b;\n",
      "check.sh": "grep -q 'a + b' add.mjs\n",
    })
  ).directory;
  model = await startModelServer();
  await start();
  await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
  await client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
  for await (const _ of client.lines("installRuntime", { params: { name: runtime } }));
});
afterAll(async () => {
  if (service) {
    service.kill("SIGTERM");
    await named("the service's clean end", 60_000, () => exited(service)).finally(() => service.kill("SIGKILL"));
  }
  await model?.close();
  await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

describe.runIf(full)(
  `a service under load (seed ${seed}${full ? "" : "; X1_FULL=1 runs 200 jobs and 100,000 events"})`,
  () => {
    it(
      `ends ${size.jobs} jobs right while ${size.kills} parts are killed, and leaves nothing behind`,
      async () => {
        const waiting = [...plan.jobs.entries()];
        const ended: { kind: Kind; job: Job }[] = [];
        const worker = async () => {
          for (let next = waiting.shift(); next; next = waiting.shift())
            ended.push(await throughOneJob(next[1], next[0]));
        };
        let kills = 0;
        // What is looked for afterwards has to be seen while it is there.
        const watched = new Set<string>();
        let over = false;
        const killer = async () => {
          for (const { victim, afterMs } of plan.kills) {
            for (const until = Date.now() + afterMs; Date.now() < until && !over; ) await pause(100);
            if (over) return;
            say(`kill ${++kills}: ${victim}`);
            await killOne(victim);
          }
        };
        const told = setInterval(
          () => say(`${ended.length} of ${size.jobs} jobs ended, ${Math.round(most / 1e6)} MB; open: ${waits()}`),
          10_000,
        );
        const watcher = async () => {
          for (; !over; await pause(500)) {
            most = Math.max(most, privateBytes([service.pid ?? -1]));
            if (watched.size < 3) for (const one of leftovers()) watched.add(one.split(" ")[0] ?? "");
          }
        };
        const beside = [killer(), watcher()];
        try {
          // A killer that fails ends the run: without a service the jobs would wait out their bounds.
          await Promise.race([
            Promise.all(Array.from({ length: 6 }, worker)),
            beside[0]!.then(() => new Promise<never>(() => {})),
          ]);
        } finally {
          over = true;
          clearInterval(told);
          await Promise.all(beside);
        }
        say(`all ${ended.length} jobs ended`);

        expect(ended).toHaveLength(size.jobs);
        const wrong = ended
          .filter(({ kind, job }) => !(kinds[kind].ends as JobState[]).includes(job.state) && job.state !== "lost")
          // A killed sleeper goes on in its next attempt without its order, and may be through before it is cancelled.
          .filter(({ kind, job }) => !(kind === "cancel" && job.attempt > 1 && job.state === "no_changes"))
          .map(({ kind, job }) => `${kind} ${job.id} ended ${job.state} in attempt ${job.attempt}: ${job.reason}`);
        expect(wrong).toEqual([]);
        // Only who was hit three times is lost: with so few kills hardly anybody.
        expect(ended.filter(({ job }) => job.state === "lost").length).toBeLessThanOrEqual(Math.floor(size.kills / 3));
        for (const { job } of ended.filter(({ job }) => job.state === "succeeded")) {
          const { items } = await client.listPublications({ params: { jobId: job.id } });
          const branch = execFileSync("git", ["-C", repository, "rev-parse", job.targetBranch ?? ""], {
            encoding: "utf8",
          });
          expect(items.map(({ commit }) => commit)).toEqual([branch.trim()]);
        }
        const expected = process.getuid?.() === 0 ? ["process", "folder", "uid"] : ["process", "folder"];
        expect([...watched]).toEqual(expect.arrayContaining(expected));
        await expect.poll(leftovers, { timeout: SWEPT_MS, interval: 500 }).toEqual([]);
        expect(most).toBeLessThan(MAX_MEMORY);
      },
      Math.max(10, size.jobs / 3) * 60_000,
    );

    it(
      `keeps all ${size.events} events of one job in order, with bounded memory`,
      async () => {
        const { id } = await client.createJob({ body: { repository, runtime, goal: `[[events ${size.events}]]` } });
        let seen = 0;
        let last = 0;
        let highest = 0;
        // A stream that stands still is told from one that is slow by the event that it waits for.
        const stuck = new AbortController();
        let stall = setTimeout(() => {}, 0);
        for await (const event of client.events(id, { signal: stuck.signal })) {
          clearTimeout(stall);
          stall = setTimeout(() => stuck.abort(new Error(`No event for 90 s after number ${last}.`)), 90_000);
          if (event.seq !== null) {
            expect(event.seq).toBe(last + 1);
            last = event.seq;
          }
          if (event.type === "agent.text") {
            seen += 1;
            if (seen % 1_000 === 0) highest = Math.max(highest, privateBytes([service.pid ?? -1]));
            if (seen % 10_000 === 0) say(`${seen} events, ${Math.round(highest / 1e6)} MB`);
          }
          if (event.type === "job.state" && isTerminal(event.payload.to as JobState)) break;
        }
        clearTimeout(stall);
        expect(seen).toBe(size.events);
        expect(highest).toBeLessThan(MAX_MEMORY);
        await expect.poll(leftovers, { timeout: SWEPT_MS, interval: 500 }).toEqual([]);
      },
      15 * 60_000,
    );
  },
);
