import { z } from "zod";
import { errorCodes } from "./errors.ts";
import { EventEnvelope, observedEvents, reportedEvents, StoredEvent } from "./event.ts";
import { ApprovalSubject, EvidenceRecord } from "./evidence.ts";
import { AnswerRequest, HostHealth, HostState, InjectRequest, ModelRequest, StartRequest } from "./input.ts";
import { RuntimeManifest } from "./manifest.ts";
import { routes } from "./routes.ts";

/** JSON Schema as plain data. */
export type JsonSchema = { [key: string]: unknown };

const toSchema = (schema: z.ZodType, io: "input" | "output"): JsonSchema => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest as JsonSchema;
};

/** Every schema of the runtime contract and the HTTP API by name: what a release stores and a later one is held against. */
export function contractSchemas(): Record<string, JsonSchema> {
  const named: Record<string, JsonSchema> = {
    "error-codes": { enum: Object.keys(errorCodes) },
    envelope: toSchema(EventEnvelope, "output"),
    "stored-event": toSchema(StoredEvent, "output"),
    manifest: toSchema(RuntimeManifest, "input"),
    evidence: toSchema(EvidenceRecord, "output"),
    "approval-subject": toSchema(ApprovalSubject, "output"),
    "input/start": toSchema(StartRequest, "input"),
    "input/inject": toSchema(InjectRequest, "input"),
    "input/answer": toSchema(AnswerRequest, "input"),
    "input/model": toSchema(ModelRequest, "input"),
    "host/health": toSchema(HostHealth, "output"),
    "host/state": toSchema(HostState, "output"),
  };
  for (const [type, schema] of Object.entries(reportedEvents)) named[`event/${type}`] = toSchema(schema, "input");
  for (const [type, schema] of Object.entries(observedEvents)) named[`event/${type}`] = toSchema(schema, "input");
  for (const [name, route] of Object.entries(routes)) {
    named[`route/${name}`] = { const: `${route.method} ${route.path} ${route.kind} ${route.status}` };
    if ("query" in route) named[`route/${name}/query`] = toSchema(route.query, "input");
    if ("body" in route) named[`route/${name}/body`] = toSchema(route.body, "input");
    named[`route/${name}/response`] = toSchema(route.response, "output");
  }
  return named;
}

const upperBounds = ["maxLength", "maximum", "maxItems", "maxProperties"] as const;
const lowerBounds = ["minLength", "minimum", "minItems", "minProperties"] as const;
const alternatives = ["anyOf", "oneOf", "allOf"] as const;
/** Keywords with a comparison of their own, and those that bind nobody. Of any other, another value is a break. */
const compared: ReadonlySet<string> = new Set([
  ...["type", "const", "enum", "properties", "required", "items", "additionalProperties"],
  ...[...upperBounds, ...lowerBounds, ...alternatives],
  ...["description", "title", "default", "examples", "deprecated"],
]);
/** Schemas of what only this build says: a field that is new there and always said breaks nobody who reads. */
const ours = /^(route\/\w+\/response|evidence|approval-subject)/;
const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null;

/**
 * What in `next` breaks a peer that was built against `previous`. Within a major, names are only added: a property that
 * goes away, changes its type, becomes (or stops being) required, an enum value that goes away, a bound that gets
 * tighter, values limited that were free, and any change of a keyword that is not known here are each a sentence; an
 * empty list means compatible. `at` begins with the schema's name in `contractSchemas`.
 */
export function incompatibilities(previous: JsonSchema, next: JsonSchema | undefined, at: string): string[] {
  if (!next) return [`${at}: was removed`];
  const found: string[] = [];
  const differs = (key: string) => JSON.stringify(previous[key]) !== JSON.stringify(next[key]);
  const change = (key: string) => `${JSON.stringify(previous[key])} became ${JSON.stringify(next[key])}`;
  if (differs("type")) found.push(`${at}: type ${change("type")}`);
  if ("const" in previous && previous.const !== next.const) found.push(`${at}: constant ${change("const")}`);
  if (Array.isArray(previous.enum)) {
    for (const value of previous.enum)
      if (!Array.isArray(next.enum) || !next.enum.includes(value))
        found.push(`${at}: value ${JSON.stringify(value)} was removed`);
  } else if (("enum" in next || "const" in next) && !("const" in previous)) found.push(`${at}: values were limited`);
  for (const key of new Set([...Object.keys(previous), ...Object.keys(next)]))
    if (!compared.has(key) && differs(key)) found.push(`${at}: ${key} changed`);
  for (const bound of upperBounds)
    if (typeof next[bound] === "number" && (typeof previous[bound] !== "number" || next[bound] < previous[bound]))
      found.push(`${at}: ${bound} got tighter`);
  for (const bound of lowerBounds)
    if (typeof next[bound] === "number" && (typeof previous[bound] !== "number" || next[bound] > previous[bound]))
      found.push(`${at}: ${bound} got tighter`);

  const before = (previous.properties ?? {}) as Record<string, JsonSchema>;
  const after = (next.properties ?? {}) as Record<string, JsonSchema>;
  for (const [name, schema] of Object.entries(before))
    found.push(...incompatibilities(schema, after[name], `${at}.${name}`));
  const required = (schema: JsonSchema) => new Set((schema.required ?? []) as string[]);
  for (const name of required(next))
    if (!required(previous).has(name) && (name in before || !ours.test(at)))
      found.push(`${at}.${name}: became required`);
  for (const name of required(previous))
    if (name in after && !required(next).has(name)) found.push(`${at}.${name}: is no longer always there`);

  // What was closed may be opened; what took anything, and whoever kept what it did not know, has to go on so.
  const [others, othersNow] = [previous.additionalProperties, next.additionalProperties];
  if (isSchema(others) && isSchema(othersNow)) found.push(...incompatibilities(others, othersNow, `${at}.*`));
  else if (others !== false && differs("additionalProperties"))
    found.push(`${at}: other fields are not taken as before`);
  if (previous.items)
    found.push(...incompatibilities(previous.items as JsonSchema, next.items as JsonSchema | undefined, `${at}[]`));
  else if (next.items) found.push(`${at}[]: values were limited`);
  for (const key of alternatives) {
    const choices = (previous[key] ?? []) as JsonSchema[];
    const offered = (next[key] ?? []) as JsonSchema[];
    if (offered.length > 0 && (choices.length === 0 || (key === "allOf" && offered.length > choices.length)))
      found.push(`${at}: ${key} was added`);
    for (const [index, choice] of choices.entries()) {
      const fits = offered.some((other) => incompatibilities(choice, other, at).length === 0);
      if (!fits) found.push(`${at}: alternative ${index + 1} of ${key} was removed or changed`);
    }
  }
  return found;
}
