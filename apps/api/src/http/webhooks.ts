import { randomBytes } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import { type ErrorCode, problem } from "@x1agent/contract";
import type { ForgeDelivery, WebhookKind } from "@x1agent/forges";
import type { Hono } from "hono";
import { readBody } from "./guard.ts";

type Env = { Bindings: HttpBindings; Variables: { requestId: string } };

export type WebhookDeps = {
  /** By the forge's name in the path. */
  kinds: Readonly<Record<string, WebhookKind>>;
  /** The app with its webhook secret, from what is known at the moment: whether it is known or not takes the same time. */
  find(forge: string, appId: string): Promise<{ organizationId: string; secret: string } | null>;
  /** Stores the delivery; false when its id was stored before. */
  store(organizationId: string, appId: string, delivery: ForgeDelivery): Promise<boolean>;
  /** Told of each that was refused; must not throw. */
  onRefused(forge: string, code: ErrorCode): void;
  /** Largest body that is taken, in bytes. */
  maxBytes?: number;
};

/** GitHub documents up to 25 MB. What is needed of a delivery are a few ids; one beyond this is found by polling. */
export const MAX_WEBHOOK_BYTES = 4 * 1024 ** 2;
/** Bytes of bodies that are held at once before anybody has proved anything; who comes after that waits. */
const MAX_HELD_BYTES = 64 * 1024 ** 2;
const MAX_WAITING = 4_000;

/**
 * `POST /webhooks/<forge>/<app>`: no token, the signature is the proof. In this order: size, signature over the raw bytes,
 * type and form of the body, row in the database, answer 202. A delivery that was stored before is 200 and without effect.
 * An app that is not known is answered like a wrong signature.
 */
export function addWebhooks(app: Hono<Env>, deps: WebhookDeps): void {
  const maxBytes = deps.maxBytes ?? MAX_WEBHOOK_BYTES;
  const gate = createGate(MAX_HELD_BYTES, MAX_WAITING);
  // Nobody's: what is held against it is wrong, at the usual price.
  const nobody = randomBytes(32).toString("hex");

  app.post("/webhooks/:forge/:app", async (c) => {
    const { forge, app: appId } = c.req.param();
    const failed = (code: ErrorCode, detail: string) => {
      deps.onRefused(forge, code);
      c.header("content-type", "application/problem+json");
      const body = problem(code, detail, { instance: c.get("requestId") });
      return c.body(JSON.stringify(body), body.status as 400);
    };
    const said = Number(c.req.header("content-length") ?? Number.NaN);
    if (said > maxBytes) return failed("body_too_large", `A delivery may have at most ${maxBytes} bytes.`);
    const weight = Number.isFinite(said) ? Math.max(0, said) : maxBytes;
    if (!(await gate.enter(weight))) return failed("unavailable", "Too many deliveries at once; send it again later.");
    try {
      const raw = await readBody(c.req.raw, maxBytes);
      if (!raw.ok) return failed(raw.code, raw.detail);
      const kind = Object.hasOwn(deps.kinds, forge) ? deps.kinds[forge] : Object.values(deps.kinds)[0];
      const found = await deps.find(forge, appId);
      const signed = await kind?.signed((name) => c.req.header(name), raw.value, found?.secret ?? nobody);
      if (!signed || !found || !kind) return failed("unauthenticated", "The signature is not that of a known app.");
      if (!/^application\/json\s*(;|$)/i.test(c.req.header("content-type") ?? ""))
        return failed("invalid_request", "Deliveries are taken as application/json only.");
      const delivery = kind.read((name) => c.req.header(name), parsed(raw.value));
      if (!delivery) return failed("invalid_request", "That is no delivery that can be read.");
      const stored = await deps.store(found.organizationId, appId, delivery);
      return c.json({ stored }, stored ? 202 : 200);
    } finally {
      gate.leave(weight);
    }
  });
}

/** Lets in as much as fits, in order. */
function createGate(most: number, waiters: number) {
  let held = 0;
  const waiting: { weight: number; enter: (value: boolean) => void }[] = [];
  return {
    enter(weight: number): Promise<boolean> {
      if (waiting.length === 0 && held + weight <= most) {
        held += weight;
        return Promise.resolve(true);
      }
      if (waiting.length >= waiters) return Promise.resolve(false);
      return new Promise((enter) => waiting.push({ weight, enter }));
    },
    leave(weight: number): void {
      held -= weight;
      for (let next = waiting[0]; next && held + next.weight <= most; next = waiting[0]) {
        waiting.shift();
        held += next.weight;
        next.enter(true);
      }
    },
  };
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
