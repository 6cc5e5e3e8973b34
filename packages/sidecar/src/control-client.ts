import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import {
  EnrolReply,
  Fault,
  LeaseReply,
  type LeaseRequest,
  type SettleRequest,
  type SidecarEvents,
  SidecarPolicy,
  sidecarPaths,
} from "@x1agent/contract";
import type { z } from "zod";

/**
 * The sidecar's end of the control channel. It dials, it is never dialled.
 *
 *   enrol (once) -> identity, renewed at half its life -> policy stream, opened again whenever it breaks
 *
 * Answers are bounded and validated; nothing of a token or an identity is ever part of an error.
 */
export type ControlClient = {
  /** Trades the one-time token for an identity and opens the policy stream. Rejects when the control plane says no. */
  start(listener: PolicyListener): Promise<void>;
  lease(request: LeaseRequest): Promise<LeaseReply>;
  settle(request: SettleRequest): Promise<void>;
  events(events: SidecarEvents): Promise<void>;
  close(): void;
};
export type PolicyListener = {
  policy(policy: SidecarPolicy): void;
  /** The control plane was heard of: a policy or a heartbeat. */
  heard(): void;
};

const TIMEOUT_MS = 5_000;
const MAX_REPLY = 1024 ** 2;
/** A policy of a job with thousands of grants is still far below. */
const MAX_POLICY = 8 * 1024 ** 2;
/** The control plane beats once a second; a stream that is silent for longer is dead although its socket is not. */
const STREAM_SILENCE_MS = 5_000;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 1_000;

/** The control plane answered, and it was a no. */
export class ControlRefused extends Fault {
  readonly status: number;
  constructor(status: number, path: string) {
    super("unavailable", `The control plane answered ${status} at ${path}.`);
    this.status = status;
  }
}

export function createControlClient(options: {
  url: string;
  enrolmentToken: string;
  ca?: string | undefined;
}): ControlClient {
  const base = new URL(options.url);
  const secure = base.protocol === "https:";
  const agent = secure
    ? new TlsAgent({ keepAlive: true, maxSockets: 8, ...(options.ca ? { ca: options.ca } : {}) })
    : new PlainAgent({ keepAlive: true, maxSockets: 8 });
  let identity = "";
  let closed = false;
  let renewal: NodeJS.Timeout | undefined;
  let reopening: NodeJS.Timeout | undefined;
  let stream: IncomingMessage | undefined;

  function open(method: string, path: string, body: string | null): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = (secure ? tlsRequest : plainRequest)(
        {
          ...{ agent, method, host: base.hostname.replace(/^\[|\]$/g, ""), path, timeout: TIMEOUT_MS },
          ...(base.port ? { port: base.port } : {}),
          headers: {
            ...(identity ? { authorization: `Bearer ${identity}` } : {}),
            ...(body === null ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
          },
        },
        resolve,
      );
      request.once("timeout", () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      request.once("error", (cause) =>
        reject(new Fault("control_unreachable", `The control plane did not answer at ${path}.`, { cause })),
      );
      request.end(body ?? undefined);
    });
  }

  async function post(path: string, value: unknown): Promise<string> {
    const response = await open("POST", path, JSON.stringify(value));
    const text = await readText(response, path);
    if (response.statusCode !== 200) throw new ControlRefused(response.statusCode ?? 0, path);
    return text;
  }

  function takeIdentity(reply: z.infer<typeof EnrolReply>): void {
    identity = reply.identity;
    clearTimeout(renewal);
    const life = Date.parse(reply.expiresAt) - Date.now();
    renewal = setTimeout(() => void renew(), Math.max(1_000, Math.min(life / 2, 24 * 3_600_000)));
    renewal.unref();
  }

  async function renew(): Promise<void> {
    try {
      takeIdentity(EnrolReply.parse(JSON.parse(await post(sidecarPaths.renew, {}))));
    } catch {
      // Tried again while the old identity lives; the policy stream tells when it does not.
      renewal = setTimeout(() => void renew(), LAST_RETRY_MS);
      renewal.unref();
    }
  }

  async function openPolicy(listener: PolicyListener): Promise<void> {
    const response = await open("GET", sidecarPaths.policy, null);
    if (response.statusCode !== 200) {
      response.resume();
      throw new ControlRefused(response.statusCode ?? 0, sidecarPaths.policy);
    }
    stream = response;
    response.setEncoding("utf8");
    response.socket.setTimeout(STREAM_SILENCE_MS, () => response.destroy());
    const read = policyReader(listener, () => response.destroy());
    response.on("data", read);
    response.on("error", () => {});
    response.on("close", () => {
      if (!closed) reopen(listener, FIRST_RETRY_MS);
    });
  }

  function reopen(listener: PolicyListener, delayMs: number): void {
    reopening = setTimeout(() => {
      openPolicy(listener).catch(() => {
        if (!closed) reopen(listener, Math.min(delayMs * 2, LAST_RETRY_MS));
      });
    }, delayMs);
  }

  return {
    async start(listener) {
      takeIdentity(EnrolReply.parse(JSON.parse(await post(sidecarPaths.enrol, { token: options.enrolmentToken }))));
      await openPolicy(listener);
    },
    async lease(request) {
      return LeaseReply.parse(JSON.parse(await post(sidecarPaths.lease, request)));
    },
    async settle(request) {
      await post(sidecarPaths.settle, request);
    },
    async events(events) {
      await post(sidecarPaths.events, events);
    },
    close() {
      closed = true;
      clearTimeout(renewal);
      clearTimeout(reopening);
      stream?.destroy();
      agent.destroy();
    },
  };
}

async function readText(response: IncomingMessage, path: string): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_REPLY) throw new Fault("unavailable", `The control plane's answer at ${path} is too large.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Reads `data:` events of one line each, and takes any line as a sign of life. Broken input ends the stream. */
export function policyReader(listener: PolicyListener, broken: () => void): (text: string) => void {
  let rest = "";
  return (text) => {
    rest += text;
    if (rest.length > MAX_POLICY) return broken();
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) {
        let policy: SidecarPolicy;
        try {
          policy = SidecarPolicy.parse(JSON.parse(line.slice(5)));
        } catch {
          return broken();
        }
        listener.policy(policy);
      }
      listener.heard();
    }
  };
}
