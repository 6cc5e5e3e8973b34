import type { SidecarForge } from "@x1agent/contract";
import { githubSchema } from "@x1agent/testkit/github";
import fc from "fast-check";
import { type GraphQLNamedType, getNamedType, isAbstractType, isInputObjectType, parse, validate } from "graphql";
import { describe, expect, it } from "vitest";
import { forgeQuery, ownAnswer } from "./forge-query.ts";
import { forgeTypes, type Input } from "./forge-types.ts";

const forge: SidecarForge = {
  ...{ kind: "github", repository: "origin", api: "https://api.forge.example", fullName: "acme/app" },
  conversations: [7],
};
const full = process.env.X1_FULL === "1";
const ask = (query: string, variables?: unknown, more: Record<string, unknown> = {}) =>
  forgeQuery(forge, Buffer.from(JSON.stringify({ query, ...(variables === undefined ? {} : { variables }), ...more })));
/** What is asked of the job's own repository. */
const own = (fields: string, variables?: unknown, head = "query") =>
  ask(`${head}{repository(owner:"acme",name:"app"){${fields}}}`, variables);
const flat = (told: ReturnType<typeof ask>) =>
  "query" in told ? told.query.replaceAll(/\s+/g, " ") : `${told.code}: ${told.detail}`;

describe("a query of the job's own repository", () => {
  it("is sent as a document of our own: no variables, fragments, directives or names of the client's", () => {
    const told = ask(
      `query Mine($o: String!, $r: String!, $n: Int = 5, $s: [IssueState!] = OPEN, $all: Boolean!) {
         repository(owner: $o, name: $r) { ...R }
       }
       fragment R on Repository {
         issues(first: $n, states: $s, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { ...I } }
         ref(qualifiedName: "main") @include(if: $all) { name }
       }
       fragment I on Issue { t: title @skip(if: $all) number }`,
      { o: "acme", r: "app", all: false },
    );
    expect(flat(told)).toBe(
      '{ repository(owner: "acme", name: "app", followRenames: false) { ... on Repository { issues( first: 5 ' +
        "states: [OPEN] orderBy: { field: CREATED_AT, direction: DESC } ) { nodes { ... on Issue { t: title number " +
        "x1_repository: repository { nameWithOwner } } x1_repository: repository { nameWithOwner } } } } } }",
    );
  });

  const served = [
    "issue(number: 7) { title body author { login ... on User { name } ... on Bot { id } } comments(last: 50) { totalCount nodes { body createdAt } pageInfo { hasNextPage endCursor } } labels(first: 10) { edges { cursor node { name } } } }",
    "issueOrPullRequest(number: 7) { __typename ... on Issue { number state } ... on PullRequest { number isDraft } }",
    'pullRequests(first: 100, after: "Y3Vyc29yOnYyOpE=", states: [OPEN, MERGED], headRefName: "x1/fix") { nodes { number headRefName reviewDecision } }',
    "pullRequest(number: 12) { files(first: 100) { nodes { path additions } } reviews(first: 50, states: APPROVED) { nodes { state body comments(first: 10) { nodes { path line body diffHunk } } } } reviewThreads(first: 20) { nodes { isResolved comments(first: 5) { nodes { body } } } } commits(last: 1) { nodes { commit { oid statusCheckRollup { state contexts(first: 100) { nodes { ... on CheckRun { name conclusion checkSuite { workflowRun { workflow { name } } } } ... on StatusContext { context state } } } } } } } }",
    'ref(qualifiedName: "refs/heads/main") { target { oid ... on Commit { history(first: 10, path: "src") { nodes { oid messageHeadline author { name user { login } } } } } } }',
    'object(expression: "main:docs/read me.md") { ... on Blob { text } ... on Tree { entries { name type } } }',
    'refs(first: 10, refPrefix: "refs/tags/") { nodes { name } } labels(first: 10, query: "bug") { nodes { name } } languages(first: 5) { nodes { name } }',
  ];
  it.each(served)("has %s", (fields) => {
    const told = own(fields);
    expect(flat(told)).toMatch(/^\{ repository/);
    // What is sent is good GraphQL by GitHub's own schema.
    if ("query" in told) expect(validate(githubSchema(), parse(told.query))).toEqual([]);
  });
  it("may be asked beside the rate limit, and is chosen by its name", () => {
    expect(flat(ask("{ rateLimit { remaining } }"))).toBe("{ rateLimit { remaining } }");
    const two = 'query A { rateLimit { cost } } query B { repository(owner:"acme", name:"app") { name } }';
    expect(flat(ask(two, undefined, { operationName: "A" }))).toBe("{ rateLimit { cost } }");
    expect(flat(ask(two))).toContain("operationName");
    expect(flat(ask(two, undefined, { operationName: "C" }))).toContain("no operation");
  });
});

describe("what is refused", () => {
  const deep = `object(expression: "main") {${"... on Tree { entries { object {".repeat(9)} oid ${"}}}".repeat(9)}}`;
  const bomb = Array.from({ length: 12 }, (_, n) => `fragment F${n} on Issue { ...F${n + 1} ...F${n + 1} }`).join(" ");
  it.each([
    ["a mutation", 'mutation { addStar(input: {starrableId: "x"}) { clientMutationId } }', /mutation is not/],
    ["a subscription", "subscription { x }", /subscription is not/],
    [
      "a mutation beside a query",
      'query A { rateLimit { cost } } mutation B { deleteIssue(input: {issueId: "x"}) { clientMutationId } }',
      /mutation is not/,
      { operationName: "A" },
    ],
    ["introspection", "{ __schema { types { name } } }", /Query.__schema/],
    ["introspection of one type", '{ __type(name: "User") { name } }', /Query.__type/],
    ["who the connection is", "{ viewer { login } }", /Query.viewer/],
    ["a node by its id", '{ node(id: "R_1") { ... on Repository { name } } }', /Query.node/],
    ["nodes by their ids", '{ nodes(ids: ["R_1"]) { id } }', /Query.nodes/],
    ["search", '{ search(query: "x", type: ISSUE, first: 1) { issueCount } }', /Query.search/],
    ["an organization", '{ organization(login: "acme") { name } }', /Query.organization/],
    ["a user", '{ user(login: "ada") { repositories(first: 1) { totalCount } } }', /Query.user/],
    ["an address", '{ resource(url: "https://forge.example/acme/other") { url } }', /Query.resource/],
    ["another repository", '{ repository(owner: "acme", name: "other") { name } }', /own repository/],
    ["another owner's", '{ repository(owner: "evil", name: "app") { name } }', /own repository/],
    ["the same in other letters", '{ repository(owner: "ACME", name: "app") { name } }', /own repository/],
    [
      "the same with what is no letter",
      '{ repository(owner: "acme", name: "app\\u200b") { name } }',
      /repository\(name:\)/,
    ],
    ["a repository without a name", '{ repository(owner: "acme") { name } }', /own repository/],
    [
      "a repository named twice",
      '{ repository(owner: "acme", name: "other", name: "app") { name } }',
      /named by owner/,
    ],
    [
      "a renamed repository",
      '{ repository(owner: "acme", name: "app", followRenames: true) { name } }',
      /named by owner/,
    ],
    [
      "another under an alias",
      '{ mine: repository(owner: "acme", name: "app") { name } theirs: repository(owner: "acme", name: "other") { name } }',
      /own repository/,
    ],
    [
      "another by a default value",
      'query($n: String = "other") { repository(owner: "acme", name: $n) { name } }',
      /own repository/,
    ],
    ["a directive of a fragment", "{ rateLimit { ...F } } fragment F on RateLimit @x { cost }", /@x/],
    ["a directive of the query", "query @live { rateLimit { cost } }", /@live/],
    ["a directive of a variable", "query($a: Int @x) { rateLimit { cost } }", /@x/],
    ["a directive that nobody knows", "{ rateLimit @defer { cost } }", /@defer/],
    ["two conditions in one", "{ rateLimit @include(if: true, unless: false) { cost } }", /@include/],
    ["what it would leave out", "{ viewer @skip(if: true) { login } }", /Query.viewer/],
    [
      "a fragment that contains itself",
      "{ rateLimit { ...A } } fragment A on RateLimit { ...B } fragment B on RateLimit { ...A }",
      /contains itself/,
    ],
    ["a fragment that is not there", "{ rateLimit { ...A } }", /no fragment/],
    [
      "a fragment defined twice",
      "{ rateLimit { ...A } } fragment A on RateLimit { cost } fragment A on Query { viewer { login } }",
      /same name/,
    ],
    ["two operations of one name", "query A { rateLimit { cost } } query A { viewer { login } }", /same name/],
    ["a definition of types", "{ rateLimit { cost } } extend type Query { x: Int }", /queries and fragments/],
    ["names that are not ASCII", "{ vi\u0435wer { login } }", /cannot be read/],
    ["names by escapes", "{ vi\\u0065wer { login } }", /cannot be read/],
    ["an alias of ours", "{ x1_repository: rateLimit { cost } }", /alias does not begin/],
    ["an alias of nobody's", "{ __proto__: rateLimit { cost } }", /alias does not begin/],
    ["fields of a value", "{ rateLimit { cost { x } } }", /no fields/],
    ["a thing without fields", "{ rateLimit }", /Name the fields/],
    ["nothing", "{ }", /Name the fields/],
    [
      "many aliases",
      `{ ${Array.from({ length: 31 }, (_, n) => `a${n}: rateLimit { cost }`).join(" ")} }`,
      /31|30 aliases/,
    ],
    ["many fields", `{ rateLimit { ${"cost ".repeat(501)} } }`, /500 fields/],
    ["many words", `{ rateLimit { ${"cost ".repeat(3_001)} } }`, /cannot be read/],
    ["much text", `{ rateLimit { cost } } #${"x".repeat(20_000)}`, /20000 characters/],
    ["deep nesting of braces", `${"{a".repeat(900)}${"}".repeat(900)}`, /not served/],
  ] as [string, string, RegExp, Record<string, unknown>?][])("%s", (_name, query, why, more) => {
    expect(flat(ask(query, undefined, more))).toMatch(why);
    expect(ask(query, undefined, more)).not.toHaveProperty("query");
  });

  it.each([
    ...["owner { login }", "parent { name }", "forks(first: 1) { nodes { name } }", "templateRepository { name }"],
    ...["collaborators(first: 1) { totalCount }", "deployKeys(first: 1) { nodes { key } }", "tempCloneToken"],
    ...["viewerPermission", "vulnerabilityAlerts(first: 1) { totalCount }", "environments(first: 1) { totalCount }"],
    ...[
      "stargazers(first: 1) { nodes { login } }",
      "mentionableUsers(first: 1) { nodes { login } }",
      "rulesets(first:1) { totalCount }",
    ],
    ...["issue(number: 7) { repository { name } }", "issue(number: 7) { timelineItems(first: 1) { totalCount } }"],
    ...["issue(number: 7) { parent { title } }", "issue(number: 7) { subIssues(first: 1) { totalCount } }"],
    ...["issue(number: 7) { author { ... on User { repositories(first: 1) { totalCount } } } }"],
    ...["issue(number: 7) { author { ... on User { organizations(first: 1) { totalCount } } } }"],
    ...["issue(number: 7) { author { ... on Organization { auditLog(first: 1) { totalCount } } } }"],
    ...["issue(number: 7) { author { ... on Node { id } } }", "issue(number: 7) { ... on Node { id } }"],
    ...["issue(number: 7) { ... on Comment { body } }", "issue(number: 7) { ... on Repository { name } }"],
    ...["issue(number: 7) { viewerDidAuthor }", "issue(number: 7) { projectItems(first: 1) { totalCount } }"],
    ...["pullRequest(number: 7) { headRepository { name } }", "pullRequest(number: 7) { headRef { name } }"],
    ...[
      "pullRequest(number: 7) { baseRepository { name } }",
      "pullRequest(number: 7) { headRepositoryOwner { login } }",
    ],
    ...["pullRequest(number: 7) { closingIssuesReferences(first: 1) { nodes { title } } }"],
    ...[
      "pullRequest(number: 7) { reviewRequests(first: 1) { nodes { requestedReviewer { ... on Team { members(first: 1) { totalCount } } } } } }",
    ],
    ...['ref(qualifiedName: "main") { associatedPullRequests(first: 1) { totalCount } }'],
    ...['object(expression: "main") { ... on Commit { associatedPullRequests(first: 1) { totalCount } } }'],
    ...[
      'object(expression: "main") { repository { name } }',
      'object(expression: "main") { ... on Commit { zipballUrl } }',
    ],
    ...[
      'object(expression: "a..b") { oid }',
      'object(expression: "-x") { oid }',
      'object(expression: "HEAD@{1}") { oid }',
    ],
    ...[
      'ref(qualifiedName: "a\\nb") { name }',
      'refs(first: 1, refPrefix: "refs/pull/") { nodes { name } }',
      "ref { name }",
    ],
    ...["issues { nodes { title } }", "issues(first: 101) { nodes { title } }", "issues(last: 0) { nodes { title } }"],
    ...[
      "issues(first: 1, last: 1) { nodes { title } }",
      'issues(first: "1") { nodes { title } }',
      "issues(first: 1.5) { nodes { title } }",
    ],
    ...["issues(first: 1, first: 1) { nodes { title } }", 'issues(first: 1, states: "OPEN") { nodes { title } }'],
    ...[
      "issues(first: 1, states: [OPEN, [CLOSED]]) { nodes { title } }",
      "issues(first: 1, filterBy: {viewerSubscribed: true}) { nodes { title } }",
    ],
    ...[
      "issues(first: 1, orderBy: {field: CREATED_AT}) { nodes { title } }",
      "issue(number: -1) { title }",
      "issue(number: null) { title }",
    ],
    ...["issues(first: 1, orderBy: {field: CREATED_AT, field: CREATED_AT, direction: ASC}) { nodes { title } }"],
    ...[
      "issues(first: 100) { nodes { comments(first: 100) { nodes { body } } labels(first: 100) { nodes { name } } } }",
    ],
    ...['issues(first: 1, after: "a b") { nodes { title } }', deep],
    ...[
      `issue(number: 7) { comments(first: 1, orderBy: {field: UPDATED_AT, direction: ${"[".repeat(900)}) { totalCount } }`,
    ],
  ])("%s", (fields) => expect(own(fields)).toHaveProperty("code"));

  it("fragments that multiply", () => {
    const query = `{ repository(owner: "acme", name: "app") { issue(number: 1) { ...F0 } } } ${bomb} fragment F12 on Issue { title }`;
    expect(flat(ask(query))).toContain("500 fields");
  });

  it.each([
    [
      "another repository by a variable",
      "query($n: String!)",
      { n: "other" },
      'repository(owner: "acme", name: $n) { name }',
    ],
    ["one that has no value", "query($n: String!)", {}, 'repository(owner: "acme", name: $n) { name }'],
    ["one of another type", "query($n: ID!)", { n: "app" }, 'repository(owner: "acme", name: $n) { name }'],
    ["a list for a name", "query($n: String!)", { n: ["app"] }, 'repository(owner: "acme", name: $n) { name }'],
    ["one that is not declared", "query", { n: "app" }, "rateLimit { cost }"],
    ["one that is not given", "query", {}, 'repository(owner: "acme", name: $n) { name }'],
    [
      "one declared twice",
      "query($n: String!, $n: String!)",
      { n: "app" },
      'repository(owner: "acme", name: $n) { name }',
    ],
    [
      "a text for a number",
      "query($n: Int!)",
      { n: "1" },
      'repository(owner: "acme", name: "app") { issue(number: $n) { title } }',
    ],
    [
      "too large a number",
      "query($n: Int!)",
      { n: 101 },
      'repository(owner: "acme", name: "app") { issues(first: $n) { totalCount } }',
    ],
    ["a text for a condition", "query($n: Boolean!)", { n: "true" }, "rateLimit @include(if: $n) { cost }"],
    [
      "what is no such word",
      "query($n: [IssueState!])",
      { n: ["X"] },
      'repository(owner: "acme", name: "app") { issues(first: 1, states: $n) { totalCount } }',
    ],
    [
      "its name as a prototype's",
      "query($__proto__: String!)",
      { n: "app" },
      'repository(owner: "acme", name: $__proto__) { name }',
    ],
    [
      "a type without end",
      `query($n: ${"[".repeat(50)}Int${"]".repeat(50)})`,
      { n: 1 },
      'repository(owner: "acme", name: "app") { issues(first: $n) { totalCount } }',
    ],
  ] as [string, string, unknown, string][])("variables: %s", (_name, head, variables, fields) =>
    expect(ask(`${head} { ${fields} }`, variables)).toHaveProperty("code"),
  );

  it.each([
    ["a batch", JSON.stringify([{ query: "{ rateLimit { cost } }" }]), /One query at a time/],
    [
      "a query stored before",
      JSON.stringify({ extensions: { persistedQuery: {} }, query: "{ rateLimit { cost } }" }),
      /no "extensions"/,
    ],
    ["no JSON", "query=%7B%7D", /is JSON/],
    ["bytes that are no text", Buffer.from('{"query":"\xff"}', "latin1"), /is JSON/],
    ["no query", "{}", /has a query/],
    ["null", "null", /JSON object/],
    ["variables in a list", JSON.stringify({ query: "{ rateLimit { cost } }", variables: [] }), /object/],
    ["an operation's name that is none", JSON.stringify({ query: "{ rateLimit { cost } }", operationName: 1 }), /text/],
  ] as [string, string | Buffer, RegExp][])("as a body: %s", (_name, body, why) =>
    expect(flat(forgeQuery(forge, Buffer.from(body as string)))).toMatch(why),
  );
});

describe("the table of types", () => {
  const schema = githubSchema();
  const typeOf = (name: string): GraphQLNamedType | undefined => schema.getType(name);
  const inputName = (input: Input): string => input.name;
  function wrongInput(input: Input): string[] {
    if (input.kind === "list") return wrongInput(input.of);
    const found = typeOf(input.name);
    if (!found) return [`no input ${input.name}`];
    if (input.kind === "enum") {
      const known = new Set(("getValues" in found ? found.getValues() : []).map(({ name }) => name));
      return input.values.filter((one) => !known.has(one)).map((one) => `no ${input.name}.${one}`);
    }
    if (input.kind !== "object" || !isInputObjectType(found)) return [];
    return Object.entries(input.fields).flatMap(([name, of]) => {
      const to = found.getFields()[name]?.type;
      return to && getNamedType(to).name === of.name ? wrongInput(of) : [`no ${input.name}.${name}`];
    });
  }
  /** Where a table says something else than the schema. */
  function wrong(table: typeof forgeTypes): string[] {
    return [...table].flatMap(([name, rule]) => {
      const found = typeOf(name);
      if (!found) return [`no type ${name}`];
      const possible = isAbstractType(found) ? schema.getPossibleTypes(found).map((one) => one.name) : [];
      const fields = "getFields" in found && !isInputObjectType(found) ? found.getFields() : {};
      return [
        ...rule.possible
          .filter((one) => !possible.includes(one) || !table.has(one))
          .map((one) => `${name} is never ${one}`),
        ...[...rule.fields].flatMap(([fieldName, field]) => {
          const real = fields[fieldName];
          const at = `${name}.${fieldName}`;
          if (!real || !("args" in real)) return [`no field ${at}`];
          const to = getNamedType(real.type);
          const leads = "getFields" in to || isAbstractType(to) ? to.name : null;
          const args = new Map(real.args.map((one) => [one.name, String(one.type).replace(/!$/, "")]));
          const repository = name === "Query" && fieldName === "repository";
          const demanded = repository
            ? []
            : real.args.filter((one) => String(one.type).endsWith("!") && one.defaultValue === undefined);
          return [
            ...(leads === field.to && (leads === null || table.has(leads))
              ? []
              : [`${at} leads to ${leads}, not ${field.to}`]),
            ...Object.entries(field.args).flatMap(([arg, input]) => [
              ...(args.get(arg) === inputName(input)
                ? []
                : [`${at}(${arg}:) is ${args.get(arg)}, not ${inputName(input)}`]),
              ...wrongInput(input),
            ]),
            ...demanded.filter((one) => !field.needs.includes(one.name)).map((one) => `${at} needs ${one.name}`),
            ...(field.paged === args.has("first") ? [] : [`${at} is paged, or is not`]),
          ];
        }),
      ];
    });
  }

  it("is GitHub's published schema, each word of it", () => expect(wrong(forgeTypes)).toEqual([]));
  it("is found out where it is not", () => {
    const issue = forgeTypes.get("Issue");
    const label = issue?.fields.get("labels");
    if (!issue || !label) throw new Error("no Issue.labels");
    const planted = new Map(forgeTypes).set("Issue", {
      ...issue,
      fields: new Map([
        ...([["titel", { ...label, to: null }]] as const),
        ...([["milestone", { ...label, to: "Label" }]] as const),
      ]),
    });
    expect(wrong(planted)).toEqual(
      expect.arrayContaining(["no field Issue.titel", expect.stringContaining("Issue.milestone leads to Milestone")]),
    );
  });

  it("leads to a repository from the root alone, and to nothing that holds others", () => {
    const reached = [...forgeTypes].flatMap(([name, { fields }]) =>
      [...fields].filter(([, { to }]) => to === "Repository" || to === "Query").map(([field]) => `${name}.${field}`),
    );
    expect(reached).toEqual(["Query.repository"]);
    for (const name of ["Bot", "EnterpriseUserAccount", "Mannequin", "Organization", "User", "Team", "App"])
      for (const [field, { to }] of forgeTypes.get(name)?.fields ?? [])
        expect([name, field, to]).toEqual([name, field, null]);
  });

  it("lets nothing pass that is not in it, whatever way a document is built of the schema's own fields", () => {
    // Walks the published schema by random steps; a step beyond the table must cost the whole document.
    const steps = fc.array(fc.record({ pick: fc.nat(), way: fc.nat(4), alias: fc.boolean() }), {
      minLength: 1,
      maxLength: 6,
    });
    let [passed, refused] = [0, 0];
    fc.assert(
      fc.property(steps, fc.boolean(), (path, begin) => {
        const fragments: string[] = [];
        let inside = true;
        const walk = (at: GraphQLNamedType, left: typeof path): string => {
          const [step, ...rest] = left;
          const fields = "getFields" in at && !isInputObjectType(at) ? Object.values(at.getFields()) : [];
          const table = forgeTypes.get(at.name);
          if (!step) return "__typename";
          if (isAbstractType(at) && (fields.length === 0 || step.way === 1)) {
            const all = schema.getPossibleTypes(at);
            const on = all[step.pick % all.length];
            if (!on) return "__typename";
            if (!table?.possible.includes(on.name)) inside = false;
            return `... on ${on.name} { ${walk(on, rest)} }`;
          }
          // Half of the steps stay within the table, so that the walk gets somewhere.
          const known = fields.filter(({ name }) => table?.fields.has(name));
          const choice = step.pick % 2 === 0 && known.length > 0 ? known : fields;
          const field = choice[(step.pick >> 1) % choice.length];
          if (!field || !("args" in field)) return "__typename";
          if (!table?.fields.has(field.name)) inside = false;
          const to = getNamedType(field.type);
          const args = argumentsOf(
            at.name,
            field.name,
            field.args.map((one) => [one.name, String(one.type)]),
          );
          const composite = "getFields" in to || isAbstractType(to);
          const text = `${step.alias ? "a: " : ""}${field.name}${args}${composite ? ` { ${walk(to, rest)} }` : ""}`;
          if (step.way === 2) {
            fragments.push(`fragment G${fragments.length} on ${at.name} { ${text} }`);
            return `...G${fragments.length - 1}`;
          }
          return step.way === 3
            ? `... on ${at.name} { ${text} }`
            : step.way === 4
              ? `... @include(if: false) { ${text} }`
              : text;
        };
        const root = begin ? "Repository" : "Query";
        const inner = walk(typeOf(root) as GraphQLNamedType, path);
        const body = begin ? `repository(owner: "acme", name: "app") { ${inner} }` : inner;
        const told = ask(`{ ${body} } ${fragments.join(" ")}`);
        if (!inside) {
          refused += 1;
          expect(told).toHaveProperty("code");
        } else if ("query" in told) {
          passed += 1;
          expect(validate(schema, parse(told.query))).toEqual([]);
        }
      }),
      // By the same steps each time: what is counted below must not hang on luck.
      full ? { numRuns: 5_000 } : { numRuns: 400, seed: 5 },
    );
    // It looked at both.
    expect(refused).toBeGreaterThan(50);
    expect(passed).toBeGreaterThan(50);
  });
});

/** Arguments that the schema demands, with values that would be good ones. */
function argumentsOf(type: string, field: string, all: [string, string][]): string {
  const given = all.flatMap(([name, of]) => {
    if (name === "first") return ["first: 1"];
    if (!of.endsWith("!")) return [];
    if (type === "Query" && field === "repository") return [`${name}: ${name === "owner" ? '"acme"' : '"app"'}`];
    if (name === "refPrefix") return ['refPrefix: "refs/heads/"'];
    return [`${name}: ${of.startsWith("Int") ? 1 : of.startsWith("[") ? "[]" : '"main"'}`];
  });
  return given.length > 0 ? `(${given.join(", ")})` : "";
}

describe("an answer", () => {
  const mark = (nameWithOwner: string) => ({ x1_repository: { nameWithOwner } });
  it("is handed on without our question, and without what is of another repository", () => {
    const told = ownAnswer(forge, {
      data: {
        repository: {
          issue: { title: "ours", ...mark("Acme/App") },
          moved: { title: "secret", ...mark("acme/other") },
          issues: {
            nodes: [
              { title: "a", ...mark("acme/app") },
              { title: "secret", ...mark("evil/app") },
            ],
          },
          nobodys: { title: "secret", x1_repository: null },
        },
      },
      errors: [{ type: "NOT_FOUND", message: "x" }],
      extensions: { warnings: [] },
    });
    expect(told).toEqual({
      data: {
        repository: { issue: { title: "ours" }, moved: null, issues: { nodes: [{ title: "a" }, null] }, nobodys: null },
      },
      errors: [
        { type: "NOT_FOUND", message: "x" },
        { type: "FORBIDDEN", message: expect.stringContaining("another repository") },
      ],
    });
    expect(JSON.stringify(told)).not.toContain("secret");
  });
  it("that is none is handed on as nothing", () => {
    for (const odd of [null, 1, "x", []]) expect(ownAnswer(forge, odd)).toEqual({});
    expect(ownAnswer(forge, { message: "Bad credentials", x: 1 })).toEqual({ message: "Bad credentials" });
  });
});
