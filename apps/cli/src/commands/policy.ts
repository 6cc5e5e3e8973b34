import { randomUUID } from "node:crypto";
import { type Budget, formatUsd, type Grant, GrantType, grantTypes } from "@x1agent/contract";
import { type Command, InvalidArgumentError } from "commander";
import { type Context, contextOf } from "../context.ts";
import { UsageError } from "../exit.ts";
import type { SetExit } from "../program.ts";
import { table, visibleLine } from "../render/index.ts";
import { usd } from "./options.ts";

type SubjectKind = "organization" | "project" | "job";
type Where = { project?: string; job?: string };
const phases = ["setup", "agent", "verify"] as const;

const subjectOptions = (command: Command): Command =>
  command
    .option("--project <id>", "for this project")
    .option("--job <id>", "for this job only (default: the organization)");

async function subjectOf(context: Context, where: Where): Promise<{ kind: SubjectKind; id: string }> {
  if (where.project && where.job) throw new UsageError("Name a project or a job, not both.");
  if (where.project) return { kind: "project", id: where.project };
  if (where.job) return { kind: "job", id: where.job };
  return { kind: "organization", id: (await context.client.me()).organizationId };
}

const collectPort = (text: string, before: number[]): number[] => {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value < 1 || value > 65_535) throw new InvalidArgumentError("A port is 1 to 65535.");
  return [...before, value];
};
const collectPhase = (text: string, before: string[]): string[] => {
  if (!(phases as readonly string[]).includes(text)) throw new InvalidArgumentError(`One of: ${phases.join(", ")}.`);
  return [...before, text];
};

/** Splits `ai.anthropic:claude-sonnet-*` into type and pattern. */
export function parseGrant(text: string): { type: GrantType; pattern: string } {
  const [name = "", ...rest] = text.split(":");
  const type = GrantType.safeParse(name);
  if (!type.success) throw new UsageError(`"${name}" is no type of grant. There are: ${grantTypes.join(", ")}.`);
  return { type: type.data, pattern: rest.join(":") || "*" };
}

/** `grants`, `grant`, `revoke`, `egress`, `budget`: what may be done, and for how much. */
export function addPolicyCommands(program: Command, _setExit: SetExit): void {
  program
    .command("grants")
    .description("the permission ledger")
    .option("--all", "revoked and used ones too")
    .option("--subject <id>", "only those of an organization, project or job")
    .action(async (options, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listGrants({
        query: { all: options.all ? "true" : "false", ...(options.subject ? { subject: options.subject } : {}) },
      });
      context.print(items, () => grantTable(items, context));
    });

  subjectOptions(program.command("grant <type:pattern>").description("grant, for example ai.anthropic:claude-sonnet-*"))
    .option("--once", "used up by the first use")
    .option("--phase <phase>", "setup, agent or verify; may be repeated (default: every phase)", collectPhase, [])
    .option("--address <cidr>", "range that a host or registry may resolve to when that is private or reserved")
    .option("--repository <owner/name>", "the one repository that a grant of type repo.push or forge is for")
    .option("--force", "a grant of type repo.push moves and rewrites branches that the workspace did not make, too")
    .option("--reason <text>")
    .action(async (text: string, options, command: Command) => {
      const context = contextOf(command);
      const { type, pattern } = parseGrant(text);
      if (options.force && type !== "repo.push") throw new UsageError("--force is for grants of type repo.push.");
      if (options.repository && type !== "repo.push" && type !== "forge")
        throw new UsageError("--repository is for grants of type repo.push and forge.");
      if (type !== "egress" && type !== "registry" && (options.phase.length || options.address))
        throw new UsageError("--phase and --address are for grants of type egress and registry.");
      const grant = await context.client.createGrant({
        idempotencyKey: randomUUID(),
        body: {
          subject: await subjectOf(context, options),
          type,
          details: {
            pattern,
            ...(options.phase.length ? { phases: options.phase as (typeof phases)[number][] } : {}),
            ...(options.address ? { address: options.address as string } : {}),
            ...(options.repository ? { repository: options.repository as string } : {}),
            ...(options.force ? { force: true } : {}),
          },
          scope: options.once ? "once" : "persistent",
          ...(options.reason ? { reason: options.reason } : {}),
        },
      });
      context.print(
        grant,
        `${grant.id} ${grant.type}:${visibleLine(grant.details.pattern)} for ${grant.subject.kind} ${grant.subject.id}`,
      );
    });

  program
    .command("revoke <grant>")
    .description("take a grant back; running jobs lose it at once")
    .action(async (grantId: string, _, command: Command) => {
      const context = contextOf(command);
      const grant = await context.client.revokeGrant({ params: { grantId } });
      context.print(grant, `${grant.id} is revoked`);
    });

  const egress = program
    .command("egress")
    .description("hosts that may be reached, and in which phase")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const items = (await context.client.listGrants({})).items.filter((grant) => grant.type === "egress");
      context.print(items, () => grantTable(items, context));
    });
  subjectOptions(egress.command("allow <host>").description("open a host (a pattern such as *.example.org)"))
    .option("--address <cidr>", "range it may resolve to when that is private or reserved")
    .option("--port <port>", "default 80 and 443; may be repeated", collectPort, [])
    .option("--phase <phase>", "setup, agent or verify; may be repeated (default: setup and agent)", collectPhase, [])
    .option("--reason <text>")
    .action(async (host: string, options, command: Command) => {
      const context = contextOf(command);
      const chosen = options.phase as (typeof phases)[number][];
      const grant = await context.client.createGrant({
        idempotencyKey: randomUUID(),
        body: {
          subject: await subjectOf(context, options),
          type: "egress",
          details: {
            pattern: host.toLowerCase(),
            phases: chosen.length ? chosen : ["setup", "agent"],
            ...(options.port.length ? { ports: options.port as number[] } : {}),
            ...(options.address ? { address: options.address } : {}),
          },
          ...(options.reason ? { reason: options.reason } : {}),
        },
      });
      context.print(
        grant,
        `${grant.id} ${visibleLine(host)} is open in ${grant.details.phases?.join(", ") ?? "every phase"}`,
      );
    });

  const budget = program
    .command("budget")
    .description("limits and what is spent")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listBudgets();
      context.print(items, () => budgetTable(items, context));
    });
  subjectOptions(budget.command("set").argument("<dollars>", "the limit", usd).description("set a limit"))
    .option("--window <window>", "day, week, month or total", "month")
    .action(async (limitMicros: number, options, command: Command) => {
      const context = contextOf(command);
      const windows = ["day", "week", "month", "total"] as const;
      const window = windows.find((name) => name === options.window);
      if (!window) throw new UsageError(`A window is one of: ${windows.join(", ")}.`);
      const set = await context.client.setBudget({
        body: { scope: await subjectOf(context, options), window, limitMicros },
      });
      context.print(set, () => budgetTable([set], context));
    });
}

function grantTable(items: readonly Grant[], { style }: Context): string {
  if (items.length === 0) return "No grants.";
  return table(
    [
      ["ID", "TYPE", "PATTERN", "FOR", "STATE", "DETAILS"],
      ...items.map((g) => [
        g.id,
        g.type,
        visibleLine(g.details.pattern),
        `${g.subject.kind} ${g.subject.id}`,
        g.revokedAt ? "revoked" : g.consumedAt ? "used" : g.scope,
        visibleLine(
          [
            g.details.repository ? `of ${g.details.repository}` : "",
            g.details.force ? "force" : "",
            g.details.phases ? `in ${g.details.phases.join("+")}` : "",
            g.details.ports ? `ports ${g.details.ports.join(",")}` : "",
            g.details.address ? `at ${g.details.address}` : "",
            g.reason,
          ]
            .filter(Boolean)
            .join("; "),
        ),
      ]),
    ],
    style,
  );
}

function budgetTable(items: readonly Budget[], { style }: Context): string {
  if (items.length === 0) return "No budgets. `x1 budget set 50 --window month` sets one.";
  return table(
    [
      ["SCOPE", "WINDOW", "LIMIT", "SPENT", "HELD"],
      ...items.map((b) => [
        `${b.scope.kind} ${b.scope.id}`,
        b.window,
        formatUsd(b.limitMicros),
        formatUsd(b.spentMicros),
        formatUsd(b.reservedMicros),
      ]),
    ],
    style,
  );
}
