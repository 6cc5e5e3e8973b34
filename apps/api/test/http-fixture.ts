import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { accept, type RouteName, routes } from "@x1agent/contract";
import { createApp } from "../src/http/app.ts";
import type { Handlers, Principal } from "../src/http/call.ts";
import { createIdempotency, type IdempotencyStore, type StoredAnswer } from "../src/http/idempotency.ts";

export const principal: Principal = {
  actor: { kind: "user", id: "user_1" },
  organizationId: "org_1",
  organization: "Acme",
  role: "owner",
  scopes: ["read", "write", "approve", "admin"],
  via: { kind: "token", id: "tok_1" },
};

/** Keys in memory: the rules without a database. */
export function memoryIdempotency(): IdempotencyStore {
  const known = new Map<string, { hash: string; answer: StoredAnswer | null }>();
  const keyOf = (r: { organizationId: string; key: string }) => `${r.organizationId} ${r.key}`;
  return {
    async take(request) {
      const found = known.get(keyOf(request));
      if (!found) {
        known.set(keyOf(request), { hash: request.hash, answer: null });
        return { kind: "mine" };
      }
      if (found.hash !== request.hash) return { kind: "other" };
      return found.answer ? { kind: "answered", answer: found.answer } : { kind: "running" };
    },
    async finish(request, answer) {
      known.set(keyOf(request), { hash: request.hash, answer });
    },
    async keep(_tx, request, answer) {
      known.set(keyOf(request), { hash: request.hash, answer });
    },
    async forget(request) {
      if (!known.get(keyOf(request))?.answer) known.delete(keyOf(request));
    },
  };
}

export type Fixture = Awaited<ReturnType<typeof serveHandlers>>;

/** A real listener around the real pipeline with the given handlers; the others must not be reached. */
export async function serveHandlers(given: Partial<Handlers>) {
  const reached: RouteName[] = [];
  const errors: unknown[] = [];
  const handlers = {} as Record<RouteName, unknown>;
  for (const name of Object.keys(routes) as RouteName[])
    handlers[name] = (call: unknown) => {
      reached.push(name);
      const handler = given[name] as ((call: unknown) => unknown) | undefined;
      return handler ? handler(call) : accept(null);
    };
  const app = createApp({
    handlers: handlers as Handlers,
    authenticate: async (token) => {
      const [, whose, scopes = ""] = /^(token|other)-([a-z,]*)$/.exec(token) ?? [];
      if (!whose) return null;
      const actor = { kind: "user" as const, id: whose === "token" ? principal.actor.id : "user_2" };
      return { ...principal, actor, scopes: scopes.split(",") };
    },
    idempotency: createIdempotency(memoryIdempotency()),
    hosts: new Set(["x1.example.org"]),
    onError: (error) => errors.push(error),
    checkAnswers: false,
  });
  const server = createAdaptorServer({ fetch: app.fetch });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    reached,
    errors,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        (server as import("node:http").Server).closeAllConnections();
      }),
  };
}
