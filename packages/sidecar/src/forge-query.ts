import type { ErrorCode, SidecarForge } from "@x1agent/contract";
import {
  type ArgumentNode,
  type ConstObjectFieldNode,
  type ConstValueNode,
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type InlineFragmentNode,
  Kind,
  type NameNode,
  type OperationDefinitionNode,
  OperationTypeNode,
  parse,
  print,
  type SelectionNode,
  type SelectionSetNode,
  type TypeNode,
  type ValueNode,
  type VariableDefinitionNode,
} from "graphql/language";
import { type Field, forgeTypes, type Input, type TypeRule } from "./forge-types.ts";

/**
 * GraphQL for the job's own repository. A request is read in these steps, and what any of them does not understand is refused:
 * body -> document, bounded before it is parsed -> one operation, a query -> its fields walked against `forge-types.ts`.
 * The walk makes a new document: fragments are laid where they were spread, variables are replaced by their values,
 * `@include` and `@skip` are decided, and the repository is named by us. Only that one is printed and sent, so that nothing
 * is sent that the walk did not see. It also asks each issue and pull request whose it is, and `ownAnswer` looks at what it
 * says: the table is one guard against leaving the repository, and the answer the other.
 */

const MAX_TEXT = 20_000;
const MAX_TOKENS = 3_000;
const MAX_DEPTH = 16;
/** Fields and spreads that are walked, a fragment's as often as it is spread. */
const MAX_FIELDS = 500;
const MAX_ALIASES = 30;
/** Things that all connections together may bring; GitHub's own limit is 500,000. */
const MAX_NODES = 20_000;
const MAX_VARIABLES = 50;
/** How issues and pull requests are asked whose they are. A client's aliases may not begin like this. */
const MARK = "x1_repository";

type Refusal = { code: ErrorCode; detail: string };
class Refused extends Error {
  readonly code: ErrorCode;
  constructor(detail: string, code: ErrorCode = "field_refused") {
    super(detail);
    this.code = code;
  }
}
/** A word of the client's in a sentence of ours. */
const quoted = (word: string) => `"${word.slice(0, 60)}"`;

/** The document that is sent for a request's body, or why none is. Pure. */
export function forgeQuery(forge: SidecarForge, body: Buffer): { query: string } | Refusal {
  try {
    const { query, variables, operationName } = readRequest(body);
    const document = readDocument(query);
    const operation = chosen(document, operationName);
    return { query: print(new Walk(forge, document, operation, variables).document()) };
  } catch (error) {
    if (error instanceof Refused) return { code: error.code, detail: error.message };
    throw error;
  }
}

function readRequest(body: Buffer): {
  query: string;
  variables: ReadonlyMap<string, unknown>;
  operationName: string | null;
} {
  const no = (detail: string) => new Refused(detail, "invalid_request");
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw no("A GraphQL request is JSON: an object with query, variables and operationName.");
  }
  if (Array.isArray(value)) throw no("One query at a time: a list of them is not served.");
  if (typeof value !== "object" || value === null) throw no("A GraphQL request is a JSON object.");
  const { query, variables, operationName, ...rest } = value as Record<string, unknown>;
  const [more] = Object.keys(rest);
  if (more !== undefined) throw new Refused(`A GraphQL request has no ${quoted(more)} here.`);
  if (typeof query !== "string" || query.trim() === "") throw no("A GraphQL request has a query, which is a text.");
  if (query.length > MAX_TEXT) throw no(`A query has at most ${MAX_TEXT} characters.`);
  if (operationName !== undefined && operationName !== null && typeof operationName !== "string")
    throw no("operationName is a text.");
  if (variables !== undefined && variables !== null && (typeof variables !== "object" || Array.isArray(variables)))
    throw no("variables are an object.");
  const given = new Map(Object.entries(variables ?? {}));
  if (given.size > MAX_VARIABLES) throw no(`At most ${MAX_VARIABLES} variables.`);
  return { query, variables: given, operationName: operationName || null };
}

function readDocument(query: string): DocumentNode {
  try {
    return parse(query, { maxTokens: MAX_TOKENS, noLocation: true });
  } catch (error) {
    // The parser's own sentence, which quotes at most a word of the text.
    const words = error instanceof Error ? error.message.slice(0, 200) : "";
    throw new Refused(`The query cannot be read: ${words}`, "invalid_request");
  }
}

/** The operation that is meant. Every other definition of the document is a query or a fragment too. */
function chosen(document: DocumentNode, name: string | null): OperationDefinitionNode {
  const operations: OperationDefinitionNode[] = [];
  for (const one of document.definitions)
    if (one.kind === Kind.OPERATION_DEFINITION) operations.push(one);
    else if (one.kind !== Kind.FRAGMENT_DEFINITION) throw new Refused("A request has queries and fragments only.");
  const other = operations.find(({ operation }) => operation !== OperationTypeNode.QUERY);
  if (other) throw new Refused(`Only queries are served here: a ${other.operation} is not.`);
  const names = operations.map((one) => one.name?.value ?? "");
  if (new Set(names).size < names.length) throw new Refused("Two operations have the same name.");
  const found = name === null ? operations : operations.filter((one) => one.name?.value === name);
  if (name !== null && found.length === 0) throw new Refused(`There is no operation ${quoted(name)}.`);
  const [operation, more] = found;
  if (!operation || more) throw new Refused("Say by operationName which of the operations is meant.");
  return operation;
}

const nameNode = (value: string): NameNode => ({ kind: Kind.NAME, value });
const field = (name: string, alias: string | null, rest: Partial<FieldNode> = {}): FieldNode => ({
  ...{ kind: Kind.FIELD, name: nameNode(name), ...rest },
  ...(alias === null ? {} : { alias: nameNode(alias) }),
});
const argument = (name: string, value: ConstValueNode): ArgumentNode => ({
  ...{ kind: Kind.ARGUMENT, name: nameNode(name), value },
});
const text = (value: string): ConstValueNode => ({ kind: Kind.STRING, value });

/** A declared type as it is compared: without the outer `!`, which only says that a value must be there. */
function typeText(node: TypeNode, depth = 0): string {
  if (depth > 5) throw new Refused("A variable's type is nested too deeply.");
  if (node.kind === Kind.NON_NULL_TYPE) return `${typeText(node.type, depth + 1)}${depth === 0 ? "" : "!"}`;
  return node.kind === Kind.LIST_TYPE ? `[${typeText(node.type, depth + 1)}]` : node.name.value;
}

class Walk {
  readonly #forge: SidecarForge;
  readonly #operation: OperationDefinitionNode;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #declared = new Map<string, VariableDefinitionNode>();
  readonly #variables: ReadonlyMap<string, unknown>;
  #fields = 0;
  #aliases = 0;
  #nodes = 0;

  constructor(
    forge: SidecarForge,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: ReadonlyMap<string, unknown>,
  ) {
    this.#forge = forge;
    this.#operation = operation;
    this.#variables = variables;
    for (const one of document.definitions) {
      if (one.kind !== Kind.FRAGMENT_DEFINITION) continue;
      if (this.#fragments.has(one.name.value)) throw new Refused("Two fragments have the same name.");
      this.#fragments.set(one.name.value, one);
    }
    for (const one of operation.variableDefinitions ?? []) {
      const name = one.variable.name.value;
      this.#noDirectives(one.directives);
      if (this.#declared.has(name)) throw new Refused(`The variable ${quoted(name)} is declared twice.`);
      if (this.#declared.size >= MAX_VARIABLES) throw new Refused(`At most ${MAX_VARIABLES} variables.`);
      this.#declared.set(name, one);
    }
    for (const name of variables.keys())
      if (!this.#declared.has(name)) throw new Refused(`The variable ${quoted(name)} is not declared.`);
  }

  document(): DocumentNode {
    this.#noDirectives(this.#operation.directives);
    const selectionSet = this.#selections(this.#operation.selectionSet, "Query", { depth: 1, times: 1, within: [] });
    const operation: OperationDefinitionNode = {
      ...{ kind: Kind.OPERATION_DEFINITION, operation: OperationTypeNode.QUERY, selectionSet },
    };
    return { kind: Kind.DOCUMENT, definitions: [operation] };
  }

  #noDirectives(directives: readonly DirectiveNode[] | undefined): void {
    const [first] = directives ?? [];
    if (first) throw new Refused(`The directive @${first.name.value.slice(0, 60)} is not served here.`);
  }

  /** `times`: how often this set is answered at most; `within`: the fragments that lead here. */
  #selections(
    set: SelectionSetNode,
    name: string,
    at: { depth: number; times: number; within: readonly string[] },
  ): SelectionSetNode {
    if (at.depth > MAX_DEPTH) throw new Refused(`A query has at most ${MAX_DEPTH} levels.`);
    const rule = forgeTypes.get(name);
    if (!rule) throw new Refused(`The type ${quoted(name)} is not served here.`);
    if (set.selections.length === 0) throw new Refused(`Name the fields of ${name} that are wanted.`);
    const selections: SelectionNode[] = [];
    for (const one of set.selections) {
      this.#fields += 1;
      if (this.#fields > MAX_FIELDS) throw new Refused(`A query has at most ${MAX_FIELDS} fields, fragments laid out.`);
      const kept = this.#kept(one.directives);
      const made = one.kind === Kind.FIELD ? this.#field(one, name, rule, at) : this.#fragment(one, name, rule, at);
      // Looked at all the same: what is left out now is no place to hide.
      if (kept) selections.push(made);
    }
    if (selections.length === 0) selections.push(field("__typename", null));
    if (name === "Issue" || name === "PullRequest") {
      const repository = { kind: Kind.SELECTION_SET, selections: [field("nameWithOwner", null)] } as const;
      selections.push(field("repository", MARK, { selectionSet: repository }));
    }
    return { kind: Kind.SELECTION_SET, selections };
  }

  /** Whether `@include` and `@skip` leave a selection in; there are no other directives. */
  #kept(directives: readonly DirectiveNode[] | undefined): boolean {
    let kept = true;
    for (const one of directives ?? []) {
      const name = one.name.value;
      const [condition, more] = one.arguments ?? [];
      if ((name !== "include" && name !== "skip") || condition?.name.value !== "if" || more)
        throw new Refused(`The directive @${name.slice(0, 60)} is not served here like this.`);
      const value = this.#value(condition.value, { kind: "boolean", name: "Boolean" }, `@${name}`);
      if (value?.kind !== Kind.BOOLEAN) throw new Refused(`@${name} says whether by true or false.`);
      if (value.value === (name === "skip")) kept = false;
    }
    return kept;
  }

  #fragment(
    one: Exclude<SelectionNode, FieldNode>,
    parent: string,
    rule: TypeRule,
    at: { depth: number; times: number; within: readonly string[] },
  ): InlineFragmentNode {
    let fragment: FragmentDefinitionNode | InlineFragmentNode = one as InlineFragmentNode;
    let { within } = at;
    if (one.kind === Kind.FRAGMENT_SPREAD) {
      const name = one.name.value;
      const found = this.#fragments.get(name);
      if (!found) throw new Refused(`There is no fragment ${quoted(name)}.`);
      if (within.includes(name)) throw new Refused(`The fragment ${quoted(name)} contains itself.`);
      this.#noDirectives(found.directives);
      if ((found.variableDefinitions?.length ?? 0) > 0 || (one.arguments?.length ?? 0) > 0)
        throw new Refused("A fragment takes no variables of its own here.");
      fragment = found;
      within = [...within, name];
    }
    const on = fragment.typeCondition?.name.value ?? parent;
    if (on !== parent && !rule.possible.includes(on))
      throw new Refused(`A ${parent} is not looked at as ${quoted(on)} here.`);
    const selectionSet = this.#selections(fragment.selectionSet, on, { ...at, depth: at.depth + 1, within });
    return {
      ...{ kind: Kind.INLINE_FRAGMENT, selectionSet },
      typeCondition: { kind: Kind.NAMED_TYPE, name: nameNode(on) },
    };
  }

  #field(
    one: FieldNode,
    parent: string,
    rule: TypeRule,
    at: { depth: number; times: number; within: readonly string[] },
  ): FieldNode {
    const name = one.name.value;
    const alias = one.alias?.value ?? null;
    if (alias !== null) {
      this.#aliases += 1;
      if (this.#aliases > MAX_ALIASES) throw new Refused(`A query has at most ${MAX_ALIASES} aliases.`);
      if (/^(?:__|x1_)/.test(alias)) throw new Refused(`An alias does not begin like ${quoted(alias)}.`);
    }
    const known = name === "__typename" ? null : rule.fields.get(name);
    if (known === undefined) throw new Refused(`The field ${parent}.${name.slice(0, 60)} is not served here.`);
    if (!known?.to) {
      if (one.selectionSet) throw new Refused(`${parent}.${name} has no fields.`);
      return field(name, alias, { arguments: known ? this.#arguments(one, parent, known).written : [] });
    }
    if (!one.selectionSet) throw new Refused(`Name the fields of ${parent}.${name} that are wanted.`);
    const { written, size } =
      parent === "Query" && name === "repository"
        ? { written: this.#repository(one), size: 1 }
        : this.#arguments(one, parent, known);
    const times = at.times * size;
    if (known.paged) this.#nodes += times;
    if (this.#nodes > MAX_NODES)
      throw new Refused(`A query brings at most ${MAX_NODES} things: ask for fewer at once.`);
    const selectionSet = this.#selections(one.selectionSet, known.to, { ...at, depth: at.depth + 1, times });
    return field(name, alias, { arguments: written, selectionSet });
  }

  /** The job's own repository, whatever was said: what was said must be it. */
  #repository(one: FieldNode): ArgumentNode[] {
    const wanted = this.#forge.fullName.split("/");
    const like: Input = { kind: "text", name: "String", like: /^[\w.-]{1,100}$/ };
    const said = new Map<string, string>();
    for (const { name, value } of one.arguments ?? []) {
      const known = name.value === "owner" || name.value === "name";
      if (!known || said.has(name.value)) throw new Refused("A repository is named by owner and name.");
      const given = this.#value(value, like, `repository(${name.value}:)`);
      said.set(name.value, given?.kind === Kind.STRING ? given.value : "");
    }
    if (said.get("owner") !== wanted[0] || said.get("name") !== wanted[1])
      throw new Refused(`Only the job's own repository is served, spelt ${this.#forge.fullName}.`);
    const [owner = "", name = ""] = wanted;
    return [
      ...[argument("owner", text(owner)), argument("name", text(name))],
      // Where it was renamed, another one may have its name by now.
      argument("followRenames", { kind: Kind.BOOLEAN, value: false }),
    ];
  }

  /** A field's arguments written anew; `size` is how many things a connection brings. */
  #arguments(one: FieldNode, parent: string, known: Field): { written: ArgumentNode[]; size: number } {
    const written: ArgumentNode[] = [];
    const seen = new Set<string>();
    let size: number | null = null;
    for (const { name, value } of one.arguments ?? []) {
      const where = `${parent}.${one.name.value}(${name.value.slice(0, 60)}:)`;
      const input = Object.hasOwn(known.args, name.value) ? known.args[name.value] : undefined;
      if (!input || seen.has(name.value)) throw new Refused(`The argument ${where} is not served here.`);
      const made = this.#value(value, input, where);
      if (made === null) continue;
      seen.add(name.value);
      written.push(argument(name.value, made));
      if (known.paged && ["first", "last"].includes(name.value) && made.kind === Kind.INT) size = Number(made.value);
    }
    const lacking = known.needs.find((name) => !seen.has(name));
    if (lacking !== undefined) throw new Refused(`${parent}.${one.name.value} takes ${lacking}.`);
    if (known.paged && (size === null || (seen.has("first") && seen.has("last"))))
      throw new Refused(`${parent}.${one.name.value} takes first or last, which says how many.`);
    return { written, size: size ?? 1 };
  }

  /** A value of the input's kind, without variables; null where there is none. `where` is for a refusal's sentence. */
  #value(node: ValueNode, input: Input, where: string): ConstValueNode | null {
    if (node.kind === Kind.VARIABLE) {
      const name = node.name.value;
      const declared = this.#declared.get(name);
      if (!declared) throw new Refused(`The variable ${quoted(name)} is not declared.`);
      if (typeText(declared.type) !== input.name)
        throw new Refused(`The variable ${quoted(name)} is no ${input.name}, which ${where} takes.`);
      const given = this.#variables.get(name);
      if (given !== undefined && given !== null) return this.#fromJson(given, input, where);
      if (declared.type.kind === Kind.NON_NULL_TYPE && (given === null || !declared.defaultValue))
        throw new Refused(`The variable ${quoted(name)} has no value.`);
      if (given === null || !declared.defaultValue) return null;
      return this.#value(declared.defaultValue, input, where);
    }
    if (node.kind === Kind.NULL) return null;
    const no = () => new Refused(`${where} is not served with this value: it takes ${input.name}, bounded.`);
    switch (input.kind) {
      case "int":
        return node.kind === Kind.INT ? this.#fromJson(Number(node.value), input, where) : fail(no());
      case "text":
        return node.kind === Kind.STRING ? this.#fromJson(node.value, input, where) : fail(no());
      case "boolean":
        return node.kind === Kind.BOOLEAN ? { kind: Kind.BOOLEAN, value: node.value } : fail(no());
      case "enum":
        return node.kind === Kind.ENUM ? this.#fromJson(node.value, input, where) : fail(no());
      case "list": {
        // One alone is a list of one.
        const all = node.kind === Kind.LIST ? node.values : [node];
        if (all.length > input.most) throw no();
        return { kind: Kind.LIST, values: all.map((inner) => this.#value(inner, input.of, where) ?? fail(no())) };
      }
      case "object": {
        if (node.kind !== Kind.OBJECT) throw no();
        const given = new Map(node.fields.map((inner) => [inner.name.value, inner.value]));
        if (given.size !== node.fields.length) throw no();
        return this.#object(given, input, (inner, of) => this.#value(inner, of, where), no);
      }
    }
  }

  /** The same for a variable's value. */
  #fromJson(given: unknown, input: Input, where: string): ConstValueNode {
    const no = () => new Refused(`${where} is not served with this value: it takes ${input.name}, bounded.`);
    switch (input.kind) {
      case "int": {
        if (typeof given !== "number" || !Number.isInteger(given) || given < input.min || given > input.max) throw no();
        return { kind: Kind.INT, value: String(given) };
      }
      case "text":
        if (typeof given !== "string" || !input.like.test(given)) throw no();
        return text(given);
      case "boolean":
        if (typeof given !== "boolean") throw no();
        return { kind: Kind.BOOLEAN, value: given };
      case "enum":
        if (typeof given !== "string" || !input.values.includes(given)) throw no();
        return { kind: Kind.ENUM, value: given };
      case "list": {
        const all: unknown[] = Array.isArray(given) ? given : [given];
        if (all.length > input.most) throw no();
        return { kind: Kind.LIST, values: all.map((inner) => this.#fromJson(inner, input.of, where)) };
      }
      case "object": {
        if (typeof given !== "object" || given === null || Array.isArray(given)) throw no();
        const inner = new Map(Object.entries(given as Record<string, unknown>));
        return this.#object(inner, input, (value, of) => this.#fromJson(value, of, where), no);
      }
    }
  }

  #object<T>(
    given: ReadonlyMap<string, T>,
    input: Extract<Input, { kind: "object" }>,
    make: (value: T, of: Input) => ConstValueNode | null,
    no: () => Refused,
  ): ConstValueNode {
    const fields = [...given].map(([name, value]) => {
      const of = Object.hasOwn(input.fields, name) ? input.fields[name] : undefined;
      const made = of ? make(value, of) : null;
      if (made === null) throw no();
      const field: ConstObjectFieldNode = { kind: Kind.OBJECT_FIELD, name: nameNode(name), value: made };
      return field;
    });
    if (fields.length !== Object.keys(input.fields).length) throw no();
    return { kind: Kind.OBJECT, fields };
  }
}

function fail(error: Refused): never {
  throw error;
}

/**
 * GitHub's answer with `data` and `errors` only, and without what of it is another repository's: an issue that was moved
 * there, or a field that leads further than the table thinks. Pure.
 */
export function ownAnswer(forge: SidecarForge, answer: unknown): unknown {
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) return {};
  const { data, errors, message } = answer as Record<string, unknown>;
  const own = forge.fullName.toLowerCase();
  const others = { found: false };
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean);
    if (typeof value !== "object" || value === null) return value;
    const { [MARK]: mark, ...rest } = value as Record<string, unknown>;
    if (mark !== undefined) {
      const name = (mark as { nameWithOwner?: unknown } | null)?.nameWithOwner;
      if (typeof name !== "string" || name.toLowerCase() !== own) {
        others.found = true;
        return null;
      }
    }
    return Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, clean(inner)]));
  };
  const kept = clean(data);
  const told = [
    ...(Array.isArray(errors) ? errors : []),
    ...(others.found ? [{ type: "FORBIDDEN", message: "Something of another repository was left out." }] : []),
  ];
  return {
    ...(data === undefined ? {} : { data: kept }),
    ...(told.length > 0 ? { errors: told } : {}),
    ...(message === undefined ? {} : { message }),
  };
}
