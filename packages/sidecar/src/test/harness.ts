import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CallRecord,
  type GitCredentialReply,
  type GitCredentialRequest,
  type LeaseRequest,
  type Problem,
  type SettleRequest,
  type SidecarBoot,
  type SidecarEvents,
  type SidecarPolicy,
  sidecarPaths,
} from "@x1agent/contract";

/** A real sidecar process between a fake control plane and whatever upstream a test makes. */
export const jobToken = "job-token-0123456789abcdef0123456789";
export const providerKey = "provider-key-never-to-be-seen-inside";
export const entry = process.env.X1_SIDECAR_ENTRY ?? join(import.meta.dirname, "../main.ts");

export const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));

export async function until(holds: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function readAll(stream: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

/** The control plane as far as a sidecar sees it: one budget, all that is said to it kept. */
export class FakeControl {
  readonly server: Server;
  port = 0;
  budgetMicros = 100_000_000;
  leased = 0;
  leases = new Map<string, { amount: number; settled: number; inFlight: number; released: boolean }>();
  calls: CallRecord[] = [];
  events: SidecarEvents["events"] = [];
  leaseRequests: LeaseRequest[] = [];
  settles: SettleRequest[] = [];
  silent = false;
  /** It is there, its database is not: nothing is leased or settled. */
  bookless = false;
  /** Grants for one use that some sidecar took. */
  taken = new Set<string>();
  /** Credentials by repository and purpose, as in `origin read`; what is not here needs none. */
  credentials: Record<string, GitCredentialReply> = {};
  /** Said instead of giving any. */
  credentialRefusal: Problem | null = null;
  /** What credentials were asked for, in order. */
  credentialsAsked: string[] = [];
  /** Held back until it resolves. */
  gate: Promise<void> = Promise.resolve();
  #streams = new Set<ServerResponse>();
  #version = 0;
  #policy: Omit<SidecarPolicy, "version">;

  constructor(policy: Omit<SidecarPolicy, "version">) {
    this.#policy = policy;
    this.server = createServer((incoming, response) => {
      this.#answer(incoming, response).catch(() => response.destroy());
    });
    setInterval(() => {
      if (!this.silent) for (const stream of this.#streams) stream.write(": beat\n\n");
    }, 100).unref();
  }

  get spent(): number {
    return this.calls.reduce((sum, call) => sum + call.costMicros, 0);
  }

  /** Sends a changed policy to every sidecar; returns its version. `sendPolicy` waits until one holds it. */
  push(change: Partial<SidecarPolicy>): number {
    this.#policy = { ...this.#policy, ...change };
    this.#version += 1;
    for (const stream of this.#streams)
      stream.write(`data: ${JSON.stringify({ ...this.#policy, version: this.#version })}\n\n`);
    return this.#version;
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = incoming.method === "POST" ? (JSON.parse(await readAll(incoming)) as never) : (null as never);
    const say = (value: unknown, status = 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (this.silent) return void response.destroy();
    const expiresAt = new Date(Date.now() + 600_000).toISOString();
    if (incoming.url === sidecarPaths.enrol) {
      if ((body as { token: string }).token !== "enrolment-token") return void say({}, 401);
      return void say({ identity: "identity-0123456789", expiresAt });
    }
    if (incoming.headers.authorization !== "Bearer identity-0123456789") return void say({}, 401);
    if (this.bookless && (incoming.url === sidecarPaths.lease || incoming.url === sidecarPaths.settle))
      return void say({}, 500);
    switch (incoming.url) {
      case sidecarPaths.policy:
        response.writeHead(200, { "content-type": "text/event-stream" });
        this.#streams.add(response);
        response.on("close", () => this.#streams.delete(response));
        this.#version += 1;
        response.write(`data: ${JSON.stringify({ ...this.#policy, version: this.#version })}\n\n`);
        return;
      case sidecarPaths.use: {
        const { grantId } = body as { grantId: string };
        const taken = !this.taken.has(grantId);
        this.taken.add(grantId);
        return void say({ taken });
      }
      case sidecarPaths.git: {
        const { repository, purpose, branches = [] } = body as GitCredentialRequest;
        this.credentialsAsked.push([repository, purpose, ...branches].join(" "));
        await this.gate;
        if (this.credentialRefusal) return void say(this.credentialRefusal, this.credentialRefusal.status);
        const held = this.credentials[`${repository} ${purpose}`];
        return void say(held ?? { authorization: null, expiresAt: null });
      }
      case sidecarPaths.lease: {
        const asked = body as LeaseRequest;
        this.leaseRequests.push(asked);
        await this.gate;
        const reserved = [...this.leases.values()]
          .filter(({ released }) => !released)
          .reduce((sum, { amount, settled }) => sum + Math.max(0, amount - settled), 0);
        const left = this.budgetMicros - this.spent - reserved;
        if (left < asked.minMicros || left <= 0)
          return void say({
            ...{ outcome: "refused", code: "budget_exceeded", scope: "job:j1" },
            ...{ limitMicros: this.budgetMicros, spentMicros: this.spent },
          });
        const amount = Math.min(left, Math.max(asked.minMicros, Math.min(asked.wantMicros, Math.floor(left / 4))));
        const leaseId = `lease${this.leases.size + 1}`;
        this.leases.set(leaseId, { amount, settled: 0, inFlight: 0, released: false });
        return void say({ outcome: "granted", leaseId, amountMicros: amount, expiresAt });
      }
      case sidecarPaths.settle: {
        const asked = body as SettleRequest;
        await this.gate;
        this.settles.push(asked);
        for (const call of asked.calls)
          if (!this.calls.some(({ callId }) => callId === call.callId)) {
            this.calls.push(call);
            const lease = this.leases.get(call.leaseId);
            if (lease) lease.settled += call.costMicros;
          }
        for (const { leaseId, reservedMicros } of asked.inFlight) {
          const lease = this.leases.get(leaseId);
          if (lease) lease.inFlight = reservedMicros;
        }
        for (const id of asked.release ?? []) {
          const lease = this.leases.get(id);
          if (lease) Object.assign(lease, { released: true, inFlight: 0 });
        }
        return void say({});
      }
      case sidecarPaths.events:
        this.events.push(...(body as SidecarEvents).events);
        return void say({});
      default:
        return void say({ identity: "identity-0123456789", expiresAt });
    }
  }
}

export type Upstream = {
  server: Server;
  port: number;
  requests: { path: string; method: string; headers: IncomingHttpHeaders; body: string; gone: boolean }[];
};

/** An upstream that keeps what it was sent and answers as told. */
export async function startUpstream(
  answer: (body: string, response: ServerResponse, incoming: IncomingMessage) => void | Promise<void>,
): Promise<Upstream> {
  const requests: Upstream["requests"] = [];
  const server = createServer(async (incoming, response) => {
    const body = await readAll(incoming).catch(() => "");
    const seen = {
      path: incoming.url ?? "",
      method: incoming.method ?? "",
      headers: incoming.headers,
      body,
      gone: false,
    };
    requests.push(seen);
    response.on("error", () => {});
    response.on("close", () => {
      seen.gone = !response.writableFinished;
    });
    await answer(body, response, incoming);
  });
  return { server, port: await listen(server), requests };
}

export const price = {
  ...{ inputMicrosPerMTok: 3_000_000, outputMicrosPerMTok: 15_000_000 },
  ...{ cacheReadMicrosPerMTok: 300_000, cacheWriteMicrosPerMTok: 3_750_000, source: "test", asOf: "2026-11-01" },
};

export const openPolicy: Omit<SidecarPolicy, "version"> = {
  phase: "agent",
  grants: [
    { id: "g-anthropic", type: "ai.anthropic", details: { pattern: "claude-*" }, once: false },
    { id: "g-openai", type: "ai.openai", details: { pattern: "gpt-*" }, once: false },
    { id: "g-repo", type: "repo.read", details: { pattern: "*" }, once: false },
  ],
  egress: [],
  stopped: false,
};

export type Running = {
  control: FakeControl;
  child: ChildProcess;
  dir: string;
  exited: Promise<number | null>;
  output: () => string;
  stop(): Promise<void>;
};

/** Starts control plane and sidecar. */
export async function startSidecarProcess(
  options: {
    upstreamPort?: number;
    boot?: Partial<SidecarBoot>;
    policy?: Partial<SidecarPolicy>;
    budgetMicros?: number;
    credentials?: FakeControl["credentials"];
    /** Starts it ahead, and looks at it before it gets its boot document. */
    ahead?: (child: ChildProcess, dir: string) => Promise<void>;
  } = {},
): Promise<Running> {
  const control = new FakeControl({ ...openPolicy, ...options.policy });
  if (options.budgetMicros !== undefined) control.budgetMicros = options.budgetMicros;
  control.credentials = options.credentials ?? {};
  control.port = await listen(control.server);
  const dir = mkdtempSync(join(tmpdir(), "x1-sc-"));
  const baseUrl = `http://127.0.0.1:${options.upstreamPort ?? 9}`;
  const auth = (name: string, prefix: string) => ({ kind: "header" as const, name, prefix, value: providerKey });
  const boot: SidecarBoot = {
    ...{ workspaceId: "w1", attemptId: "a1", jobId: "j1", controlUrl: `http://127.0.0.1:${control.port}` },
    ...{ enrolmentToken: "enrolment-token", jobToken, phase: "agent", sliceTokens: 4_000, git: [], registries: [] },
    routes: [
      {
        provider: "anthropic",
        grantType: "ai.anthropic",
        api: "anthropic-messages",
        baseUrl,
        auth: auth("x-api-key", ""),
        allowPrivate: true,
      },
      {
        provider: "openai",
        grantType: "ai.openai",
        api: "openai-responses",
        baseUrl,
        auth: auth("authorization", "Bearer "),
        allowPrivate: true,
      },
      {
        provider: "openai",
        grantType: "ai.openai",
        api: "openai-chat",
        baseUrl,
        auth: auth("authorization", "Bearer "),
        allowPrivate: true,
      },
    ],
    prices: { "anthropic/claude-test": price, "openai/gpt-test": price },
    limits: { maxBodyBytes: 4 * 1024 ** 2, maxConcurrentCalls: 32, egressBytes: 50 * 1024 ** 2, maxTunnels: 16 },
    // Only silence that a test makes may close it, not a machine that stands still for a moment.
    failClosedMs: 60_000,
    forbidden: [{ address: "127.0.0.1", port: control.port }],
    ...options.boot,
  };
  const child = spawn(process.execPath, [entry, "--sock", dir, ...(options.ahead ? ["--ahead"] : [])], {
    ...{ env: {}, stdio: ["pipe", "pipe", "pipe", "pipe"] },
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  let output = "";
  child.stdout?.on("data", (part: Buffer) => (output += part.toString()));
  child.stderr?.on("data", (part: Buffer) => (output += part.toString()));
  await options.ahead?.(child, dir);
  (child.stdio[3] as Socket).end(JSON.stringify(boot));
  await Promise.race([
    until(() => /^ready$/m.test(output), "ready", 60_000),
    exited.then((code) => {
      throw new Error(`the sidecar ended with ${code}: ${output}`);
    }),
  ]);
  return {
    ...{ control, child, dir, exited, output: () => output },
    async stop() {
      child.stdin?.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(timer);
      control.server.close();
      control.server.closeAllConnections();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export type Reply = { status: number; headers: IncomingHttpHeaders; text: string; broken: boolean };

/** Sends a policy and waits until the sidecar holds it: each one counts the version that it shows on `/health` up. */
export async function sendPolicy(
  { control, dir }: Pick<Running, "control" | "dir">,
  change: Partial<SidecarPolicy>,
): Promise<void> {
  const version = control.push(change);
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const { text } = await ask(join(dir, "api.sock"), { method: "GET", path: "/health" });
    if ((JSON.parse(text) as { policy: number }).policy >= version) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("The sidecar never held the policy.");
}

/** One request over a socket; a broken answer is an answer too. `begun` is called when its head is here. */
export function ask(
  socketPath: string,
  options: {
    method?: string;
    path: string;
    headers?: Record<string, string>;
    body?: string;
    token?: string | null;
    begun?: () => void;
  },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...{ socketPath, method: options.method ?? "POST", path: options.path },
        headers: {
          ...(options.token === null ? {} : { "x-x1-token": options.token ?? jobToken }),
          ...(options.body === undefined ? {} : { "content-type": "application/json" }),
          ...options.headers,
        },
      },
      (response) => {
        options.begun?.();
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => (text += part));
        const done = (broken: boolean) =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, broken });
        response.on("end", () => done(false));
        response.on("error", () => done(true));
        response.on("aborted", () => done(true));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(options.body);
  });
}

export const anthropic = (
  running: Running,
  body: object | string,
  headers: Record<string, string> = {},
  begun: () => void = () => {},
): Promise<Reply> =>
  ask(join(running.dir, "inference.sock"), {
    ...{ path: "/anthropic/v1/messages?beta=true", headers, begun },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

export const basic = `Basic ${Buffer.from(`x1:${jobToken}`).toString("base64")}`;

/** Opens a tunnel by CONNECT; resolves with the status and, at 200, the socket. */
export function tunnel(
  running: Running,
  target: string,
  authorization: string | null = basic,
): Promise<{ status: number; text: string; socket: Socket }> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(running.dir, "egress.sock"));
    let text = "";
    socket.on("error", reject);
    const read = (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
      socket.off("data", read);
      socket.off("error", reject);
      socket.on("error", () => {});
      resolve({ status, text, socket });
    };
    socket.on("data", read);
    socket.on("close", () => reject(new Error(`closed: ${text}`)));
    socket.write(
      `CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\n${authorization === null ? "" : `proxy-authorization: ${authorization}\r\n`}\r\n`,
    );
  });
}

/** A streamed answer of Anthropic's API. */
export function messageStream(response: ServerResponse, usage: { input: number; output: number }, deltas = 3): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const write = (event: string, data: object) =>
    response.write(`event: ${event}\ndata: ${JSON.stringify({ type: event, ...data })}\n\n`);
  write("message_start", {
    message: { id: "msg_1", model: "claude-test", usage: { input_tokens: usage.input, output_tokens: 1 } },
  });
  for (let index = 0; index < deltas; index += 1)
    write("content_block_delta", { index: 0, delta: { type: "text_delta", text: `word ${index} "usage" ` } });
  write("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: usage.output } });
  write("message_stop", {});
  response.end();
}

export const message = (extra: object = {}) => ({
  ...{ model: "claude-test", max_tokens: 1_000, stream: true },
  messages: [{ role: "user", content: "hello" }],
  ...extra,
});
