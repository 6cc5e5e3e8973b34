/**
 * The main job on the sample project: starts the service with its own database in `.demo/`, gives one issue to a
 * runtime, shows what happens, asks for the approval and says what was published. The model is the scripted model
 * server; everything else is the product.
 *
 *   npm run demo                               asks for the approval
 *   npm run demo -- --yes                      answers for scripts, and ends
 *   npm run demo -- --runtime <name>           another runtime of the catalogue
 *   npm run demo -- --issue 2                  another issue of the sample (1 to 3)
 *   npm run demo -- --data <folder>            another data directory than .demo/
 *   npm run demo -- --level process --runtime mock   where namespaces are impossible: not isolated
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs, styleText } from "node:util";
import { type Client, createClient, type LiveEvent } from "@x1agent/client";
import { type Evidence, formatUsd, type Job, type JobState, terminalStates } from "@x1agent/contract";
import { createLocalDriver } from "@x1agent/driver-local";
import { createSampleRepository, sampleIssue, sampleVerify } from "@x1agent/testkit";

const root = join(import.meta.dirname, "..");
const options = readOptions();
const home = resolve(options.data);
const notIsolated = options.level === "process";
const shownHome = relative(process.cwd(), home).startsWith("..") ? home : relative(process.cwd(), home) || ".";
const started = performance.now();

const dim = (text: string) => (process.stdout.isTTY && !process.env.NO_COLOR ? styleText("dim", text) : text);
const bold = (text: string) => (process.stdout.isTTY && !process.env.NO_COLOR ? styleText("bold", text) : text);
const elapsed = () => `${((performance.now() - started) / 1000).toFixed(1).padStart(5)}s`;
/** One line of progress; every line says so when nothing is isolated. */
const say = (text: string) => console.log(`${dim(elapsed())}  ${notIsolated ? "[not isolated] " : ""}${text}`);
const oneLine = (text: string, length = 100) => {
  const flat = [...text]
    .map((c) => (/[\p{C}]/u.test(c) ? " " : c))
    .join("")
    .replace(/\s+/g, " ")
    .trim();
  return flat.length > length ? `${flat.slice(0, length - 1)}…` : flat;
};

/** What was asked for; words that are no options are answered with those that are, and nothing is started. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        runtime: { type: "string", default: "pi" },
        yes: { type: "boolean", default: false },
        issue: { type: "string", default: "1" },
        level: { type: "string", default: "namespaces" },
        budget: { type: "string", default: "2.00" },
        data: { type: "string", default: join(root, ".demo") },
        "wrong-first": { type: "boolean", default: false },
      },
    });
    if (!["namespaces", "process"].includes(values.level)) throw new Error("--level takes namespaces or process.");
    return values;
  } catch (error) {
    const options = "--runtime <name>, --issue <1 to 3>, --budget <dollars>, --data <folder>, --level process, --yes";
    console.error(`${error instanceof Error ? error.message : error}\nThe demo takes: ${options}.`);
    process.exit(1);
  }
}

/** An expected end with a sentence for the person, instead of a stack trace. */
class Stop extends Error {}

const children: ChildProcess[] = [];
/** Starts a long-lived part and resolves with its first line of standard output. */
function startPart(
  name: string,
  argv: string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, argv, { cwd: root, env, stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let out = "";
    let err = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      out = (out + chunk).slice(-65_536);
      const end = out.indexOf("\n");
      if (end >= 0) resolve({ child, line: out.slice(0, end) });
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      err = (err + chunk).slice(-8_192);
    });
    child.once("exit", (code) => reject(new Stop(err.trim() || `${name} ended with code ${code}.`)));
  });
}

/** Ends what was started here, last first, and waits for it. */
async function stopParts(): Promise<void> {
  for (const child of children.reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.removeAllListeners("exit");
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await Promise.race([gone, ended]);
    clearTimeout(timer);
  }
}

async function startService(): Promise<Client> {
  const { line } = await startPart("The service", [
    join(root, "apps/api/src/main.ts"),
    "--data",
    home,
    "--port",
    "0",
    "--json",
  ]);
  const ready = JSON.parse(line) as { url: string };
  const token = (await readFile(join(home, "token"), "utf8")).trim();
  return createClient({ baseUrl: ready.url, token });
}

/** The sample's repository is made once; each run works on a fresh branch of the same commit. */
async function sampleRepository(): Promise<string> {
  const directory = join(home, "sample");
  if (!existsSync(join(directory, ".git"))) {
    await rm(directory, { recursive: true, force: true });
    await createSampleRepository(directory);
  }
  return directory;
}

/** Before anything is started: where no namespaces can be made, the one command that helps, and what works without. */
async function expectNamespaces(): Promise<void> {
  const { report, checks } = await createLocalDriver({ runDir: home, overlayDir: home }).probe();
  if (report) return;
  const failed = checks.filter((check) => !check.ok && check.fix);
  const missing = failed.find(({ name }) => name === "namespaces") ?? failed.at(-1);
  throw new Stop(
    `Namespaces are not possible here${missing ? `: ${missing.detail.trim()}\nRun: ${missing.fix}` : "."}\nWithout isolation, on the sample only: npm run demo -- --runtime mock --level process`,
  );
}

async function ensureRuntime(client: Client, name: string): Promise<void> {
  const { items } = await client.listRuntimes();
  const runtime = items.find(({ manifest }) => manifest.name === name);
  if (!runtime) throw new Stop(`The service has no runtime "${name}".`);
  if (runtime.installed) return;
  say(`installing ${runtime.manifest.title} ${runtime.manifest.version} (${runtime.manifest.license})`);
  let last = "";
  for await (const line of client.lines("installRuntime", { params: { name } })) {
    if (line.trim() && !line.startsWith("{")) say(dim(oneLine(line)));
    if (line.trim()) last = line;
  }
  const end = JSON.parse(last) as { ok: boolean; detail: string };
  if (!end.ok) throw new Stop(`${runtime.manifest.title} could not be installed: ${end.detail}`);
}

const payload = (event: LiveEvent): Record<string, unknown> => event.payload;

/** What one event says, or null for those a person need not see here. */
function describe(event: LiveEvent): string | null {
  const data = payload(event);
  switch (event.type) {
    case "job.state":
      return bold(`${data.to}`) + dim(` (${data.reason}${data.detail ? `: ${oneLine(String(data.detail), 80)}` : ""})`);
    case "phase.started":
      return `phase ${data.phase}${data.round ? dim(` round ${data.round}`) : ""}`;
    case "turn.started":
      return `turn ${data.turn}`;
    case "tool.started":
      return `  tool ${oneLine(String(data.title ?? data.kind ?? ""))}`;
    case "agent.text":
      return data.text ? `  ${options.runtime} says: ${oneLine(String(data.text))}` : null;
    case "model.call":
      return dim(`  model call ${data.model} ${formatUsd(Number(data.costMicros))}`);
    case "command.ended":
      return `  ${oneLine(String(data.command), 60)} → ${data.timedOut ? "timed out" : `exit ${data.exitCode}`} ${dim(`${(Number(data.durationMs) / 1000).toFixed(1)} s, network ${data.network}`)}`;
    case "egress.blocked":
      return `  blocked ${data.host}:${data.port}`;
    case "retry":
    case "error":
      return `  ${event.type}: ${oneLine(String(data.detail ?? ""))}`;
    case "evidence.collected":
      return `  collected ${data.files} file(s), +${data.insertions} −${data.deletions}`;
    default:
      return null;
  }
}

/** Follows the job until it waits for a person or has ended. */
async function follow(
  client: Client,
  jobId: string,
  until: readonly JobState[],
  after: number,
): Promise<{ job: Job; last: number }> {
  const stop = new AbortController();
  let last = after;
  for await (const event of client.events(jobId, { after, signal: stop.signal })) {
    if (event.seq !== null) last = event.seq;
    const text = describe(event);
    if (text) say(text);
    if (event.type === "job.state" && until.includes(payload(event).to as JobState)) break;
  }
  stop.abort();
  return { job: await client.getJob({ params: { jobId } }), last };
}

const counted = (verification: Evidence["record"]["verification"] | null) => {
  if (!verification?.verify) return "not run";
  const { counts } = verification;
  const how = verification.verify.exitCode === 0 ? "passed" : `failed (exit ${verification.verify.exitCode})`;
  return counts ? `${how}, ${counts.passed} pass ${counts.failed} fail` : how;
};

function report(
  job: Job,
  evidence: Evidence | undefined,
  client: Client,
  publication: { branch: string; commit: string; repository: string } | undefined,
): void {
  const rows: [string, string][] = [
    ["state", `${job.state} (${job.reason})`],
    ["runtime", `${job.runtime}, model ${job.model} played by the scripted model server: no provider was called`],
    ["isolation", notIsolated ? "none: process" : job.isolation],
    ["rounds", String(job.round)],
    [
      "cost",
      `${formatUsd(job.spentMicros)} of ${job.budgetMicros === null ? "no limit" : formatUsd(job.budgetMicros)} (metered by the sidecar, at list price)`,
    ],
  ];
  if (evidence) {
    rows.push(
      ["tests before", counted(evidence.record.baseline)],
      ["tests after", counted(evidence.record.verification)],
    );
    rows.push([
      "diff",
      `${evidence.record.files.length} file(s), +${evidence.record.insertions} −${evidence.record.deletions}: ${evidence.record.files.map(({ path }) => oneLine(path, 60)).join(", ")}`,
    ]);
    rows.push(["evidence", `x1 show ${job.id} --data ${shownHome}`], ["digest", evidence.approvalDigest ?? "none"]);
  }
  if (publication)
    rows.push(["published", `${publication.branch} at ${publication.commit}`], ["repository", publication.repository]);
  rows.push(["service", client.baseUrl]);
  console.log("");
  for (const [name, value] of rows)
    console.log(`${notIsolated ? "[not isolated] " : ""}${bold(name.padEnd(13))} ${value}`);
}

async function approve(client: Client, job: Job, evidence: Evidence): Promise<Job> {
  const diff = await client.jobDiff({ params: { jobId: job.id } });
  console.log(`\n${diff.split("\n").slice(0, 60).join("\n")}\n`);
  console.log(
    `tests before: ${counted(evidence.record.baseline)}\ntests after:  ${counted(evidence.record.verification)}`,
  );
  console.log(
    `Approving pushes commit ${evidence.record.commit.slice(0, 12)} to ${job.targetBranch} of ${oneLine(job.repository)}.\ndigest ${evidence.approvalDigest}`,
  );
  let answer = "y";
  if (!options.yes) {
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    // Ctrl-C and Ctrl-D reject; where there is no terminal and nothing more to read, nobody would ever answer.
    const nobody = new Promise<null>((resolve) => terminal.once("close", () => resolve(null)));
    const typed = await Promise.race([terminal.question("Approve and publish? [y/N] ").catch(() => null), nobody]);
    terminal.close();
    if (typed === null)
      throw new Stop(
        `Nothing was decided; the job waits. \`npm start -- --data ${shownHome}\` brings the service back, \`npx --no-install x1 approve ${job.id} --data ${shownHome}\` decides; scripts say --yes.`,
      );
    answer = typed;
  } else say("--yes: approved");
  if (evidence.approvalDigest === null) throw new Stop("There is nothing to approve: the evidence has no digest.");
  const decision = /^y(es)?$/i.test(answer.trim()) ? "approve" : "reject";
  return client.decide({ params: { jobId: job.id }, body: { decision, digest: evidence.approvalDigest } });
}

/** What was typed, before anything is started for it. */
async function checkOptions(): Promise<{ issue: 1 | 2 | 3; budgetMicros: number }> {
  const runtimes = (await readdir(join(root, "runtimes"))).sort();
  if (!runtimes.includes(options.runtime))
    throw new Stop(`No runtime "${options.runtime}". There are: ${runtimes.join(", ")}.`);
  const issue = Number(options.issue);
  if (issue !== 1 && issue !== 2 && issue !== 3) throw new Stop("--issue takes 1, 2 or 3.");
  const budgetMicros = Math.round(Number(options.budget) * 1_000_000);
  if (!Number.isSafeInteger(budgetMicros) || budgetMicros <= 0)
    throw new Stop("--budget takes an amount in dollars, such as 2.00.");
  return { issue, budgetMicros };
}

async function main(): Promise<number> {
  console.log(
    bold("x1agent demo") +
      "  The model is played by a scripted server on this machine: no provider is called, no key is needed.",
  );
  if (process.platform !== "linux")
    throw new Stop(
      "The demo needs Linux: the local driver isolates with namespaces. A container driver for macOS and Windows comes later.",
    );
  const { issue, budgetMicros } = await checkOptions();
  if (!notIsolated) await expectNamespaces();
  await mkdir(home, { recursive: true, mode: 0o700 });
  // The key is made up for this run; that it never appears inside the workspace is part of what the product is for.
  const key = `sk-demo-${randomBytes(12).toString("hex")}`;
  const model = startPart("The scripted model server", [
    join(root, "packages/testkit/src/model-server-main.ts"),
    "--key-stdin",
    ...(options["wrong-first"] ? ["--wrong-first"] : []),
  ]);
  children[0]?.stdin?.write(`${key}\n`);
  const [client, { line }] = await Promise.all([startService(), model]);
  const modelUrl = (JSON.parse(line) as { url: string }).url;
  say(`service ready at ${client.baseUrl}`);
  await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: modelUrl, allowPrivate: true } });
  await client.setSecret({ params: { name: "anthropic" }, body: { value: key } });
  await ensureRuntime(client, options.runtime);

  const repository = await sampleRepository();
  const goal = await sampleIssue(issue);
  const job = await client.createJob({
    body: {
      repository,
      goal,
      runtime: options.runtime,
      verify: sampleVerify,
      budgetMicros,
      ...(notIsolated ? { isolation: "process" as const } : {}),
    },
  });
  say(`job ${job.id}: ${oneLine(job.title, 80)}`);

  const ends: readonly JobState[] = [...terminalStates, "awaiting_approval"];
  let { job: current, last } = await follow(client, job.id, ends, 0);
  const latestEvidence = async () => (await client.listEvidence({ params: { jobId: job.id } })).items[0];
  if (current.state === "awaiting_approval") {
    const evidence = await latestEvidence();
    if (!evidence) throw new Error("A job awaits approval without evidence.");
    await approve(client, current, evidence);
    ({ job: current, last } = await follow(client, job.id, terminalStates, last));
  }
  const publication = (await client.listPublications({ params: { jobId: job.id } })).items[0];
  report(current, await latestEvidence(), client, publication);
  if (!options.yes && process.stdin.isTTY) {
    console.log(
      `\nThe service runs until you press Ctrl-C. In another terminal: npx --no-install x1 show ${job.id} --data ${shownHome}`,
    );
    await new Promise<void>((resolve) => process.once("SIGINT", () => resolve()));
  } else console.log(dim(`\nThe service has ended; npm start -- --data ${shownHome} brings it back.`));
  return current.state === "succeeded" ? 0 : 1;
}

process.once("SIGTERM", () => void stopParts().then(() => process.exit(143)));
let code = 1;
try {
  code = await main();
} catch (error) {
  console.error(error instanceof Stop ? `\n${error.message}` : error);
}
await stopParts();
process.exit(code);
