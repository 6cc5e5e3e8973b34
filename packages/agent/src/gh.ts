import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { parseArgs } from "node:util";

/**
 * `gh` inside a workspace: the part of GitHub's program that reads the job's own repository and comments on the job's own issue
 * and pull request. It speaks to the sidecar's `/github` with the job token and has no other credential; what the sidecar
 * refuses is said in its own words. Output is that of the real program where it writes into a pipe. What it does not know it
 * refuses, so that nobody takes a made-up answer for GitHub's.
 */
type Json = Record<string, unknown>;
type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;
type Command = {
  options: Record<string, { type: "string" | "boolean"; short?: string; multiple?: boolean }>;
  run(values: Values, args: string[]): Promise<number>;
};
type About = { repository: string; conversations: number[]; may: string[] };

/** Said on standard error; `status` is the program's. The real one ends with 4 where it is not let in. */
class Sorry extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

const MAX_ANSWER = 16 * 1024 ** 2;
const MAX_PAGES = 20;
const PAGE = 100;

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");
const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const inner = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
/** Words of people on the forge, without what steers a terminal. */
const plain = (value: unknown): string =>
  text(value)
    .replaceAll("\r\n", "\n")
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
const line = (value: unknown): string => plain(value).replaceAll(/[\n\t]/g, " ");
const print = (words: string): void => void process.stdout.write(words.endsWith("\n") ? words : `${words}\n`);

function call(
  method: string,
  path: string,
  options: { body?: unknown; accept?: string } = {},
): Promise<{ status: number; body: string }> {
  const { X1_API_URL: api, X1_JOB_TOKEN: token } = process.env;
  if (!api || !token) throw new Sorry("There is no sidecar here: gh works inside a job's workspace only.", 4);
  const body = options.body === undefined ? null : Buffer.from(JSON.stringify(options.body));
  return new Promise((resolve, reject) => {
    // The target as it was written: a URL parser would make another one of it.
    const { hostname, port } = new URL(api);
    const asked = request(
      {
        ...{ host: hostname, port, method, path: `/github${path}`, timeout: 60_000 },
        headers: {
          ...{ "x-x1-token": token, accept: options.accept ?? "application/vnd.github+json" },
          ...(body ? { "content-type": "application/json", "content-length": body.length } : {}),
        },
      },
      (answer) => {
        const pieces: Buffer[] = [];
        let size = 0;
        answer.on("data", (piece: Buffer) => {
          size += piece.length;
          if (size > MAX_ANSWER) answer.destroy(new Sorry("The answer is too long."));
          else pieces.push(piece);
        });
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(pieces).toString("utf8") }),
        );
        answer.on("error", reject);
      },
    );
    asked.on("timeout", () => asked.destroy(new Sorry("The sidecar does not answer.")));
    asked.on("error", (error) =>
      reject(error instanceof Sorry ? error : new Sorry(`The sidecar cannot be reached: ${error.message}`)),
    );
    asked.end(body ?? undefined);
  });
}

/** What was answered, or the reason why not in the words of whoever refused. */
async function fetchText(
  method: string,
  path: string,
  options: { body?: unknown; accept?: string } = {},
): Promise<string> {
  const { status, body } = await call(method, path, options);
  if (status >= 200 && status < 300) return body;
  let told: Json = {};
  try {
    told = JSON.parse(body) as Json;
  } catch {
    // Said by its number then.
  }
  const code = text(told.code);
  const words = text(told.detail) || text(told.message) || `status ${status}`;
  throw new Sorry(
    `${line(words)}${code ? ` (${line(code)})` : ` (HTTP ${status})`}`,
    code === "not_granted" || code === "unauthenticated" ? 4 : 1,
  );
}
const fetchJson = async (path: string): Promise<unknown> => JSON.parse(await fetchText("GET", path)) as unknown;
const about = async (): Promise<About> => (await fetchJson("")) as About;
/** Path below the job's repository. */
const repo = async (values: Values): Promise<string> => {
  const { repository } = await about();
  const asked = text(values.repo);
  if (asked && asked !== repository && !asked.endsWith(`/${repository}`))
    throw new Sorry(`This job reaches ${repository} only, not ${line(asked)}.`, 4);
  return `/repos/${repository}`;
};

async function pages(path: string, limit: number): Promise<Json[]> {
  const found: Json[] = [];
  const size = Math.min(limit, PAGE);
  for (let page = 1; page <= MAX_PAGES && found.length < limit; page += 1) {
    const some = list(await fetchJson(`${path}${path.includes("?") ? "&" : "?"}per_page=${size}&page=${page}`));
    found.push(...some);
    if (some.length < size) break;
  }
  return found.slice(0, limit);
}

/** The number in `7`, `#7` or the address of an issue or pull request. */
function numberIn(args: readonly string[]): number {
  const found = /^(?:#|https?:\/\/\S+\/(?:issues|pull)\/)?([1-9]\d{0,9})\/?$/.exec(args[0] ?? "");
  if (args.length !== 1 || !found?.[1]) throw new Sorry("Name one number, such as 7.");
  return Number(found[1]);
}

function limitOf(values: Values): number {
  const limit = Number(values.limit ?? 30);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) throw new Sorry("--limit is a number up to 1000.");
  return limit;
}

const login = (value: unknown) => ({ login: text(inner(value).login) });
const stateOf = (item: Json): string =>
  item.merged_at || item.merged === true ? "MERGED" : text(item.state).toUpperCase();
const named = (value: unknown) => list(value).map(({ name, description, color }) => ({ name, description, color }));

type Fields = Record<string, (item: Json) => unknown>;
const shared: Fields = {
  number: (item) => item.number,
  title: (item) => item.title,
  state: stateOf,
  body: (item) => item.body ?? "",
  author: (item) => login(item.user),
  labels: (item) => named(item.labels),
  assignees: (item) => list(item.assignees).map(login),
  milestone: (item) =>
    item.milestone ? { number: inner(item.milestone).number, title: inner(item.milestone).title } : null,
  url: (item) => item.html_url,
  createdAt: (item) => item.created_at,
  updatedAt: (item) => item.updated_at,
  closedAt: (item) => item.closed_at ?? null,
};
const issueFields: Fields = { ...shared, stateReason: (item) => text(item.state_reason).toUpperCase() };
const pullFields: Fields = {
  ...shared,
  isDraft: (item) => item.draft === true,
  headRefName: (item) => inner(item.head).ref,
  headRefOid: (item) => inner(item.head).sha,
  baseRefName: (item) => inner(item.base).ref,
  mergedAt: (item) => item.merged_at ?? null,
  additions: (item) => item.additions,
  deletions: (item) => item.deletions,
  changedFiles: (item) => item.changed_files,
  mergeable: (item) => (item.mergeable === true ? "MERGEABLE" : item.mergeable === false ? "CONFLICTING" : "UNKNOWN"),
};
const repositoryFields: Fields = {
  name: (item) => item.name,
  nameWithOwner: (item) => item.full_name,
  description: (item) => item.description ?? "",
  url: (item) => item.html_url,
  defaultBranchRef: (item) => ({ name: item.default_branch }),
  isPrivate: (item) => item.private === true,
  visibility: (item) => text(item.visibility).toUpperCase(),
};

/** The fields that `--json` names; those that are not known are named back. */
function picked(fields: Fields, values: Values, more: readonly string[] = []): string[] | null {
  if (values.json === undefined) return null;
  const names = text(values.json).split(",");
  const unknown = names.find((name) => !Object.hasOwn(fields, name) && !more.includes(name));
  if (unknown !== undefined)
    throw new Sorry(
      `Unknown field for --json here: ${line(unknown)}. There are: ${[...Object.keys(fields), ...more].sort().join(", ")}`,
    );
  return names;
}
const pick = (fields: Fields, names: readonly string[], item: Json): Json =>
  Object.fromEntries(names.filter((name) => fields[name]).map((name) => [name, fields[name]?.(item)]));

const comment = (item: Json) => ({
  author: login(item.user),
  authorAssociation: item.author_association,
  body: item.body ?? "",
  createdAt: item.created_at,
  url: item.html_url,
});

const common = { repo: { type: "string", short: "R" }, json: { type: "string" } } as const;
const listing = { ...common, state: { type: "string", short: "s" }, limit: { type: "string", short: "L" } } as const;
const saying = {
  ...common,
  body: { type: "string", short: "b" },
  "body-file": { type: "string", short: "F" },
} as const;

function view(kind: "issues" | "pulls"): Command {
  const fields = kind === "issues" ? issueFields : pullFields;
  return {
    options: { ...common, comments: { type: "boolean", short: "c" } },
    async run(values, args) {
      const number = numberIn(args);
      const names = picked(fields, values, ["comments"]);
      const base = await repo(values);
      const item = (await fetchJson(`${base}/${kind}/${number}`)) as Json;
      const said =
        values.comments === true || names?.includes("comments")
          ? await pages(`${base}/issues/${number}/comments`, 1_000)
          : [];
      if (names) {
        print(
          JSON.stringify({
            ...pick(fields, names, item),
            ...(names.includes("comments") ? { comments: said.map(comment) } : {}),
          }),
        );
        return 0;
      }
      const head: [string, string][] = [
        ["title", line(item.title)],
        ["state", item.draft === true ? "DRAFT" : stateOf(item)],
        ["author", line(inner(item.user).login)],
        [
          "labels",
          named(item.labels)
            .map(({ name }) => line(name))
            .join(", "),
        ],
        [
          "assignees",
          list(item.assignees)
            .map((one) => line(one.login))
            .join(", "),
        ],
        ["comments", text(item.comments)],
        ["number", text(item.number)],
        ["url", line(item.html_url)],
        ...(kind === "pulls"
          ? ([
              ["additions", text(item.additions)],
              ["deletions", text(item.deletions)],
            ] as [string, string][])
          : []),
      ];
      print(`${head.map(([name, value]) => `${name}:\t${value}`).join("\n")}\n--\n${plain(item.body)}`);
      for (const one of said)
        print(
          `--\nauthor:\t${line(inner(one.user).login)}\nassociation:\t${line(one.author_association).toLowerCase()}\n--\n${plain(one.body)}`,
        );
      return 0;
    },
  };
}

function listOf(kind: "issues" | "pulls"): Command {
  const fields = kind === "issues" ? issueFields : pullFields;
  return {
    options: {
      ...listing,
      ...(kind === "issues"
        ? { label: { type: "string", short: "l", multiple: true }, assignee: { type: "string", short: "a" } }
        : { head: { type: "string", short: "H" }, base: { type: "string", short: "B" } }),
    } as Command["options"],
    async run(values, args) {
      if (args.length > 0) throw new Sorry("A list takes no further words.");
      const names = picked(fields, values);
      const base = await repo(values);
      const query = new URLSearchParams({ state: text(values.state) || "open" });
      if (Array.isArray(values.label)) query.set("labels", values.label.join(","));
      if (values.assignee) query.set("assignee", text(values.assignee));
      if (values.base) query.set("base", text(values.base));
      if (values.head) query.set("head", `${base.split("/")[2]}:${text(values.head)}`);
      const limit = limitOf(values);
      // The forge's list of issues has the pull requests in it.
      const found = await pages(`${base}/${kind}?${query}`, kind === "issues" ? PAGE * MAX_PAGES : limit);
      const items = found.filter((item) => kind === "pulls" || !item.pull_request).slice(0, limit);
      if (names) print(JSON.stringify(items.map((item) => pick(fields, names, item))));
      else
        for (const item of items)
          print(
            (kind === "issues"
              ? [
                  item.number,
                  stateOf(item),
                  item.title,
                  named(item.labels)
                    .map(({ name }) => text(name))
                    .join(", "),
                  item.updated_at,
                ]
              : [
                  item.number,
                  item.title,
                  inner(item.head).ref,
                  item.draft === true ? "DRAFT" : stateOf(item),
                  item.created_at,
                ]
            )
              .map(line)
              .join("\t"),
          );
      return 0;
    },
  };
}

const say: Command = {
  options: saying,
  async run(values, args) {
    const number = numberIn(args);
    const file = values["body-file"];
    if ((values.body === undefined) === (file === undefined))
      throw new Sorry("Give the text by --body or --body-file.");
    const body = file === undefined ? text(values.body) : readFileSync(file === "-" ? 0 : text(file), "utf8");
    const made = JSON.parse(
      await fetchText("POST", `${await repo(values)}/issues/${number}/comments`, { body: { body } }),
    ) as Json;
    print(line(made.html_url));
    return 0;
  },
};

const checks: Command = {
  options: common,
  async run(values, args) {
    const number = numberIn(args);
    const names = picked({}, values, ["name", "state", "bucket", "link", "description"]);
    const base = await repo(values);
    const sha = text(inner(((await fetchJson(`${base}/pulls/${number}`)) as Json).head).sha);
    const runs = list(((await fetchJson(`${base}/commits/${sha}/check-runs?per_page=100`)) as Json).check_runs);
    // Statuses are a permission of their own, which the connection may lack.
    const statuses = await fetchJson(`${base}/commits/${sha}/status?per_page=100`).then(
      (found) => list(inner(found).statuses),
      (error: unknown) => {
        process.stderr.write(
          `gh: statuses are not among these checks: ${error instanceof Error ? error.message : ""}\n`,
        );
        return [];
      },
    );
    const bucket = (state: string) =>
      ["success", "neutral"].includes(state)
        ? "pass"
        : state === "skipped"
          ? "skipping"
          : ["queued", "in_progress", "pending", "waiting", "requested", ""].includes(state)
            ? "pending"
            : state === "cancelled"
              ? "cancel"
              : "fail";
    const all = [
      ...runs.map((run) => ({
        ...{
          name: line(run.name),
          state: text(run.conclusion ?? run.status),
          link: line(run.html_url ?? run.details_url),
        },
        description: line(inner(run.output).title),
      })),
      ...statuses.map((one) => ({
        ...{
          name: line(one.context),
          state: text(one.state),
          link: line(one.target_url),
          description: line(one.description),
        },
      })),
    ].map((one) => ({ ...one, state: one.state.toUpperCase(), bucket: bucket(one.state) }));
    if (names)
      print(JSON.stringify(all.map((one) => Object.fromEntries(names.map((name) => [name, one[name as "name"]])))));
    else if (all.length === 0) throw new Sorry("no checks reported on this pull request");
    else for (const one of all) print([one.name, one.bucket, "0", one.link, one.description].join("\t"));
    if (all.some((one) => one.bucket === "fail")) return 1;
    return all.some((one) => one.bucket === "pending") ? 8 : 0;
  },
};

/** A value of `-F` as the real program reads it: a number, true, false, null, a file's text by `@`, the repository's names. */
function typed(value: string, owner: string, name: string): unknown {
  if (value.startsWith("@")) return readFileSync(value === "@-" ? 0 : value.slice(1), "utf8");
  if (/^-?\d{1,15}$/.test(value)) return Number(value);
  if (value === "true" || value === "false") return value === "true";
  if (value === "null") return null;
  return value.replaceAll("{owner}", owner).replaceAll("{repo}", name);
}

/** The first `pageInfo` of an answer, which says whether there is more. */
function pageOf(value: unknown): Json | null {
  if (typeof value !== "object" || value === null) return null;
  const { pageInfo } = value as Json;
  if (typeof pageInfo === "object" && pageInfo !== null) return pageInfo as Json;
  for (const one of Object.values(value)) {
    const found = pageOf(one);
    if (found) return found;
  }
  return null;
}

/** Asks by GraphQL, page by page where that is wanted; 1 where GitHub says an error, which is printed as it came. */
async function graphql(fields: readonly (readonly [string, unknown])[], paginate: boolean): Promise<number> {
  const { query, operationName, ...variables } = Object.fromEntries(fields);
  if (typeof query !== "string" || query.trim() === "") throw new Sorry("Give the query by -f query='{ ... }'.");
  let status = 0;
  for (let page = 1, after: unknown = null; page <= MAX_PAGES; page += 1) {
    const given = paginate && after !== null ? { ...variables, endCursor: after } : variables;
    const body = { query, ...(operationName === undefined ? {} : { operationName }), variables: given };
    const answer = await fetchText("POST", "/graphql", { body });
    print(answer);
    const { data, errors } = JSON.parse(answer) as Json;
    for (const { message } of list(errors)) {
      process.stderr.write(`gh: ${line(message)}\n`);
      status = 1;
    }
    const info = pageOf(data);
    if (!paginate || info?.hasNextPage !== true || typeof info.endCursor !== "string") break;
    after = info.endCursor;
  }
  return status;
}

/**
 * The open pull requests that matter here: of the branch that is checked out, and the job's own. There is no person whose
 * others would be listed, and this is said.
 */
const status: Command = {
  options: { repo: common.repo },
  async run(values, args) {
    if (args.length > 0) throw new Sorry("A status takes no further words.");
    const base = await repo(values);
    const { repository, conversations } = await about();
    const branch = await new Promise<string>((resolve) =>
      execFile("git", ["symbolic-ref", "--quiet", "--short", "HEAD"], (_error, out) => resolve(line(out.trim()))),
    );
    const open = (await pages(`${base}/pulls?state=open`, 1_000)).map((item) => ({
      ...{ number: Number(item.number), head: text(inner(item.head).ref) },
      words: `  #${text(item.number)}  ${line(item.title)} [${line(inner(item.head).ref)}]`,
    }));
    const lines = (found: typeof open, none: string) => (found.length > 0 ? found.map(({ words }) => words) : [none]);
    const current = branch === "" ? [] : open.filter(({ head }) => head === branch);
    print(
      [
        ...[`Relevant pull requests in ${repository}`, "", "Current branch"],
        ...lines(
          current,
          `  There is no pull request associated with ${branch ? `[${branch}]` : "what is checked out"}`,
        ),
        ...["", "Of this job"],
        ...lines(
          open.filter(({ number }) => conversations.includes(number)),
          "  It has no open pull request",
        ),
      ].join("\n"),
    );
    return 0;
  },
};

const api: Command = {
  options: {
    method: { type: "string", short: "X" },
    "raw-field": { type: "string", short: "f", multiple: true },
    field: { type: "string", short: "F", multiple: true },
    header: { type: "string", short: "H", multiple: true },
    paginate: { type: "boolean" },
  },
  async run(values, args) {
    const { repository } = await about();
    const [owner = "", name = ""] = repository.split("/");
    const given = (args[0] ?? "").replaceAll("{owner}", owner).replaceAll("{repo}", name);
    if (args.length !== 1 || given === "") throw new Sorry("Name one path, such as repos/{owner}/{repo}/issues.");
    const pairs = (some: Values[string]) =>
      (Array.isArray(some) ? some : []).map((pair) => {
        const at = text(pair).indexOf("=");
        if (at < 1) throw new Sorry("A field is written name=value.");
        return [text(pair).slice(0, at), text(pair).slice(at + 1)] as const;
      });
    const asked = text(values.method).toUpperCase();
    if (given === "graphql" || given === "/graphql") {
      if (asked && asked !== "POST") throw new Sorry("GraphQL is asked by POST.");
      const read = pairs(values.field).map(([key, value]) => [key, typed(value, owner, name)] as const);
      return graphql([...pairs(values["raw-field"]), ...read], values.paginate === true);
    }
    const fields = [...pairs(values["raw-field"]), ...pairs(values.field)];
    const accept = (Array.isArray(values.header) ? values.header : []).map(text).map((header) => {
      const found = /^accept:\s*(\S+)$/i.exec(header);
      if (!found?.[1]) throw new Sorry(`Of headers only Accept is passed on, not ${line(header)}.`);
      return found[1];
    })[0];
    const method = asked || (fields.length > 0 ? "POST" : "GET");
    const path = given.startsWith("/") ? given : `/${given}`;
    if (method !== "GET") {
      print(await fetchText(method, path, { body: Object.fromEntries(fields) }));
      return 0;
    }
    const query = new URLSearchParams(fields.map(([key, value]): [string, string] => [key, value])).toString();
    const full = query ? `${path}${path.includes("?") ? "&" : "?"}${query}` : path;
    if (values.paginate === true) print(JSON.stringify(await pages(full, PAGE * MAX_PAGES)));
    else print(await fetchText("GET", full, accept ? { accept } : {}));
    return 0;
  },
};

const commands: Record<string, Command> = {
  "auth status": {
    options: { hostname: { type: "string", short: "h" } },
    async run() {
      const { repository, may, conversations } = await about();
      if (may.length === 0)
        throw new Sorry(`No grant of type forge lets this job speak to the forge of ${repository}.`, 4);
      print(
        `Connected through the sidecar, without a token of its own.\n- repository: ${repository}\n- allowed: ${may.join(", ")}`,
      );
      if (may.includes("comment")) print(`- comments on: ${conversations.join(", ") || "nothing"}`);
      return 0;
    },
  },
  "repo view": {
    options: common,
    async run(values, args) {
      const names = picked(repositoryFields, values);
      const item = (await fetchJson(await repo({ repo: values.repo ?? args[0] }))) as Json;
      if (names) print(JSON.stringify(pick(repositoryFields, names, item)));
      else print(`name:\t${line(item.full_name)}\ndescription:\t${line(item.description)}`);
      return 0;
    },
  },
  "issue view": view("issues"),
  "issue list": listOf("issues"),
  "issue comment": say,
  "pr view": view("pulls"),
  "pr list": listOf("pulls"),
  "pr comment": say,
  "pr status": status,
  "pr checks": checks,
  "pr diff": {
    options: common,
    async run(values, args) {
      const path = `${await repo(values)}/pulls/${numberIn(args)}`;
      print(await fetchText("GET", path, { accept: "application/vnd.github.diff" }));
      return 0;
    },
  },
  api,
};

const publishing = new Set([
  "pr create",
  "pr edit",
  "pr merge",
  "pr ready",
  "pr close",
  "pr reopen",
  "pr review",
  "release create",
]);

async function main(argv: readonly string[]): Promise<number> {
  const [first = "", second = ""] = argv;
  if (["--version", "version"].includes(first)) {
    print("gh (x1agent): reads the job's repository through the sidecar");
    return 0;
  }
  const name = Object.hasOwn(commands, first) ? first : `${first} ${second}`.trim();
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    if (publishing.has(name))
      throw new Sorry(
        `gh ${name}: the platform does this. It opens the pull request after approval, with branch, commit and text of its own; finish the work in /workspace.`,
        4,
      );
    if (name === "auth token") throw new Sorry("gh auth token: there is no token in this workspace.", 4);
    throw new Sorry(
      `gh ${line(name)}: not available in this workspace. There are: ${Object.keys(commands).sort().join(", ")}.`,
      name === "" || first === "help" || first === "--help" ? 0 : 4,
    );
  }
  let read: { values: Values; positionals: string[] };
  try {
    read = parseArgs({
      args: argv.slice(name.split(" ").length),
      options: command.options,
      allowPositionals: true,
    }) as typeof read;
  } catch (error) {
    const asked = /'(-[^']*)'/.exec(error instanceof Error ? error.message : "")?.[1] ?? "an option";
    const pipe = /^(?:-q|--jq|-t|--template)/.test(asked)
      ? " Take the whole with --json and pipe it into jq or node."
      : "";
    throw new Sorry(`gh ${name}: ${line(asked)} is not known here.${pipe}`);
  }
  return command.run(read.values, read.positionals);
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    if (!(error instanceof Error)) throw error;
    process.stderr.write(`gh: ${error.message.slice(0, 2_000)}\n`);
    process.exitCode = error instanceof Sorry ? error.status : 1;
  },
);
