import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, createReadStream } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { AuditEntry, auditStart, auditText, type MemberRole, memberRoles, type RouteResponse } from "@x1agent/contract";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Context, contextOf, readSecret } from "../context.ts";
import { exitCodes, UsageError } from "../exit.ts";
import type { SetExit } from "../program.ts";
import { table, visible, visibleLine } from "../render/index.ts";
import { days } from "./options.ts";

const port = (text: string): number => {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535) throw new InvalidArgumentError("A port is a number up to 65535.");
  return value;
};
const collect = (value: string, before: string[]): string[] => [...before, value];

const tokenScopes = ["read", "write", "approve", "admin"] as const;
const collectScope = (text: string, before: string[]): string[] => {
  if (!(tokenScopes as readonly string[]).includes(text))
    throw new InvalidArgumentError(`One of: ${tokenScopes.join(", ")}.`);
  return [...before, text];
};

/** A price as an option takes it. */
const usdPerMTok = (option: string) => (text: string) => {
  const usd = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || usd > 100_000)
    throw new UsageError(`${option} takes USD per million tokens, such as 0.25, not "${text}".`);
  return usd;
};

/** Says each line of progress; gives the last one, which is the result. */
async function followed(
  context: Context,
  route: "installRuntime" | "testRuntime",
  name: string,
): Promise<{ ok: boolean; detail: string }> {
  let last = "";
  for await (const line of context.client.lines(route, { params: { name } })) {
    if (line.trim()) last = line;
    if (line.trim() && !line.startsWith("{")) context.say(visibleLine(line));
  }
  return JSON.parse(last) as { ok: boolean; detail: string };
}

/** `up`, `doctor`, `runtimes`, `providers`, `secrets`, `audit`: the installation itself. */
export function addServiceCommands(program: Command, setExit: SetExit): void {
  program
    .command("up")
    .description("run the service in the foreground until Ctrl-C")
    .option("--port <port>", "port to listen on (0: any)", port)
    .option("--host <address>", "address to listen on (default 127.0.0.1)")
    .option("--allow-host <name>", "another name by which it may be reached", collect, [])
    .option(
      "--public-url <url>",
      "address by which people and forges reach it, kept for later starts; none takes it away",
    )
    .option("--blobs <dir>", "blob store, default in the data directory")
    .option("--master-key <file>", "master key: a file outside the data directory, fd:<3 to 9> or env:<variable>")
    .option("--toolchain <path>", "folder to mount read-only into workspaces", collect, [])
    .option("--spare-sidecars <0..2>", "sidecars started ahead for the next jobs (default 1; 0 below 4 GB of memory)")
    .action(async (options, command: Command) => {
      const global = command.optsWithGlobals<{ data?: string; json?: boolean }>();
      const flag = (name: string, value: string | number | undefined) =>
        value === undefined ? [] : [name, String(value)];
      const argv = [
        ...flag("--data", global.data ?? process.env.X1_DATA),
        ...flag("--port", options.port),
        ...flag("--host", options.host),
        ...flag("--public-url", options.publicUrl),
        ...flag("--blobs", options.blobs),
        ...flag("--master-key", options.masterKey),
        ...flag("--spare-sidecars", options.spareSidecars),
        ...(options.allowHost as string[]).flatMap((name) => ["--allow-host", name]),
        ...(options.toolchain as string[]).flatMap((path) => ["--toolchain", path]),
        ...(global.json ? ["--json"] : []),
      ];
      setExit(await serve(argv, /^fd:([3-9])$/.exec(options.masterKey ?? "")?.[1]));
    });

  program
    .command("doctor")
    .description("what the installation can and cannot do here")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const doctor = await context.client.doctor();
      context.print(doctor, () =>
        [
          ...doctor.checks.map((check) => {
            const sign = check.ok ? context.style.good("✓") : context.style.bad("✗");
            const fix = check.fix ? `\n    ${context.style.strong(visible(check.fix))}` : "";
            return `${sign} ${visibleLine(check.name).padEnd(22)} ${visibleLine(check.detail)}${fix}`;
          }),
          doctor.isolation
            ? `isolation: ${doctor.isolation.level} by ${visibleLine(doctor.isolation.mechanism)}\n${doctor.isolation.facts
                .map(
                  (fact) =>
                    `  ${visibleLine(fact.name).padEnd(22)} ${visibleLine(fact.value)} ${context.style.quiet(`(${fact.by})`)}`,
                )
                .join("\n")}`
            : context.style.bad("isolation: none possible"),
        ].join("\n"),
      );
      if (!doctor.ok) setExit(exitCodes.failed.code);
    });

  const runtimes = program
    .command("runtimes")
    .description("the catalogue of agent CLIs")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listRuntimes();
      context.print(items, () =>
        table(
          [
            ["NAME", "VERSION", "INSTALLED", "CAPABILITIES", "LICENCE"],
            ...items.map(({ manifest, installed, installing }) => [
              manifest.name,
              manifest.version,
              installing ? "installing" : installed ? "yes" : "no",
              manifest.capabilities.join(" "),
              manifest.license,
            ]),
          ],
          context.style,
        ),
      );
    });
  runtimes
    .command("test <name>")
    .description("start an installed one in an empty workspace, without a model call, and measure it")
    .action(async (name: string, _, command: Command) => {
      const context = contextOf(command);
      const result = await followed(context, "testRuntime", name);
      const test = (await context.client.listRuntimes()).items.find(({ manifest }) => manifest.name === name)?.test;
      const figures = [
        test?.startMs == null ? [] : [`ready after ${test.startMs} ms`],
        test?.memory ? [`${Math.round(test.memory.bytes / 1e6)} MB of memory`] : [],
      ].flat();
      context.print({ ...result, test: test ?? null }, visible([result.detail, ...figures].join("\n")));
      if (!result.ok) setExit(exitCodes.failed.code);
    });
  runtimes
    .command("install <name>")
    .description("install one at its exact version")
    .action(async (name: string, _, command: Command) => {
      const context = contextOf(command);
      const result = await followed(context, "installRuntime", name);
      context.print(result, visible(result.detail));
      if (!result.ok) setExit(exitCodes.failed.code);
    });

  const providers = program
    .command("providers")
    .description("model providers and whether each has a credential")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listProviders();
      context.print(items, () =>
        table(
          [
            ["NAME", "API", "BASE URL", "CREDENTIAL"],
            ...items.map((p) => [
              visibleLine(p.name),
              p.api,
              visibleLine(p.baseUrl),
              p.configured ? `…${p.lastFour ?? ""}` : "none",
            ]),
          ],
          context.style,
        ),
      );
    });
  providers
    .command("set <name>")
    .description("route a provider")
    .option("--base-url <url>", "origin of its API")
    .option("--api <format>", "anthropic-messages, openai-responses or openai-chat")
    .option("--allow-private", "the address may be private or loopback")
    .action(async (name: string, options, command: Command) => {
      const context = contextOf(command);
      if (options.baseUrl && !URL.canParse(options.baseUrl))
        throw new UsageError(`--base-url takes an address such as https://api.example.com, not "${options.baseUrl}".`);
      const provider = await context.client.setProvider({
        params: { name },
        body: {
          ...(options.baseUrl ? { baseUrl: options.baseUrl } : {}),
          ...(options.api ? { api: options.api } : {}),
          ...(options.allowPrivate ? { allowPrivate: true } : {}),
        },
      });
      context.print(provider, `${visibleLine(provider.name)} goes to ${visibleLine(provider.baseUrl)}`);
    });
  providers
    .command("test <name>")
    .description("ask a provider for its models with the stored key: one call, free of charge")
    .option("--project <id>", "with the key that this project's jobs get")
    .action(async (name: string, options, command: Command) => {
      const context = contextOf(command);
      const query = options.project ? { projectId: options.project as string } : {};
      const found = await context.client.testProvider({ params: { name }, query });
      context.print(found, visible(found.detail));
      if (found.outcome !== "accepted") setExit(exitCodes.failed.code);
    });
  providers
    .command("price <name> <model>")
    .description("state what a model costs, in USD per million tokens: one without a price is refused")
    .option("--input <usd>", "uncached input", usdPerMTok("--input"))
    .option("--output <usd>", "output", usdPerMTok("--output"))
    .option("--cache-read <usd>", "input read from a cache (default: as other input)", usdPerMTok("--cache-read"))
    .option("--cache-write <usd>", "input written to a cache (default: as other input)", usdPerMTok("--cache-write"))
    .option("--source <text>", "where the price is from", "operator")
    .option("--as-of <day>", "when it was read there, YYYY-MM-DD (default today)")
    .option("--remove", "forget the price stated here")
    .action(async (name: string, model: string, options, command: Command) => {
      const context = contextOf(command);
      const params = { name, model };
      if (options.remove) {
        await context.client.deletePrice({ params });
        return context.print({ deleted: `${name}/${model}` }, `The price of ${visibleLine(model)} is forgotten`);
      }
      if (options.input === undefined || options.output === undefined)
        throw new UsageError("A price needs --input and --output, in USD per million tokens.");
      const price = await context.client.setPrice({
        params,
        body: {
          ...{ inputUsdPerMTok: options.input, outputUsdPerMTok: options.output, source: options.source },
          ...(options.cacheRead === undefined ? {} : { cacheReadUsdPerMTok: options.cacheRead }),
          ...(options.cacheWrite === undefined ? {} : { cacheWriteUsdPerMTok: options.cacheWrite }),
          ...(options.asOf ? { asOf: options.asOf } : {}),
        },
      });
      const usd = (micros: number) => `$${micros / 1_000_000}`;
      context.print(
        price,
        `${visibleLine(price.model)} at ${visibleLine(price.provider)}: ${usd(price.inputMicrosPerMTok)} in, ${usd(price.outputMicrosPerMTok)} out per million tokens (${visibleLine(price.source)}, ${price.asOf}); from the next attempt on`,
      );
    });

  const projectOption = ["--project <id>", "that project's own, instead of the organization's"] as const;
  const projectOf = (command: Command): string | undefined => command.optsWithGlobals<{ project?: string }>().project;
  const whose = (projectId: string | undefined) => (projectId === undefined ? "" : ` for ${visibleLine(projectId)}`);
  const secrets = program
    .command("secrets")
    .description("names of stored secrets")
    .option(...projectOption)
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const projectId = projectOf(command);
      const { items } = await (projectId === undefined
        ? context.client.listSecrets()
        : context.client.listProjectSecrets({ params: { projectId } }));
      context.print(items, () =>
        table(
          [
            ["NAME", "ENDS IN", "SET", "LAST USED"],
            ...items.map((s) => [visibleLine(s.name), `…${s.lastFour}`, s.updatedAt, s.lastUsedAt ?? "never"]),
          ],
          context.style,
        ),
      );
    });
  secrets
    .command("set <name>")
    .description(
      "store one (anthropic, openai, git:<host>, registry:<host>): asked for without echo, or read from standard input",
    )
    .option(...projectOption)
    .action(async (name: string, _, command: Command) => {
      const context = contextOf(command);
      const projectId = projectOf(command);
      const value = await readSecret(`Value of ${visibleLine(name)}${whose(projectId)} (not shown)`);
      if (!value) throw new UsageError("The secret is empty; nothing was stored.");
      const body = { value };
      const secret = await (projectId === undefined
        ? context.client.setSecret({ params: { name }, body })
        : context.client.setProjectSecret({ params: { projectId, name }, body }));
      context.print(secret, `${visibleLine(secret.name)} is stored, sealed${whose(projectId)}`);
    });
  secrets
    .command("delete <name>")
    .description("forget one")
    .option(...projectOption)
    .action(async (name: string, _, command: Command) => {
      const context = contextOf(command);
      const projectId = projectOf(command);
      await (projectId === undefined
        ? context.client.deleteSecret({ params: { name } })
        : context.client.deleteProjectSecret({ params: { projectId, name } }));
      context.print({ deleted: name }, `${visibleLine(name)} is forgotten${whose(projectId)}`);
    });

  const tokens = program
    .command("tokens")
    .description("API tokens")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listTokens();
      context.print(items, () =>
        table(
          [
            ["ID", "NAME", "BEGINS", "SCOPES", "EXPIRES"],
            ...items.map((token) => [
              token.id,
              visibleLine(token.name ?? ""),
              visibleLine(token.start ?? ""),
              token.scopes.join(" "),
              token.expiresAt ?? "never",
            ]),
          ],
          context.style,
        ),
      );
    });
  tokens
    .command("create <name>")
    .description("make one; it is shown once")
    .option("--scope <scope>", "read, write, approve or admin; may be repeated (default: read)", collectScope, [])
    .option("--expires <days>", "days until it expires (default: never)", days)
    .action(async (name: string, options, command: Command) => {
      const context = contextOf(command);
      if (!name.trim()) throw new UsageError("A token needs a name, by which you know it again.");
      const chosen = options.scope as (typeof tokenScopes)[number][];
      const made = await context.client.createToken({
        body: {
          name,
          scopes: chosen.length > 0 ? chosen : ["read"],
          ...(options.expires === undefined ? {} : { expiresInSeconds: (options.expires as number) * 86_400 }),
        },
      });
      context.print(made, `${made.token}\nIt is shown this once. Revoke it: x1 tokens revoke ${made.id}`);
    });
  tokens
    .command("revoke <token>")
    .description("take one back, by its id; what it reads live ends within seconds")
    .action(async (tokenId: string, _, command: Command) => {
      const context = contextOf(command);
      await context.client.revokeToken({ params: { tokenId } });
      context.print({ revoked: tokenId }, `${visibleLine(tokenId)} is revoked`);
    });

  const members = program
    .command("members")
    .description("people of the organization and their roles")
    .action(async (_, command: Command) => {
      const context = contextOf(command);
      const items = (await context.client.listMembers()).items.filter(({ role }) => role !== "former");
      context.print(items, () =>
        table(
          [
            ["ID", "NAME", "SIGNS IN AS", "ROLE"],
            ...items.map(({ id, name, signInName, role }) => [id, visibleLine(name), visibleLine(signInName), role]),
          ],
          context.style,
        ),
      );
    });
  members
    .command("add <sign-in-name>")
    .description("add a person and print a link that signs one browser in as them, once, within a day")
    .requiredOption("--name <name>", "how others see them")
    .addOption(new Option("--role <role>", "what they may do").choices(memberRoles).default("member"))
    .action(async (signInName: string, options: { name: string; role: MemberRole }, command: Command) => {
      const { client, print } = contextOf(command);
      const member = await client.addMember({ body: { signInName, name: options.name, role: options.role } });
      const { path, expiresAt } = await client.inviteMember({ params: { memberId: member.id } });
      const url = `${client.baseUrl}${path}`;
      print({ ...member, url, expiresAt }, url);
    });
  members
    .command("role <id>")
    .description("give a person another role; the last owner stays one")
    .addOption(new Option("--role <role>", "what they may do").choices(memberRoles).makeOptionMandatory())
    .action(async (memberId: string, { role }: { role: MemberRole }, command: Command) => {
      const { client, print } = contextOf(command);
      const member = await client.setMemberRole({ params: { memberId }, body: { role } });
      print(member, `${visibleLine(member.name)} is ${member.role} now.`);
    });
  members
    .command("remove <id>")
    .description("take every role from a person; what they did keeps their name")
    .action(async (memberId: string, _, command: Command) => {
      const { client, print } = contextOf(command);
      await client.removeMember({ params: { memberId } });
      print({ removed: memberId }, "Removed.");
    });

  program
    .command("sign-in")
    .description("print a link that signs one browser in as you, once, within five minutes")
    .action(async (_, command: Command) => {
      const { client, print } = contextOf(command);
      const { path, expiresAt } = await client.createSignInLink();
      const url = `${client.baseUrl}${path}`;
      print({ url, expiresAt }, url);
    });

  const audit = program.command("audit").description("the hash-chained audit log");
  audit
    .command("verify [file]")
    .description("recompute the chain in the service, or of an exported file without any service")
    .action(async (file: string | undefined, _, command: Command) => {
      const context = contextOf(command);
      const verdict = file ? await verifyFile(file) : await context.client.verifyAudit();
      context.print(verdict, () =>
        verdict.intact
          ? `${context.style.good("intact")}: ${verdict.entries} entries, head ${verdict.head}`
          : `${context.style.bad("broken")} at entry ${verdict.brokenAt}`,
      );
      if (!verdict.intact) setExit(exitCodes.failed.code);
    });
  audit
    .command("export")
    .description("all entries as JSON lines on standard output")
    .action(async (_, command: Command) => {
      const { client } = contextOf(command);
      let after = 0;
      for (;;) {
        const page = await client.listAudit({ query: { after, limit: 1_000 } });
        for (const entry of page.items) {
          after = entry.seq;
          if (!process.stdout.write(`${JSON.stringify(entry)}\n`)) await once(process.stdout, "drain");
        }
        if (page.cursor === null) return;
      }
    });
}

/** Runs the service as a child in the foreground, passes signals on and ends as it ends. */
async function serve(argv: string[], descriptor?: string): Promise<number> {
  buildWeb();
  const main = fileURLToPath(new URL("../../../api/src/main.ts", import.meta.url));
  const passed = descriptor === undefined ? [] : Array<"ignore">(Number(descriptor) - 3).fill("ignore");
  const child = spawn(process.execPath, [main, ...argv], {
    stdio: ["inherit", "inherit", "inherit", ...passed, ...(descriptor === undefined ? [] : [Number(descriptor)])],
  });
  if (descriptor !== undefined) closeSync(Number(descriptor));
  const pass = (signal: NodeJS.Signals) => child.kill(signal);
  // A terminal's Ctrl-C reaches the child by itself: catching it here only keeps us until the child is done.
  const stay = () => undefined;
  process.on("SIGINT", stay).on("SIGTERM", pass).on("SIGHUP", pass);
  const unwatch = onNpmGone(() => child.kill("SIGTERM"));
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  unwatch();
  process.off("SIGINT", stay).off("SIGTERM", pass).off("SIGHUP", pass);
  return code ?? 128 + (signal ? constants.signals[signal] : 0);
}

/**
 * npm runs its commands in a shell, and hands SIGTERM to that shell, which ends and tells nobody: `npm start` would seem ended
 * and its service would go on. Calls back when the shell is gone; never where npm did not start us.
 */
function onNpmGone(ended: () => void): () => void {
  const shell = process.ppid;
  if (!process.env.npm_command) return () => undefined;
  const timer = setInterval(() => {
    if (process.ppid !== shell) ended();
  }, 500);
  return () => clearInterval(timer);
}

/** A fresh or changed checkout has no built web app yet. Without it the service still runs, with the API alone. */
function buildWeb(): void {
  const script = fileURLToPath(new URL("../../../web/build.ts", import.meta.url));
  const built = spawnSync(process.execPath, [script], { stdio: ["ignore", "ignore", "inherit"] });
  if (built.status !== 0)
    process.stderr.write("The web app could not be built; `npm run build` says why. The API runs without it.\n");
}

/** Verifies an exported chain with nothing but the file. */
export async function verifyFile(file: string): Promise<RouteResponse<"verifyAudit">> {
  let previous = auditStart;
  let entries = 0;
  for await (const line of linesOf(file)) {
    if (!line.trim()) continue;
    const entry = AuditEntry.safeParse(tryJson(line));
    const intact =
      entry.success &&
      entry.data.seq === entries + 1 &&
      entry.data.previous === previous &&
      sha256(auditText(entry.data)) === entry.data.hash;
    if (!intact) return { intact: false, entries, head: previous, brokenAt: entries + 1 };
    previous = entry.data.hash;
    entries += 1;
  }
  return { intact: true, entries, head: previous, brokenAt: null };
}

/** Lines by line feed alone: readline also cuts at U+2028, which an entry may carry as it is. */
async function* linesOf(file: string): AsyncGenerator<string, void, void> {
  let rest = "";
  try {
    for await (const chunk of createReadStream(file, "utf8")) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } catch (cause) {
    throw new UsageError(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code}).`);
  }
  if (rest) yield rest;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

function tryJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
