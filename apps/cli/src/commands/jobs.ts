import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { formatUsd, IsolationLevel, isTerminal, type Job, JobState } from "@x1agent/contract";
import { type Command, InvalidArgumentError } from "commander";
import { attach } from "../attach.ts";
import { contextOf } from "../context.ts";
import { UsageError } from "../exit.ts";
import type { SetExit } from "../program.ts";
import { forgeFacts, jobFacts, stateText, table, visibleLine } from "../render/index.ts";
import { parseIssue } from "./github.ts";
import { count, jobIdOf, usd } from "./options.ts";
import { contentOptions, contentSettings, forgeOptions, forgeSettings, projectFacts } from "./project-options.ts";

const state = (text: string): JobState => {
  const parsed = JobState.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`One of: ${JobState.options.join(", ")}.`);
  return parsed.data;
};

const isolation = (text: string): string => {
  const parsed = IsolationLevel.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`One of: ${IsolationLevel.options.join(", ")}.`);
  return parsed.data;
};

/** Longest goal, in bytes, as the contract allows. */
const MAX_GOAL = 1_048_576;

/** A path is made absolute here, where the shell's folder is known; an address is passed as it is. */
export function repositoryArgument(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || /^[\w.-]+@[\w.-]+:/.test(text)) return text;
  return existsSync(text) ? resolve(text) : text;
}

/** `run`, `jobs`, `show`, `attach`, `events`, `answer`, `cancel`, `retry`, `projects`. */
export function addJobCommands(program: Command, setExit: SetExit): void {
  program
    .command("run")
    .description("state a goal for a repository; the job is queued")
    .option("--repo <path or git URL>", "the repository")
    .option("--goal <text>", "what shall be reached ('-': from standard input); with --issue what you add to its words")
    .option("--issue <owner/repo#n>", "an issue of a connected forge, in place of --repo")
    .option("--again", "although a job works on that issue, or has a pull request open")
    .option("--title <text>")
    .option("--runtime <name>", "agent CLI to use")
    .option("--model <id>")
    .option("--base <branch or commit>")
    .option("--setup <command>", "run before the agent, with package registries allowed")
    .option("--verify <command>", "decides whether the change is good; runs without network")
    .option("--budget <dollars>", "limit for the job", usd)
    .option("--rounds <n>", "turns that may follow a failed verification", count)
    .option("--isolation <level>", "namespaces, container or vm; process only for the bundled sample", isolation)
    .option("--ask", "send the agent's questions out instead of running tools at once")
    .option("--wait", "follow it until it ends or waits for a person")
    .action(async (options, command: Command) => {
      const context = contextOf(command);
      const goal = options.goal === "-" ? await standardInput() : ((options.goal as string | undefined) ?? "");
      if (options.issue !== undefined) {
        if (options.repo !== undefined || options.title !== undefined)
          throw new UsageError("--issue names the repository and the title: leave --repo and --title out.");
        const { runtime, model, base, setup, verify, isolation: level } = options;
        const job = await context.client.createIssueJob({
          idempotencyKey: randomUUID(),
          body: {
            ...parseIssue(options.issue as string),
            ...(Object.fromEntries(
              Object.entries({ runtime, model, base, setup, verify, isolation: level }).filter(
                ([, value]) => value !== undefined,
              ),
            ) as object),
            ...{ again: Boolean(options.again), ask: Boolean(options.ask) },
            ...(goal.trim() ? { goal } : {}),
            ...(options.budget === undefined ? {} : { budgetMicros: options.budget as number }),
            ...(options.rounds === undefined ? {} : { maxRounds: options.rounds as number }),
          },
        });
        if (!options.wait) return context.print(job, queued(job));
        context.say(`${job.id} is queued`);
        return setExit(await attach(context, job.id, { interactive: false }));
      }
      if (options.repo === undefined || options.goal === undefined)
        throw new UsageError("Say --repo and --goal, or --issue owner/repo#12.");
      if (options.again) throw new UsageError("--again goes with --issue.");
      if (!goal.trim()) throw new UsageError("The goal is empty: say with --goal what shall be reached.");
      if (Buffer.byteLength(goal) > MAX_GOAL) throw new UsageError("A goal has at most 1 MB of text.");
      if (!options.repo.trim()) throw new UsageError("--repo is empty: name a path or a git URL.");
      const { title, runtime, model, base, setup, verify, isolation: level } = options;
      const given = Object.fromEntries(
        Object.entries({ title, runtime, model, base, setup, verify, isolation: level }).filter(
          ([, value]) => value !== undefined,
        ),
      );
      const job = await context.client.createJob({
        idempotencyKey: randomUUID(),
        body: {
          ...given,
          repository: repositoryArgument(options.repo),
          goal,
          ask: Boolean(options.ask),
          ...(options.budget === undefined ? {} : { budgetMicros: options.budget as number }),
          ...(options.rounds === undefined ? {} : { maxRounds: options.rounds as number }),
        },
      });
      if (!options.wait) {
        context.print(job, queued(job));
        return;
      }
      context.say(`${job.id} is queued`);
      setExit(await attach(context, job.id, { interactive: false }));
    });

  program
    .command("jobs")
    .description("jobs, newest first")
    .option("--state <state>", "only in this state", state)
    .option("--project <id>")
    .option("--limit <n>", "how many", count, 50)
    .action(async (options, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listJobs({
        query: {
          limit: options.limit,
          ...(options.state ? { state: options.state } : {}),
          ...(options.project ? { projectId: options.project } : {}),
        },
      });
      context.print(items, () =>
        items.length === 0
          ? 'No jobs. `x1 run --repo . --goal "..."` makes one.'
          : table(
              [
                ["ID", "STATE", "COST", "RUNTIME", "TITLE"],
                ...items.map((job) => [
                  job.id,
                  job.state,
                  formatUsd(job.spentMicros),
                  job.runtime,
                  visibleLine(job.title, 60),
                ]),
              ],
              context.style,
            ),
      );
    });

  program
    .command("show [job]")
    .description("one job with its attempts and what can be done now (default: the newest)")
    .action(async (given: string | undefined, _, command: Command) => {
      const context = contextOf(command);
      const job = await context.client.getJob({ params: { jobId: await jobIdOf(context.client, given) } });
      context.print(job, () => {
        const attempts = job.attempts.map(
          (a) =>
            `  attempt ${a.number}: ${a.state}${a.outcome ? ` ${visibleLine(a.outcome)} (${visibleLine(a.reason ?? "")})` : ""}`,
        );
        return [
          jobFacts(job, context.style),
          forgeFacts(job, context.style),
          ...attempts,
          context.style.quiet(nextStep(job.state, job.id)),
        ]
          .filter(Boolean)
          .join("\n");
      });
    });

  program
    .command("attach [job]")
    .description("live events; type to send a message, Ctrl-C offers interrupt or detach")
    .option("--after <n>", "start after this event", count)
    .action(async (given: string | undefined, options, command: Command) => {
      const context = contextOf(command);
      const jobId = await jobIdOf(context.client, given);
      setExit(
        await attach(context, jobId, {
          interactive: true,
          ...(options.after === undefined ? {} : { after: options.after }),
        }),
      );
    });

  program
    .command("events [job]")
    .description("stored events as JSON lines")
    .option("--after <n>", "start after this event", count, 0)
    .option("--follow", "go on live until Ctrl-C")
    .action(async (given: string | undefined, options, command: Command) => {
      const { client } = contextOf(command);
      const jobId = await jobIdOf(client, given);
      let after = options.after as number;
      for (;;) {
        const page = await client.listEvents({ params: { jobId }, query: { after, limit: 1_000 } });
        for (const event of page.items) {
          after = event.seq;
          process.stdout.write(`${JSON.stringify(event)}\n`);
        }
        if (page.cursor === null || page.items.length === 0) break;
      }
      if (options.follow)
        for await (const event of client.events(jobId, { after })) process.stdout.write(`${JSON.stringify(event)}\n`);
    });

  program
    .command("message <job> <text>")
    .description("send a message to the running session")
    .option("--steer", "let it change the running turn")
    .option("--interrupt", "stop the running turn first")
    .action(async (jobId: string, content: string, options, command: Command) => {
      const context = contextOf(command);
      const mode = options.interrupt ? "interrupt" : options.steer ? "steer" : "queue";
      const result = await context.client.injectMessage({
        params: { jobId },
        body: { id: randomUUID(), content, mode },
      });
      context.print(result, "sent");
    });

  program
    .command("answer <job> [option]")
    .description("answer the open question by an option, or with --text")
    .option("--request <id>", "which question, when several are open")
    .option("--text <answer>", "free text")
    .action(async (jobId: string, option: string | undefined, options, command: Command) => {
      const context = contextOf(command);
      const job = await context.client.getJob({ params: { jobId } });
      const open = job.openQuestions.filter((q) => !options.request || q.requestId === options.request);
      const [question, another] = open;
      if (!question) throw new UsageError("No such open question; `x1 show` lists them.");
      if (another)
        throw new UsageError(
          `Several questions are open: name one with --request (${open.map((q) => visibleLine(q.requestId)).join(", ")}).`,
        );
      if (option === undefined && options.text === undefined)
        throw new UsageError(
          `Name an option: ${question.options.map((o) => visibleLine(o.optionId)).join(", ")}${question.freeText ? ", or --text" : ""}.`,
        );
      const result = await context.client.answerQuestion({
        params: { jobId },
        body: {
          requestId: question.requestId,
          ...(option === undefined ? {} : { optionId: option }),
          ...(options.text === undefined ? {} : { text: options.text }),
        },
      });
      context.print(result, "answered");
    });

  program
    .command("interrupt <job>")
    .description("interrupt the running turn")
    .action(async (jobId: string, _, command: Command) => {
      const context = contextOf(command);
      context.print(await context.client.interruptJob({ params: { jobId } }), "interrupted");
    });

  program
    .command("cancel <job>")
    .description("end a job; work that was collected stays as evidence")
    .action(async (jobId: string, _, command: Command) => {
      const context = contextOf(command);
      const job = await context.client.cancelJob({ params: { jobId } });
      context.print(job, () => stateText(job, context.style));
    });

  program
    .command("retry <job>")
    .description("another attempt under the same job")
    .option("--runtime <name>")
    .option("--model <id>")
    .option("--budget <dollars>", "new limit of the job", usd)
    .option("--wait", "follow it until it ends or waits for a person")
    .action(async (jobId: string, options, command: Command) => {
      const context = contextOf(command);
      const before = await context.client.listEvents({ params: { jobId }, query: { limit: 1 } });
      const job = await context.client.retryJob({
        params: { jobId },
        idempotencyKey: randomUUID(),
        body: {
          ...(options.runtime ? { runtime: options.runtime } : {}),
          ...(options.model ? { model: options.model } : {}),
          ...(options.budget === undefined ? {} : { budgetMicros: options.budget as number }),
        },
      });
      if (!options.wait || isTerminal(job.state) || !before) context.print(job, () => stateText(job, context.style));
      else setExit(await attach(context, jobId, { interactive: false, fromNow: true }));
    });

  const projects = program
    .command("projects")
    .description("repositories with their commands and policies")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listProjects({ query: { limit: 200 } });
      context.print(items, () =>
        table(
          [
            ["ID", "NAME", "SET-UP", "VERIFY", "REPOSITORY"],
            ...items.map((p) => [
              p.id,
              visibleLine(p.name, 30),
              visibleLine(p.setup ?? "–", 30),
              visibleLine(p.verify ?? "–", 30),
              visibleLine(p.repository),
            ]),
          ],
          context.style,
        ),
      );
    });
  projects
    .command("show <project>")
    .description("one project with its settings")
    .action(async (projectId: string, _, command: Command) => {
      const context = contextOf(command);
      const project = await context.client.getProject({ params: { projectId } });
      context.print(project, () => projectFacts(project, context.style));
    });
  const projectOptions = (command: Command) =>
    contentOptions(forgeOptions(command))
      .option("--name <text>")
      .option("--setup <command>")
      .option("--verify <command>")
      .option("--runtime <name>")
      .option("--model <id>")
      .option("--branch <name>", "default branch")
      .option("--rounds <n>", "turns that may follow a failed verification", count)
      .option("--verify-network", "let the verify command reach the network")
      .option("--isolation <level>", "least isolation", isolation);
  const projectBody = (options: Record<string, unknown>) => {
    const { name, setup, verify, runtime, model, branch, rounds, verifyNetwork, isolation: level } = options;
    const all = {
      name,
      setup,
      verify,
      runtime,
      model,
      defaultBranch: branch,
      maxRounds: rounds,
      verifyNetwork,
      minIsolation: level,
    };
    return {
      ...Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
      ...forgeSettings(options),
      ...contentSettings(options),
    };
  };
  projectOptions(projects.command("create <repository>").description("make one")).action(
    async (repository: string, options, command: Command) => {
      const context = contextOf(command);
      const project = await context.client.createProject({
        idempotencyKey: randomUUID(),
        body: { repository: repositoryArgument(repository), ...projectBody(options) },
      });
      context.print(project, `${project.id} ${visibleLine(project.name)}`);
    },
  );
  projectOptions(
    projects.command("set <project>").description("change one; running jobs keep what they started with"),
  ).action(async (projectId: string, options, command: Command) => {
    const context = contextOf(command);
    const project = await context.client.updateProject({ params: { projectId }, body: projectBody(options) });
    context.print(project, `${project.id} ${visibleLine(project.name)} is changed`);
  });

  program
    .command("whoami")
    .description("who the token belongs to")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const me = await context.client.me();
      context.print(
        me,
        `${visibleLine(`${me.actor.kind}:${me.actor.id}`)}, ${visibleLine(me.role)} of ${visibleLine(me.organization)} (${me.scopes.join(", ")})`,
      );
    });
}

const queued = ({ id, trust }: Pick<Job, "id" | "trust">): string =>
  `${id} is queued. Follow it: x1 attach ${id}${trust === "outside" ? "\nIt carries words of somebody without write access: a person approves it, whatever the policy is." : ""}`;

function nextStep(now: JobState, id: string): string {
  if (now === "awaiting_approval") return `Next: x1 approve ${id} (shows the evidence first), or x1 diff ${id}`;
  if (now === "awaiting_input") return `Next: x1 answer ${id} <option>`;
  if (now === "succeeded") return "";
  return isTerminal(now) ? `Next: x1 retry ${id}` : `Next: x1 attach ${id}`;
}

async function standardInput(): Promise<string> {
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin) {
    text += chunk;
    if (text.length > MAX_GOAL) throw new UsageError("A goal has at most 1 MB of text.");
  }
  return text;
}
