import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { Ajv, type ValidateFunction } from "ajv";
import formats from "ajv-formats";

/**
 * GitHub's published OpenAPI description (`@octokit/openapi`, the form with references), read once for a process and
 * compiled piece by piece: 13 MB parse in a tenth of a second, all its schemas would take minutes to compile.
 */

export type Shape = Record<string, unknown>;
type Parameter = { name: string; in: string; required: boolean; schema: Shape; multi: boolean };
/** One operation as the description has it. */
export type Operation = {
  id: string;
  method: string;
  /** `/repos/{owner}/{repo}/issues` */
  path: string;
  parameters: Parameter[];
  body: { required: boolean; schema: Shape } | undefined;
  /** Status to schema; `undefined` where the answer has no JSON body. */
  responses: Map<number, Shape | undefined>;
  documentation: string;
};
type Route = { operation: Operation; pattern: RegExp; names: string[]; literals: number };
/** Why a message does not fit: where, and what. */
export type Misfit = { where: string; message: string; missing?: string };

const componentPrefix = "#/components/schemas/";

/**
 * The description's own mistakes, mended where they are met. An installation's account in the listing of an App's
 * installations is described as a user and an enterprise at once (`allOf`); everywhere else it is one of the two. An
 * event's payload is to fit exactly one of sixteen (`oneOf`), but a comment's also fits that of an issue. A remark's
 * `line` and `position` are described as numbers; GitHub gives null for both once it is outdated.
 */
function mended(schema: Shape): Shape {
  if (Array.isArray(schema.oneOf) && (schema.oneOf[0] as Shape)?.$ref === `${componentPrefix}create-event`) {
    const { oneOf, ...rest } = schema;
    return { ...rest, anyOf: oneOf };
  }
  if (schema.title === "Pull Request Review Comment" || schema.title === "Legacy Review Comment") {
    const { line, position, ...rest } = schema.properties as Record<string, Shape>;
    const orNull = { line: { ...line, nullable: true }, position: { ...position, nullable: true } };
    return { ...schema, properties: { ...rest, ...orNull } };
  }
  const titles = Array.isArray(schema.allOf) ? (schema.allOf as Shape[]).map((one) => one.title) : [];
  if (titles.join() !== "Simple User,Enterprise") return schema;
  const { allOf, ...rest } = schema;
  return { ...rest, anyOf: allOf };
}

/** OpenAPI 3.0's dialect as plain JSON Schema: `nullable` becomes a type, references become ids of their own. */
function plain(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(plain);
  if (typeof node !== "object" || node === null) return node;
  const source = mended(node as Shape);
  if (typeof source.$ref === "string") return { $ref: `gh:${source.$ref.slice(componentPrefix.length)}` };
  const out: Shape = {};
  for (const [key, value] of Object.entries(source)) {
    if (key === "nullable" || key === "example" || key === "examples" || key === "description") continue;
    if (key === "discriminator" || key === "externalDocs" || key === "default" || key.startsWith("x-")) continue;
    if (key === "properties" && value && typeof value === "object")
      out[key] = Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, plain(schema)]));
    else out[key] = key === "enum" || key === "required" || key === "const" ? value : plain(value);
  }
  if (source.nullable !== true) return out;
  if (Array.isArray(out.enum) && !out.enum.includes(null)) out.enum = [...out.enum, null];
  if (typeof out.type === "string") return { ...out, type: [out.type, "null"] };
  return { anyOf: [out, { type: "null" }] };
}

function referencesOf(node: unknown, found: Set<string>): void {
  if (Array.isArray(node)) for (const item of node) referencesOf(item, found);
  else if (typeof node === "object" && node !== null) {
    const ref = (node as Shape).$ref;
    if (typeof ref === "string" && ref.startsWith(componentPrefix)) found.add(ref.slice(componentPrefix.length));
    for (const value of Object.values(node)) referencesOf(value, found);
  }
}

export class Description {
  readonly #document: Shape;
  readonly #routes = new Map<string, Route[]>();
  readonly #byId = new Map<string, Operation>();
  readonly #ajv: Ajv;
  readonly #lenient: Ajv;
  readonly #added = new Set<string>();
  readonly #compiled = new Map<unknown, ValidateFunction>();

  constructor(document: Shape) {
    this.#document = document;
    const make = (coerceTypes: boolean | "array") => {
      const ajv = new Ajv({
        strict: false,
        validateSchema: false,
        logger: false,
        coerceTypes,
        inlineRefs: false,
        // A union's own message says less than the branch's.
        allErrors: false,
      });
      (formats as unknown as (target: Ajv) => void)(ajv);
      // GitHub passes on whatever a commit says, such as a name of one machine without a dot.
      ajv.addFormat("email", /@/);
      return ajv;
    };
    this.#ajv = make(false);
    this.#lenient = make("array");
    for (const [path, item] of Object.entries(document.paths as Record<string, Record<string, Shape>>))
      for (const [method, raw] of Object.entries(item)) {
        if (!["get", "put", "post", "patch", "delete"].includes(method)) continue;
        this.#index(this.#operation(method.toUpperCase(), path, raw));
      }
    for (const routes of this.#routes.values()) routes.sort((a, b) => b.literals - a.literals);
  }

  #follow(node: Shape): Shape {
    const ref = node.$ref;
    if (typeof ref !== "string") return node;
    const target = ref
      .slice(2)
      .split("/")
      .reduce<unknown>((at, key) => (at as Shape)[key.replaceAll("~1", "/").replaceAll("~0", "~")], this.#document);
    return this.#follow(target as Shape);
  }

  #json(node: unknown): Shape | undefined {
    const content = (node as Shape | undefined)?.content as Record<string, Shape> | undefined;
    return content?.["application/json"]?.schema as Shape | undefined;
  }

  #operation(method: string, path: string, raw: Shape): Operation {
    const parameters = ((raw.parameters as Shape[] | undefined) ?? []).map((given) => {
      const parameter = this.#follow(given);
      return {
        name: String(parameter.name),
        in: String(parameter.in),
        required: parameter.required === true,
        schema: (parameter.schema ?? {}) as Shape,
        multi: parameter["x-multi-segment"] === true,
      };
    });
    const requestBody = raw.requestBody ? this.#follow(raw.requestBody as Shape) : undefined;
    const schema = this.#json(requestBody);
    const responses = new Map<number, Shape | undefined>();
    for (const [status, response] of Object.entries((raw.responses ?? {}) as Record<string, Shape>))
      responses.set(Number(status), this.#json(this.#follow(response)));
    return {
      id: String(raw.operationId),
      method,
      path,
      parameters,
      body: schema ? { required: requestBody?.required === true, schema } : undefined,
      responses,
      documentation: String((raw.externalDocs as Shape | undefined)?.url ?? "https://docs.github.com/rest"),
    };
  }

  #index(operation: Operation): void {
    const names: string[] = [];
    const source = operation.path.replace(/\{([^}]+)\}|[.*+?^$()|[\]\\]/g, (whole, name: string | undefined) => {
      if (name === undefined) return `\\${whole}`;
      names.push(name);
      return operation.parameters.find((parameter) => parameter.name === name)?.multi ? "(.*)" : "([^/]+)";
    });
    // A path of several segments at the end may be empty: `/contents` is the root folder.
    const whole = source.replace(/\/\(\.\*\)$/, "(?:/(.*))?");
    const literals = operation.path.split("/").filter((segment) => !segment.includes("{")).length;
    const routes = this.#routes.get(operation.method) ?? [];
    routes.push({ operation, pattern: new RegExp(`^${whole}$`), names, literals });
    this.#routes.set(operation.method, routes);
    this.#byId.set(operation.id, operation);
  }

  /** The operation by its id, as `issues/create`; a wrong id is a bug of the caller. */
  operation(id: string): Operation {
    const operation = this.#byId.get(id);
    if (!operation) throw new Error(`GitHub's description has no operation ${id}`);
    return operation;
  }

  /** Finds the operation of a path as it stood in the request line (not decoded), without the query. */
  match(method: string, path: string): { operation: Operation; parameters: Record<string, string> } | undefined {
    for (const route of this.#routes.get(method) ?? []) {
      const found = route.pattern.exec(path);
      if (!found) continue;
      const parameters: Record<string, string> = {};
      for (const [index, name] of route.names.entries()) {
        try {
          parameters[name] = decodeURIComponent(found[index + 1] ?? "");
        } catch {
          return undefined;
        }
      }
      return { operation: route.operation, parameters };
    }
    return undefined;
  }

  #validator(schema: Shape, ajv = this.#ajv): ValidateFunction {
    const known = this.#compiled.get(schema);
    if (known) return known;
    const missing = new Set<string>();
    referencesOf(schema, missing);
    for (const name of missing) {
      if (this.#added.has(name)) continue;
      this.#added.add(name);
      const component = (this.#document.components as { schemas: Record<string, Shape> }).schemas[name]!;
      const id = `gh:${name}`;
      this.#ajv.addSchema(plain(component) as Shape, id);
      this.#lenient.addSchema(plain(component) as Shape, id);
      // A set grows while it is walked: its components' own references follow.
      referencesOf(component, missing);
    }
    const validate = ajv.compile(plain(schema) as Shape);
    this.#compiled.set(schema, validate);
    return validate;
  }

  #check(schema: Shape, value: unknown, where: string): Misfit | undefined {
    const validate = this.#validator(schema);
    if (validate(value)) return undefined;
    const errors = validate.errors ?? [];
    const first = errors[0];
    const missing = first?.keyword === "required" ? String((first.params as Shape).missingProperty) : undefined;
    return {
      where: `${where}${first?.instancePath ?? ""}`,
      message: errors
        .slice(0, 4)
        .map((error) => `${error.instancePath || "/"} ${error.message}`)
        .join("; "),
      ...(missing ? { missing } : {}),
    };
  }

  /**
   * Holds a request against its operation. Path and query values come as text and are returned as the description types
   * them; unknown names stay out, as GitHub leaves them out, and are told as `stray`.
   */
  checkRequest(
    operation: Operation,
    request: { path: Record<string, string>; query: URLSearchParams; body: unknown },
  ): { values: Shape; stray: string[] } | Misfit {
    const values: Shape = {};
    const known = new Set(operation.parameters.map((parameter) => parameter.name));
    const stray = [...request.query.keys()].filter((name) => !known.has(name));
    for (const parameter of operation.parameters) {
      if (parameter.in !== "path" && parameter.in !== "query") continue;
      const given =
        parameter.in === "path" ? request.path[parameter.name] : (request.query.get(parameter.name) ?? undefined);
      if (given === undefined) {
        if (parameter.required)
          return { where: parameter.name, message: `${parameter.name} is required`, missing: parameter.name };
        const fallback = this.#follow(parameter.schema).default;
        if (fallback !== undefined) values[parameter.name] = fallback;
        continue;
      }
      const holder = { value: given as unknown };
      const validate = this.#validator(this.#wrapped(parameter.schema), this.#lenient);
      if (!validate(holder))
        return { where: parameter.name, message: `${parameter.name} ${validate.errors?.[0]?.message ?? "is wrong"}` };
      values[parameter.name] = holder.value;
    }
    if (operation.body) {
      if (request.body === undefined) {
        if (operation.body.required && this.#needsBody(operation.body.schema))
          return { where: "body", message: "a body is required" };
      } else {
        const misfit = this.#check(operation.body.schema, request.body, "body");
        if (misfit) return misfit;
        stray.push(...this.#strayFields(operation.body.schema, request.body));
      }
    }
    return { values, stray };
  }

  readonly #wrappers = new Map<Shape, Shape>();
  #wrapped(schema: Shape): Shape {
    const known = this.#wrappers.get(schema);
    if (known) return known;
    const wrapper = { type: "object", properties: { value: schema } };
    this.#wrappers.set(schema, wrapper);
    return wrapper;
  }

  /** Names at the top of a body that its schema does not know in any of its forms. */
  #strayFields(schema: Shape, body: unknown): string[] {
    if (typeof body !== "object" || body === null || Array.isArray(body)) return [];
    const known = new Set<string>();
    const collect = (node: Shape): boolean => {
      const at = this.#follow(node);
      for (const name of Object.keys((at.properties ?? {}) as Shape)) known.add(name);
      const parts = [at.oneOf, at.anyOf, at.allOf].flat().filter(Boolean) as Shape[];
      return (at.additionalProperties !== undefined && at.additionalProperties !== false) || parts.some(collect);
    };
    return collect(schema) ? [] : Object.keys(body).filter((name) => !known.has(name));
  }

  #needsBody(schema: Shape): boolean {
    const required = this.#follow(schema).required;
    return Array.isArray(required) && required.length > 0;
  }

  /** Holds an answer against its operation: a success the description does not know is a misfit too. */
  checkResponse(operation: Operation, status: number, body: unknown): Misfit | undefined {
    const where = `${operation.id} ${status}`;
    if (!operation.responses.has(status)) {
      if (status < 400) return { where, message: `the description has no answer ${status} here` };
      return this.#check({ $ref: `${componentPrefix}basic-error` }, body, where);
    }
    const schema = operation.responses.get(status);
    if (schema === undefined) {
      // Errors and redirects may speak where the description is silent.
      if (status < 300 && body !== undefined && typeof body !== "string")
        return { where, message: "the description has no body here" };
      return undefined;
    }
    return this.#check(schema, body, where);
  }

  /** Holds a webhook's payload against the description, where that knows the event. */
  checkWebhook(event: string, action: string | undefined, payload: unknown): Misfit | undefined {
    const hooks = this.#document["x-webhooks"] as Record<string, Record<string, Shape>>;
    const name = [event, action].filter(Boolean).join("-").replaceAll("_", "-");
    const schema = this.#json(hooks[name]?.post?.requestBody);
    return schema ? this.#check(schema, payload, `webhook ${name}`) : undefined;
  }

  /** Whether the description knows this event and action. */
  knowsWebhook(event: string, action: string | undefined): boolean {
    const hooks = this.#document["x-webhooks"] as Record<string, Shape>;
    return [event, action].filter(Boolean).join("-").replaceAll("_", "-") in hooks;
  }
}

let loaded: Promise<Description> | undefined;
/** The description, read at the first call. */
export function description(): Promise<Description> {
  loaded ??= readFile(
    createRequire(import.meta.url).resolve("@octokit/openapi/generated/api.github.com.json"),
    "utf8",
  ).then((text) => new Description(JSON.parse(text) as Shape));
  return loaded;
}
