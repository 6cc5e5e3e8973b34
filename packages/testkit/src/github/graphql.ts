import {
  type DocumentNode,
  execute,
  type FieldNode,
  type GraphQLError,
  type GraphQLFieldResolver,
  getOperationAST,
  Kind,
  OverlappingFieldsCanBeMergedRule,
  parse,
  type SelectionSetNode,
  specifiedRules,
  validate,
} from "graphql";
import type { Shape } from "./description.ts";
import { githubSchema } from "./graphql-schema.ts";
import { type GraphqlCall, GraphqlError, type Tree, Trees } from "./graphql-trees.ts";
import { Refused } from "./model.ts";
import type { Answer } from "./server.ts";

/**
 * Answers GraphQL by GitHub's published schema: a request that does not fit it is refused as GitHub does, and every value of
 * an answer is held against it. Only a part of it is played (`graphql-trees.ts`); a field beyond that is an error in
 * GraphQL's own shape, so that nothing passes by accident.
 */

/** `problem`: the request does not fit the schema; `broken`: the answer does not, which is a mistake of the stand-in. */
export type Answered = { answer: Answer; problem?: string; broken?: string };

/** A value or function of the tree that is asked; what is not there is not played. */
const fieldOf: GraphQLFieldResolver<Tree, unknown> = (tree, args: Shape, _context, { fieldName, parentType }) => {
  if (!(fieldName in tree))
    throw new GraphqlError("undefinedField", `Field '${fieldName}' doesn't exist on type '${parentType.name}'`);
  const held = tree[fieldName];
  return typeof held === "function" ? (held as (args: Shape) => unknown)(args) : held;
};

const keyOf = ({ alias, name }: FieldNode) => (alias ?? name).value;
const fieldsOf = (set: SelectionSetNode | undefined) =>
  (set?.selections ?? []).flatMap((one) => (one.kind === Kind.FIELD ? [one] : []));

/** gh asks an Enterprise Server which fields a type has before it uses newer ones: it is told of none. */
function toldOfTypes(document: DocumentNode): Shape | null {
  const [operation] = document.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) return null;
  const asked = fieldsOf(operation.selectionSet);
  if (asked.some(({ name }) => name.value !== "__type")) return null;
  const none = (set: SelectionSetNode | undefined) => Object.fromEntries(fieldsOf(set).map((one) => [keyOf(one), []]));
  return Object.fromEntries(asked.map((one) => [keyOf(one), none(one.selectionSet)]));
}

/** GitHub lets `state` of an issue and of a pull request stand side by side, as its own gh asks for them. */
const rules = specifiedRules.filter((rule) => rule !== OverlappingFieldsCanBeMergedRule);

const refused = (type: string, message: string, extra: Shape = {}): Answer => ({
  status: 200,
  body: { errors: [{ type, message, locations: [{ line: 1, column: 1 }], ...extra }] },
});

/** Answers one GraphQL request. */
export async function graphql(call: GraphqlCall): Promise<Answered> {
  if (call.principal.kind !== "token") throw new Refused(401, "This endpoint requires you to be authenticated.");
  const { query, variables, operationName } = call.body as {
    query?: string;
    variables?: Shape;
    operationName?: string;
  };
  if (!query)
    return { answer: { status: 400, body: { message: "A query attribute must be specified and must be a string." } } };
  let document: DocumentNode;
  try {
    document = parse(query, { maxTokens: 5000 });
  } catch (error) {
    return { answer: refused("PARSE", (error as Error).message), problem: `request: ${(error as Error).message}` };
  }
  const types = toldOfTypes(document);
  if (types) return { answer: { status: 200, body: { data: types } } };
  const schema = githubSchema();
  const [wrong] = validate(schema, document, rules);
  if (wrong) return { answer: refused("undefinedField", wrong.message), problem: `request: ${wrong.message}` };
  const operation = getOperationAST(document, operationName)?.operation;
  if (!operation || operation === "subscription")
    return { answer: refused("MISSING_OPERATION", "No operation found"), problem: "request: no operation" };
  const trees = new Trees(call, call.token);
  const { data, errors } = await execute({
    ...{ schema, document, operationName: operationName ?? null, variableValues: variables ?? {} },
    rootValue: operation === "mutation" ? trees.mutation() : trees.query(),
    fieldResolver: fieldOf as GraphQLFieldResolver<unknown, unknown>,
  });
  if (!errors) return { answer: { status: 200, body: { data } } };
  const told = errors.map(tellOf);
  const broken = told.find(({ mistake }) => mistake !== undefined)?.mistake;
  const body = { ...(data ? { data } : {}), errors: told.map(({ tell }) => tell) };
  return { answer: { status: 200, body }, ...(broken ? { broken: `answer: ${broken}` } : {}) };
}

/** An error as GitHub tells it; `mistake` where it is the stand-in's own. */
function tellOf(error: GraphQLError): { tell: Shape; mistake?: string } {
  const { originalError, message, path = [], locations = [] } = error;
  const tell = (type: string, words = message) => ({ type, message: words, path, locations });
  if (originalError instanceof GraphqlError) return { tell: tell(originalError.kind) };
  if (originalError instanceof Refused) {
    const type = { 404: "NOT_FOUND", 403: "FORBIDDEN" }[originalError.status as 404] ?? "UNPROCESSABLE";
    return { tell: tell(type, refusalText(originalError)) };
  }
  // A variable's value that does not fit is the client's: it has no place in the answer.
  if (path.length === 0) return { tell: tell("INVALID_VARIABLE") };
  return { tell: tell("INTERNAL"), mistake: `${path.join(".")}: ${message}` };
}

function refusalText(error: Refused): string {
  const first = (error.body.errors as unknown[] | undefined)?.[0];
  if (typeof first === "string") return first;
  return String((first as Shape | undefined)?.message ?? error.message);
}
