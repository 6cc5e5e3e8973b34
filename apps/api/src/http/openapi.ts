import { CONTRACT_VERSION, errorCodes, Problem, type Route, routes } from "@x1agent/contract";
import { z } from "zod";

type Json = Record<string, unknown>;
let cached: Json | undefined;

const schemaOf = (schema: z.ZodType, io: "input" | "output"): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest as Json;
};

/** The OpenAPI 3.1 document of the route table. Made once: the table does not change while we run. */
export function openApi(): Json {
  cached ??= build();
  return cached;
}

function build(): Json {
  const paths: Record<string, Json> = {};
  for (const [name, entry] of Object.entries(routes)) {
    const route: Route = entry;
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name, route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "x1agent",
      version: CONTRACT_VERSION,
      description:
        "Operate coding agents: goals in, approved changes out. Every path needs a bearer token, except where it says otherwise.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas: { Problem: schemaOf(Problem, "output") },
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(name: string, route: Route): Json {
  const codes = [
    ...new Set([...(route.scope ? (["unauthenticated", "forbidden"] as const) : []), ...route.errors]),
    ...(route.body || route.query ? (["invalid_request"] as const) : []),
  ];
  const responses: Record<string, Json> = {
    [route.status]: { description: "Done.", content: answer(route) },
  };
  for (const code of new Set(codes)) {
    const status = String(errorCodes[code].status);
    const before = responses[status]?.description;
    responses[status] = {
      description: before ? `${before} ${code}: ${errorCodes[code].title}.` : `${code}: ${errorCodes[code].title}.`,
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    };
  }
  return {
    operationId: name,
    summary: route.summary,
    tags: [route.path.split("/")[3] ?? "service"],
    security: route.scope ? [{ token: [] }] : [],
    ...(route.scope ? { "x-scope": route.scope } : {}),
    parameters: parameters(route),
    ...(route.body
      ? { requestBody: { required: true, content: { "application/json": { schema: schemaOf(route.body, "input") } } } }
      : {}),
    responses,
  };
}

function answer(route: Route): Json {
  const schema = schemaOf(route.response, "output");
  switch (route.kind) {
    case "sse":
      return {
        "text/event-stream": {
          schema: { type: "string", description: "One JSON document per `data:` line." },
          "x-event-schema": schema,
        },
      };
    case "text":
      return { "text/plain": { schema } };
    case "bytes":
      return { "application/octet-stream": { schema: { type: "string", format: "binary" } } };
    default:
      return { "application/json": { schema } };
  }
}

function parameters(route: Route): Json[] {
  const found: Json[] = [...route.path.matchAll(/:(\w+)/g)].map((match) => ({
    name: match[1],
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  if (route.query) {
    const query = schemaOf(route.query, "input") as { properties?: Record<string, Json>; required?: string[] };
    for (const [name, schema] of Object.entries(query.properties ?? {}))
      found.push({ name, in: "query", required: query.required?.includes(name) ?? false, schema });
  }
  if (route.idempotent)
    found.push({ name: "Idempotency-Key", in: "header", required: false, schema: { type: "string", maxLength: 200 } });
  if (route.kind === "sse")
    found.push({ name: "Last-Event-ID", in: "header", required: false, schema: { type: "integer" } });
  return found;
}
