import { join } from "node:path";
import { accept, refuse } from "@x1agent/contract";
import { eventsChannel } from "@x1agent/domain-sessions";
import {
  type BlobStore,
  createLogger,
  type Database,
  type Logger,
  type Migration,
  openBlobs,
  openDatabase,
} from "@x1agent/kernel";
import { createHub, type Hub } from "./events/hub.ts";
import { createEventStreams } from "./events/streams.ts";
import { createApp } from "./http/app.ts";
import type { Principal } from "./http/call.ts";
import { createHandlers, type HandlerDeps } from "./http/handlers/index.ts";
import { createIdempotency } from "./http/idempotency.ts";
import { createIdempotencyStore } from "./http/idempotency-store.ts";
import { createSignInCodes, readWebFiles, type WebDeps } from "./http/web/index.ts";
import type { WebhookDeps } from "./http/webhooks.ts";
import {
  prepareDataDir,
  readLayout,
  readMasterKey,
  readTokenFile,
  refuseHalfRestored,
  removeServiceFile,
  takeMasterKey,
  writeLayout,
  writeServiceFile,
  writeTokenFile,
} from "./start/files.ts";
import { listen } from "./start/listen.ts";
import { lockDataDir } from "./start/lock.ts";
import type { StartOptions } from "./start/options.ts";
import type { SignIn } from "./use-cases/account.ts";
import type { ForgePages } from "./use-cases/forges.ts";
import type { UseCases } from "./use-cases/index.ts";

export const VERSION = "0.1.0";

/** What every part of the service stands on. */
export type Foundation = {
  options: StartOptions;
  /** Address by which people and forges reach the service; null where the operator named none. */
  publicUrl: string | null;
  db: Database;
  blobs: BlobStore;
  hub: Hub;
  log: Logger;
  /** Wraps the data keys of stored secrets. Never logged, never handed to a workspace. */
  masterKey: Buffer;
};

/** The domains, drivers and the job loop, put together over the foundation. */
export type Parts = {
  useCases: UseCases;
  authenticate(token: string): Promise<Principal | null>;
  /** First start: makes the organization, its owner and the starting grants, and returns a token. Later: null. */
  bootstrap(): Promise<{ token: string } | null>;
  /** A new token for the local owner, when its file was lost. */
  issueLocalToken(): Promise<string>;
  /** How browsers come in, and how often they may try. */
  signIn: SignIn;
  signInLimits: WebDeps["limits"];
  /** How forges tell that something happened; absent where nothing is put together for it. */
  webhooks?: WebhookDeps;
  /** Pages on the way to a forge and back. */
  forgePages?: ForgePages;
  /** Starts taking jobs; called once requests can be answered, with the address at which they are. */
  start(url: string): Promise<void>;
  /** Ends sessions and loop within bounds. */
  stop(): Promise<void>;
};
export type Assembly = { migrations: readonly Migration[]; assemble(foundation: Foundation): Promise<Parts> };

export type Service = {
  url: string;
  tokenFile: string;
  /** A link that signs one browser in, once, within five minutes; null when the web app is not built. */
  signInLink(): string | null;
  close(): Promise<void>;
  /** Settles when something without which the service cannot go on has ended. */
  lost: Promise<string>;
};

/**
 * Starts the service. Order: data directory and its lock, master key, database (which migrates), parts, owner and token, listener,
 * job loop. What was started is ended again, last first, when a later step fails, and by `close`.
 */
export async function startService(options: StartOptions, assembly: Assembly): Promise<Service> {
  const log = createLogger();
  const undo: (() => Promise<void> | void)[] = [];
  const unwind = async () => {
    for (const step of undo.splice(0).reverse())
      try {
        await step();
      } catch (error) {
        log.error("a part did not end cleanly", { error });
      }
  };
  try {
    await prepareDataDir(options.dataDir);
    undo.push(await lockDataDir(options.dataDir));
    await refuseHalfRestored(options.dataDir);
    const publicUrl =
      options.publicUrl === undefined ? ((await readLayout(options.dataDir))?.publicUrl ?? null) : options.publicUrl;
    const masterKey = options.masterKeyFrom
      ? takeMasterKey(options.masterKeyFrom, process.env)
      : await readMasterKey(options.masterKeyFile);
    const db = await openDatabase({
      folder: join(options.dataDir, "pg"),
      migrations: assembly.migrations,
      ...(options.databaseUrl === undefined ? {} : { url: options.databaseUrl }),
    });
    undo.push(() => db.close());

    const hub = createHub();
    const parts = await assembly.assemble({
      options,
      publicUrl,
      db,
      blobs: openBlobs(options.blobsDir),
      hub,
      log,
      masterKey,
    });
    undo.push(() => parts.stop());
    const tokenFile = await ensureToken(options.dataDir, parts, log);

    const streams = createEventStreams({
      hub,
      read: (organizationId, jobId, after, limit) =>
        parts.useCases.sessions.events({ organizationId, actor: { kind: "platform", id: "x1" } }, jobId, after, limit),
      onError: (error) => log.error("an event stream broke", { error }),
    });
    undo.push(() => streams.close());
    // The notice names the job; after a lost connection every watched job is read again.
    undo.push(
      await db.listen(
        eventsChannel,
        (payload) => streams.wake((JSON.parse(payload) as { j: string }).j),
        () => streams.wakeAll(),
      ),
    );

    const codes = createSignInCodes();
    const files = await readWebFiles(join(import.meta.dirname, "../../web/dist"));
    let status: "ok" | "stopping" = "ok";
    // In the fragment: it reaches no server's log and no Referer.
    const pathOf = (code: string) => `/#code=${code}`;
    const linkFor: HandlerDeps["signInLink"] = async ({ organizationId, actor }, userId, use) => {
      if (!files.has("/index.html"))
        return refuse("unavailable", "The web app is not built here: `npm run build`, then start again.");
      const made = await parts.signIn.link({ organizationId, userId, by: actor.id }, use);
      if (!made) return refuse("not_found", "There is no such person in the organization.");
      return accept({ path: pathOf(made.code), expiresAt: made.expiresAt });
    };
    const app = createApp({
      handlers: createHandlers({
        useCases: parts.useCases,
        streams,
        version: VERSION,
        status: () => status,
        signInLink: linkFor,
      }),
      authenticate: parts.authenticate,
      idempotency: createIdempotency(createIdempotencyStore(db)),
      hosts: new Set([...options.allowHosts, ...(publicUrl ? [new URL(publicUrl).hostname] : [])]),
      onError: (error, requestId) => log.error("a request failed", { error, requestId }),
      checkAnswers: process.env.NODE_ENV === "test",
      web: { files, codes, signIn: parts.signIn, limits: parts.signInLimits },
      ...(parts.webhooks ? { webhooks: parts.webhooks } : {}),
      ...(parts.forgePages ? { forgePages: parts.forgePages } : {}),
    });
    const listener = await listen(app.fetch, options);
    undo.push(() => {
      status = "stopping";
      streams.close();
      return listener.close();
    });
    await writeLayout(options.dataDir, {
      database: options.databaseUrl ? "server" : "embedded",
      blobsDir: options.blobsDir,
      masterKeyFile: options.masterKeyFrom ? null : options.masterKeyFile,
      publicUrl,
    });
    await writeServiceFile(options.dataDir, { url: listener.url, pid: process.pid });
    undo.push(() => removeServiceFile(options.dataDir));
    await parts.start(listener.url);
    const signInLink = () => (files.has("/index.html") ? `${listener.url}${pathOf(codes.issue())}` : null);
    return {
      url: listener.url,
      tokenFile,
      signInLink,
      close: unwind,
      lost: db.lost.then(() => "The database has ended."),
    };
  } catch (error) {
    await unwind();
    throw error;
  }
}

/** The local owner's token lies in a file of mode 0600; a lost or outdated one is made anew. */
async function ensureToken(dataDir: string, parts: Parts, log: Logger): Promise<string> {
  const first = await parts.bootstrap();
  const known = first?.token ?? (await readTokenFile(dataDir));
  const token = known && (await parts.authenticate(known)) ? known : await parts.issueLocalToken();
  log.redact(token);
  return writeTokenFile(dataDir, token);
}
