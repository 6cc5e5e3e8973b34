import { createReadStream } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SidecarBoot } from "@x1agent/contract";
import { ControlClient } from "./channel.ts";
import { Credentials } from "./credentials.ts";
import { egressHandlers } from "./egress.ts";
import { apiHandler } from "./git.ts";
import { TokenCheck } from "./http.ts";
import { inferenceHandler } from "./inference.ts";
import { Ledger } from "./ledger.ts";
import { Traffic } from "./traffic.ts";
import { warmUp } from "./warm.ts";

/**
 * The sidecar of one workspace. Stages: boot document from descriptor 3 (once, kept in memory) -> enrol, and warm up -> listen on
 * three sockets -> `ready` on standard output -> serve until told to stop, or until standard input ends with its parent.
 */
const MAX_BOOT = 16 * 1024 ** 2;
/** While nobody waits: V8 takes more than the usual few calls before it compiles what it sees often. */
const CALLS_AHEAD = 20;
const WARM = {
  limits: { maxBodyBytes: 1024 ** 2, maxConcurrentCalls: 4, egressBytes: 0, maxTunnels: 0 },
  ...{ forbidden: [], sliceTokens: 1_000 },
};

/** Null where the descriptor is closed without a document. */
async function readBoot(): Promise<SidecarBoot | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of createReadStream("", { fd: 3 })) {
    size += (chunk as Buffer).length;
    if (size > MAX_BOOT) throw new Error("The boot document is too large.");
    chunks.push(chunk as Buffer);
  }
  if (size === 0) return null;
  return SidecarBoot.parse(JSON.parse(Buffer.concat(chunks).toString("utf8")));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sock: { type: "string" },
      group: { type: "boolean", default: false },
      /** Started before anybody needs it: warm up first, then wait for the boot document. */
      ahead: { type: "boolean", default: false },
      compile: { type: "boolean", default: false },
    },
  });
  // For the overlay, which keeps what was compiled: what a first call needs is part of it.
  if (values.compile) {
    await warmUp(WARM);
    process.exit(0);
  }
  if (!values.sock) throw new Error("--sock names the folder of the sockets.");
  const folder = values.sock;
  const reading = readBoot();
  reading.catch(() => {});
  if (values.ahead) await warmUp(WARM, CALLS_AHEAD);
  const boot = await reading;
  // Nobody took it: the service ended, or wants it no more.
  if (boot === null && values.ahead) process.exit(0);
  if (boot === null) throw new Error("There is no boot document.");
  const control = new ControlClient(boot);
  // A verification's sidecar has no provider and will forward no call.
  const warming = !values.ahead && boot.routes.length > 0;
  await Promise.all([control.enrol(boot.enrolmentToken), warming ? warmUp(boot) : 0]);
  const ledger = new Ledger(control);
  const token = new TokenCheck(boot.jobToken);
  const note = (type: string, payload: Record<string, unknown>) => control.note(type, payload);
  const policy = () => control.policy();
  const onPolicy = (listener: Parameters<typeof control.onPolicy>[0]) => control.onPolicy(listener);
  const use = (grantId: string) => control.use(grantId);
  const traffic = new Traffic({ boot, onPolicy, note });
  const ask = (asked: Parameters<typeof control.gitCredential>[0]) => control.gitCredential(asked);
  const credentials = new Credentials({ ask, onPolicy });
  const shared = { boot, token, policy, onPolicy, note, use, traffic, credentials, ask };

  const inference = createServer(
    { requestTimeout: 0, keepAliveTimeout: 60_000, noDelay: true },
    inferenceHandler({ ...shared, ledger }),
  );
  const port = apiHandler(shared);
  const api = createServer({ requestTimeout: 0 }, port.handle);
  const egress = egressHandlers(shared);
  const proxy = createServer(
    { requestTimeout: 0 },
    (request, response) => void egress.onRequest(request, response).catch(() => response.destroy()),
  );
  proxy.on(
    "connect",
    (request, socket, head) => void egress.onConnect(request, socket, head).catch(() => socket.destroy()),
  );

  const listen = async (server: Server, name: string) => {
    const path = join(folder, name);
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
    await chmod(path, values.group ? 0o660 : 0o600);
  };
  await listen(inference, "inference.sock");
  await listen(api, "api.sock");
  await listen(proxy, "egress.sock");

  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    for (const server of [inference, api, proxy]) server.closeAllConnections();
    // A moment for aborted calls to settle, then the rest of the leases goes back.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await ledger.close();
    port.tell();
    await control.flush();
    control.close();
    process.exit(0);
  };
  process.once("SIGTERM", () => void stop());
  process.once("SIGINT", () => void stop());
  // Our end of the driver's pipe: it closes when the driver's process is gone, however it went.
  process.stdin.resume();
  process.stdin.once("end", () => void stop());
  process.stdin.once("error", () => void stop());
  control.onPolicy((current) => {
    if (current.stopped) void stop();
  });
  process.stdout.write("ready\n");
}

// An error that nobody handled says where, never what was handled: a message could quote a credential.
process.on("uncaughtException", (error) => {
  process.stderr.write(`sidecar: ${error.name} at ${error.stack?.split("\n")[1]?.trim() ?? "unknown"}\n`);
});
main().catch((error: unknown) => {
  process.stderr.write(
    `sidecar: could not start (${error instanceof Error ? error.message.slice(0, 300) : "unknown"})\n`,
  );
  process.exit(1);
});
