import { chmodSync, mkdirSync, rmSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { join } from "node:path";
import {
  accept,
  CONTRACT_VERSION,
  Fault,
  type HostBoot,
  type HostHealth,
  type HostState,
  isSupportedContract,
  type Outcome,
  ports,
  type RuntimeManifest,
  refuse,
  type StartRequest,
} from "@x1agent/contract";
import type { RuntimeAdapter } from "./adapter.ts";
import { type Forwarded, startForwarder } from "./forwarder.ts";
import { Outlet } from "./outlet.ts";
import { eventsServer, inputServer, type Verbs } from "./server.ts";
import { defaultLimits, HostSession, type SessionLimits } from "./session.ts";
import { streamEvents } from "./sse.ts";

export type HostOptions = {
  boot: HostBoot;
  manifest: RuntimeManifest;
  adapter: RuntimeAdapter;
  limits?: Partial<SessionLimits>;
  heartbeatMs?: number;
  journal?: { segmentBytes: number; segments: number };
};

export type Host = {
  /** Resolves when the host has been shut down: session ended, readers told, sockets gone. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
};

/** Serves one runtime until it is shut down. Rejects with a Fault when it cannot serve at all. */
export async function startHost(options: HostOptions): Promise<Host> {
  const { boot, manifest, adapter } = options;
  if (!isSupportedContract(manifest.contract))
    throw new Fault(
      "contract_unsupported",
      `${manifest.name} speaks contract ${manifest.contract}, this host ${CONTRACT_VERSION}: update one of them.`,
    );
  mkdirSync(boot.runDir, { recursive: true, mode: 0o700 });
  const outlet = new Outlet(boot.runDir, options.journal);
  const limits = { ...defaultLimits, ...options.limits };
  const closed = Promise.withResolvers<void>();
  const leaving = new AbortController();
  let current: { key: string; session: HostSession } | null = null;
  let closing: Promise<void> | null = null;
  let journalBroken = false;

  const write = (type: Parameters<Outlet["write"]>[0], payload: Record<string, unknown>, turn: number) => {
    try {
      outlet.write(type, payload, turn);
    } catch (cause) {
      // Nothing is sent that was not written: without a journal there is no session to vouch for.
      if (journalBroken) return;
      journalBroken = true;
      log(`the journal cannot be written, the session ends: ${cause instanceof Error ? cause.message : cause}`);
      void current?.session.close();
    }
  };

  const state = (): HostState => {
    const waiting = {
      phase: "waiting" as const,
      sessionId: null,
      turn: 0,
      queued: 0,
      openRequests: [],
      model: null,
      usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
    };
    return { ...(current?.session.state() ?? waiting), lastEventId: outlet.lastId };
  };
  const health: HostHealth = {
    status: "ok",
    contract: CONTRACT_VERSION,
    runtime: manifest.name,
    runtimeVersion: manifest.version,
  };

  const start = (request: StartRequest): Outcome<HostState> => {
    if (closing) return refuse("session_ended");
    if (current?.key === request.sessionKey) return accept(state());
    if (current && !current.session.ended) return refuse("conflict", "Another session runs in this host.");
    if (request.resume !== undefined && !manifest.capabilities.includes("resume"))
      return refuse("capability_missing", `${manifest.title} cannot resume a session.`);
    const { sessionKey, ...asked } = request;
    const { appDir, cwd, home, inferenceUrl, jobToken } = boot;
    const session = new HostSession(
      {
        manifest,
        adapter,
        limits,
        spawnPrefix: boot.spawnPrefix,
        base: { appDir, cwd, home, inferenceUrl, jobToken, env: cliEnvironment(boot) },
        request: asked,
        write,
        log,
      },
      current?.session.state().turn ?? 0,
    );
    current = { key: sessionKey, session };
    void session.start();
    return accept(state());
  };
  const live = <T>(use: (session: HostSession) => T): T | Outcome<never> =>
    current ? use(current.session) : refuse("no_session", "Start a session first.");

  const verbs: Verbs = {
    start,
    inject: (message) => live((session) => withState(session.inject(message))),
    interrupt: () => live((session) => session.interrupt()),
    answer: (answer) => live((session) => session.answer(answer)),
    model: ({ model }) => live((session) => session.setModel(model)),
    shutdown: async () => {
      await current?.session.close();
      // After the answer is out.
      setImmediate(() => void close());
      return accept(state());
    },
    state,
    health: () => health,
  };
  function withState(outcome: Outcome<{ repeated: boolean }>): Outcome<unknown> {
    return outcome.ok ? accept({ ...outcome.value, ...state() }) : outcome;
  }

  const server = {
    token: boot.token,
    verbs,
    events: (request: IncomingMessage, response: ServerResponse) => {
      const lastEventId = (request.headers["last-event-id"] as string | undefined) ?? null;
      streamEvents(outlet, response, {
        lastEventId,
        heartbeatMs: options.heartbeatMs ?? 10_000,
        signal: leaving.signal,
      });
    },
  };
  const servers: Server[] = [];
  const open = async (make: (options: typeof server) => Server, address: { path: string } | { port: number }) => {
    const made = make(server);
    servers.push(made);
    await listen(made, address);
  };
  let forwarder: Forwarded | null = null;

  const close = (): Promise<void> => {
    closing ??= (async () => {
      await current?.session.close();
      leaving.abort();
      await Promise.all([...servers.map(closeServer), forwarder?.close()]);
      outlet.journal.close();
      closed.resolve();
    })();
    return closing;
  };

  try {
    if (boot.tcp && boot.sockDir !== null) forwarder = await startForwarder({ sockDir: boot.sockDir });
    if (boot.tcp) {
      await open(eventsServer, { port: ports.events });
      await open(inputServer, { port: ports.input });
    }
    await open(eventsServer, { path: join(boot.runDir, "events.sock") });
    await open(inputServer, { path: join(boot.runDir, "input.sock") });
  } catch (cause) {
    await close();
    throw new Fault("unavailable", `The host cannot listen: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  return { closed: closed.promise, close };
}

/** Built from nothing: what the CLI gets is listed here or was put there by the driver. */
function cliEnvironment(boot: HostBoot): Record<string, string> {
  return {
    PATH: "/x1/bin:/x1/runtime/bin:/usr/local/bin:/usr/bin:/bin",
    HOME: boot.home,
    LANG: "C.UTF-8",
    TERM: "dumb",
    USER: "agent",
    SHELL: "/bin/bash",
    TMPDIR: "/tmp",
    ...boot.env,
  };
}

/** Bounded by its reader, which keeps the tail. */
function log(line: string): void {
  process.stderr.write(`${line.slice(0, 2_000).trimEnd()}\n`);
}

async function listen(server: Server, address: { path: string } | { port: number }): Promise<void> {
  if ("path" in address) rmSync(address.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen("path" in address ? address.path : { host: "127.0.0.1", port: address.port }, resolve);
  });
  // The folder is closed to everyone else; the group is the service's where the host has a uid of its own.
  if ("path" in address) chmodSync(address.path, 0o660);
}

/** Readers get what is written and then the end; whoever does not read it within a second is cut off. */
async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const done = new Promise<void>((resolve) => void server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), 1_000);
  await done;
  clearTimeout(timer);
}
