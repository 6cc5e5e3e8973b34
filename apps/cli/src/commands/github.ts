import { setTimeout as sleep } from "node:timers/promises";
import type { ForgeConnection, ForgeIssue, ForgeRepository } from "@x1agent/contract";
import type { Command } from "commander";
import { type Context, contextOf, readSecret } from "../context.ts";
import { exitCodes, UsageError } from "../exit.ts";
import type { SetExit } from "../program.ts";
import { table, visibleLine } from "../render/index.ts";
import { count } from "./options.ts";

/** How long the browser's way to the forge and back is waited for; the address is good as long. */
const CONNECT_MS = 3_600_000;

/** `owner/repo#n` taken apart. */
export function parseIssue(text: string): { repository: string; number: number } {
  const [, repository, number] = /^([\w.-]+\/[\w.-]+)#(\d{1,9})$/.exec(text.trim()) ?? [];
  if (!repository || !number) throw new UsageError(`"${text}" names no issue: write owner/repo#12.`);
  return { repository, number: Number(number) };
}

/** `github`: connections, repositories and issues. */
export function addGithubCommands(program: Command, setExit: SetExit): void {
  const github = program
    .command("github")
    .description("connections to GitHub")
    .option("--all", "removed ones too")
    .action(async (options, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listForgeConnections({ query: { all: options.all ? "true" : "false" } });
      context.print(items, () => connectionTable(items, context));
    });

  github
    .command("connect")
    .description("register a GitHub App of your own in the browser, or store one person's token")
    .option("--base-url <url>", "a GitHub Enterprise Server (default https://github.com)")
    .option("--token-stdin", "a fine-grained token from standard input, or asked for")
    .option("--org <login>", "organization that will own the app (default: whoever is signed in there)")
    .option("--name <text>", "name of the app, at most 34 characters")
    .option("--url <url>", "address of this service as your browser reaches it")
    .option("--webhooks", "GitHub reaches that address too and sends webhooks there")
    .option("--no-wait", "print the address and end")
    .action(async (options, command: Command) => {
      const context = contextOf(command);
      const base = options.baseUrl ? { baseUrl: options.baseUrl as string } : {};
      if (options.tokenStdin) {
        if (options.org || options.name || options.webhooks)
          throw new UsageError("--org, --name and --webhooks are for an app, not for a token.");
        const token = (await readSecret("Token")).trim();
        if (!token) throw new UsageError("The token is empty.");
        const made = await context.client.createForgeConnection({ body: { forge: "github", ...base, token } });
        context.print(made, () => connected(made));
        return;
      }
      const before = new Set((await listAll(context)).map(({ id, checkedAt }) => `${id} ${checkedAt}`));
      const started = await context.client.startForgeApp({
        body: {
          ...{ forge: "github", ...base, webhooks: Boolean(options.webhooks) },
          ...(options.org ? { organization: options.org as string } : {}),
          ...(options.name ? { name: options.name as string } : {}),
          ...(options.url ? { url: options.url as string } : {}),
        },
      });
      if (!options.wait) {
        context.print(started, `Open this address within an hour: ${started.url}`);
        return;
      }
      context.say(`Open this address in your browser, and come back here:\n  ${started.url}`);
      for (const end = Date.now() + CONNECT_MS; Date.now() < end; ) {
        await sleep(2_000);
        const fresh = (await listAll(context)).find(
          ({ id, checkedAt, kind }) => kind === "app" && !before.has(`${id} ${checkedAt}`),
        );
        if (!fresh) continue;
        context.print(fresh, () => connected(fresh));
        return;
      }
      context.say("Nothing was connected within an hour.");
      setExit(exitCodes.failed.code);
    });

  github
    .command("check [connection]")
    .description("ask GitHub what the connections are and may do now (default: all)")
    .action(async (given: string | undefined, _, command: Command) => {
      const context = contextOf(command);
      const all = given === undefined ? (await listAll(context)).map(({ id }) => id) : [given];
      const checked: ForgeConnection[] = [];
      for (const connectionId of all)
        checked.push(await context.client.checkForgeConnection({ params: { connectionId } }));
      context.print(checked, () => connectionTable(checked, context));
      if (checked.some(({ state }) => state !== "active")) setExit(exitCodes.failed.code);
    });

  github
    .command("remove <connection>")
    .description("stop using a connection; a token is forgotten here, an app stays installed at GitHub")
    .action(async (connectionId: string, _, command: Command) => {
      const context = contextOf(command);
      await context.client.removeForgeConnection({ params: { connectionId } });
      context.print({ id: connectionId }, `${connectionId} is removed`);
    });

  github
    .command("repos [text]")
    .description("repositories that the connections reach, or those with the text in their name")
    .option("--connection <id>")
    .option("--limit <n>", "how many of each connection", count, 100)
    .action(async (text: string | undefined, options, command: Command) => {
      const context = contextOf(command);
      const ids = options.connection
        ? [options.connection as string]
        : (await listAll(context)).filter(({ state }) => state === "active").map(({ id }) => id);
      if (ids.length === 0) throw new UsageError("No connection is in use: `x1 github connect` makes one.");
      const found: ForgeRepository[] = [];
      for (const connectionId of ids) {
        let cursor: string | null = "";
        for (let left = options.limit as number; left > 0 && cursor !== null; ) {
          const page: Awaited<ReturnType<typeof context.client.listForgeRepositories>> =
            await context.client.listForgeRepositories({
              params: { connectionId },
              query: { limit: Math.min(left, 100), ...(text ? { q: text } : {}), ...(cursor ? { cursor } : {}) },
            });
          found.push(...page.items.slice(0, left));
          left -= page.items.length;
          cursor = page.cursor;
        }
      }
      context.print(found, () =>
        table(
          [
            ["REPOSITORY", "BRANCH", "VISIBILITY", "PUSH", "CONNECTION"],
            ...found.map((one) => [
              visibleLine(one.fullName),
              visibleLine(one.defaultBranch, 30),
              one.archived ? "archived" : one.visibility,
              one.mayPush ? "yes" : "no",
              one.connectionId,
            ]),
          ],
          context.style,
        ),
      );
    });

  github
    .command("issues <repository>")
    .description("issues of owner/repo, newest first")
    .option("--connection <id>")
    .option("--search <text>")
    .option(
      "--label <name>",
      "may be repeated: an issue has all of them",
      (one, before: string[]) => [...before, one],
      [],
    )
    .option("--closed", "closed ones too")
    .option("--limit <n>", "how many", count, 30)
    .action(async (repository: string, options, command: Command) => {
      const context = contextOf(command);
      const found: ForgeIssue[] = [];
      let cursor: string | null = "";
      for (let left = options.limit as number; left > 0 && cursor !== null; ) {
        const page: Awaited<ReturnType<typeof context.client.listIssues>> = await context.client.listIssues({
          query: {
            ...{ repository, limit: Math.min(left, 100), state: options.closed ? "all" : "open" },
            ...(options.connection ? { connectionId: options.connection as string } : {}),
            ...(options.search ? { q: options.search as string } : {}),
            ...(options.label.length ? { labels: (options.label as string[]).join(",") } : {}),
            ...(cursor ? { cursor } : {}),
          },
        });
        found.push(...page.items.slice(0, left));
        left -= page.items.length;
        cursor = page.cursor;
      }
      context.print(found, () =>
        table(
          [
            ["NUMBER", "STATE", "AUTHOR", "LABELS", "TITLE"],
            ...found.map((one) => [
              `#${one.number}`,
              one.state,
              visibleLine(one.author, 20),
              visibleLine(one.labels.join(" "), 30),
              visibleLine(one.title, 60),
            ]),
          ],
          context.style,
        ),
      );
    });
}

const listAll = async (context: Context): Promise<ForgeConnection[]> =>
  (await context.client.listForgeConnections({ query: {} })).items;

const connected = (made: ForgeConnection): string =>
  [
    `${made.id} ${made.state === "active" ? "is connected" : `is ${made.state}`}: ${visibleLine(made.account)} at ${visibleLine(made.baseUrl)}, as ${visibleLine(made.actsAs)}`,
    ...made.missing.map((one) => `  ${visibleLine(one)}`),
  ].join("\n");

function connectionTable(items: readonly ForgeConnection[], context: Context): string {
  if (items.length === 0) return "No connection. `x1 github connect` makes one.";
  return [
    table(
      [
        ["ID", "STATE", "KIND", "ACCOUNT", "ACTS AS", "LIMIT LEFT", "FORGE"],
        ...items.map((one) => [
          one.id,
          one.state,
          one.kind,
          visibleLine(one.account, 30),
          visibleLine(one.actsAs, 30),
          one.limits ? `${one.limits.remaining} of ${one.limits.limit}` : "–",
          visibleLine(one.baseUrl),
        ]),
      ],
      context.style,
    ),
    ...items.flatMap((one) =>
      [...(one.detail ? [one.detail] : []), ...one.missing].map((why) => `${one.id}: ${visibleLine(why)}`),
    ),
  ].join("\n");
}
