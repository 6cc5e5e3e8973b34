import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault, isolationRank, type RuntimeManifest, RuntimeTest } from "@x1agent/contract";
import { type Logger, newId } from "@x1agent/kernel";
import { launchWorkspace, type Workspace, type WorkspaceDriver } from "@x1agent/workspaces";
import { createHostClient } from "../jobs/host-client.ts";

/**
 * Self-tests of installed runtimes: the real CLI is started by its host in an empty workspace without any network, until it
 * takes a message. No model is called, so nothing is paid and nothing is said of what it answers. What is measured is this
 * machine's, which is why it is kept beside the installed CLI and not in the database, that may move to another one.
 */
export type SelfTests = {
  /** Tests what is installed in `appDir`. Never rejects: what went wrong is the result's sentence. */
  run(manifest: RuntimeManifest, appDir: string, onProgress: (line: string) => void): Promise<RuntimeTest>;
  /** What the last test of any version said; null when there was none. */
  last(name: string): Promise<RuntimeTest | null>;
  /** Whether a workspace of this attempt is a running test's. */
  owns(attemptId: string): boolean;
  /** Ends what runs. */
  stop(): Promise<void>;
};

export type SelfTestDeps = {
  driver: WorkspaceDriver;
  log: Logger;
  /** `<data>/runtimes`. */
  directory: string;
};

/** The host gives its CLI 90 s; workspace and host come before that. */
const TEST_MS = 150_000;
/** Between the two looks at the memory: a CLI loads on after it has said that it is ready. */
const SETTLE_MS = 500;
const LIMITS = { memoryBytes: 4 * 1024 ** 3, processes: 512, diskBytes: 2 * 1024 ** 3 };

export function createSelfTests({ driver, log, directory }: SelfTestDeps): SelfTests {
  const running = new Map<string, { end: AbortController; done: Promise<unknown> }>();
  const fileOf = (name: string) => join(directory, name, "self-test.json");

  async function measure(
    manifest: RuntimeManifest,
    appDir: string,
    attemptId: string,
    onProgress: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Pick<RuntimeTest, "startMs" | "memory">> {
    const offered = (await driver.probe()).report?.level ?? "process";
    const id = newId("ws").replace("_", "-");
    try {
      onProgress("starting an empty workspace without network");
      const workspace = await launchWorkspace(driver, {
        ...{ id, organizationId: "platform", jobId: "self-test", attemptId, purpose: "agent" },
        minIsolation: isolationRank(offered) > 0 ? "namespaces" : "process",
        ...{ runtime: { manifest, appDir }, mounts: [], env: {}, limits: LIMITS },
        hostToken: randomBytes(32).toString("base64url"),
      });
      const { endpoint, exited } = await workspace.startHost();
      signal.throwIfAborted();
      onProgress(`starting ${manifest.title} ${manifest.version}`);
      const host = createHostClient(endpoint);
      const began = performance.now();
      const ready = untilReady(host, exited, signal);
      ready.catch(() => {});
      const started = await host.post("/start", { sessionKey: attemptId, model: manifest.defaultModel });
      if (!started.ok) throw new Fault(started.code, started.detail);
      await ready;
      const startMs = Math.round(performance.now() - began);
      onProgress(`ready after ${startMs} ms; measuring its memory`);
      const memory = await measureMemory(workspace);
      await host.post("/shutdown", {}).catch(() => null);
      return { startMs, memory };
    } finally {
      await driver.stop(id);
    }
  }

  async function run(
    manifest: RuntimeManifest,
    appDir: string,
    onProgress: (line: string) => void,
  ): Promise<RuntimeTest> {
    const end = new AbortController();
    const attemptId = newId("att");
    const signal = AbortSignal.any([end.signal, AbortSignal.timeout(TEST_MS)]);
    const facts = { at: new Date().toISOString(), version: manifest.version };
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
    );
    aborted.catch(() => {});
    const measuring = measure(manifest, appDir, attemptId, onProgress, signal);
    const result = Promise.race([measuring, aborted]).then(
      (measured): RuntimeTest => ({ ...facts, ok: true, detail: null, ...measured }),
      (error: unknown): RuntimeTest => {
        if (!(error instanceof Fault) && !signal.aborted) log.error("a self-test broke", { error });
        const detail = end.signal.aborted
          ? "The service stopped before it was over."
          : signal.aborted
            ? `It was not ready after ${TEST_MS / 1_000} s.`
            : error instanceof Fault
              ? error.message
              : "The test broke: the service's log says why.";
        return { ...facts, ok: false, detail: detail.slice(0, 2_000), startMs: null, memory: null };
      },
    );
    running.set(attemptId, { end, done: measuring.catch(() => {}) });
    void measuring.catch(() => {}).then(() => running.delete(attemptId));
    const test = await result;
    if (!end.signal.aborted)
      await keep(fileOf(manifest.name), test).catch((error: unknown) =>
        log.warn("a self-test's result could not be kept", { error }),
      );
    return test;
  }

  return {
    run,
    async last(name) {
      try {
        return RuntimeTest.parse(JSON.parse(await readFile(fileOf(name), "utf8")));
      } catch {
        // None yet, or one of another version of this service: it is made anew by the next test.
        return null;
      }
    },
    owns: (attemptId) => running.has(attemptId),
    async stop() {
      for (const { end } of running.values()) end.abort(new Error("The service stops."));
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

/** Resolves with the session's first word; rejects with the sentence of its end, or when host or service go first. */
async function untilReady(
  host: ReturnType<typeof createHostClient>,
  exited: Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (sentence: string) => reject(new Fault("unavailable", sentence));
  const following = host.follow({
    ...{ lastEventId: null, signal: AbortSignal.any([signal, enough.signal]), ready: async () => {} },
    onEvent({ type, payload }) {
      const said = payload as { code?: string; detail?: string };
      if (type === "session.init") resolve();
      else if (type === "session.ended") fail(said.detail ?? said.code ?? "The CLI ended before it was ready.");
    },
    onInvalid: () => {},
  });
  following.then(
    () => fail("The host ended before the CLI was ready."),
    (error: unknown) => reject(error as Error),
  );
  void exited.then(() => fail("The host ended before the CLI was ready."));
  try {
    await promise;
  } finally {
    enough.abort();
    await following.catch(() => {});
  }
}

/** The larger of two looks: host, CLI and all that it started. */
async function measureMemory(workspace: Workspace): Promise<RuntimeTest["memory"]> {
  const first = (await workspace.hostMemory?.()) ?? null;
  if (!first) return null;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const second = (await workspace.hostMemory?.()) ?? null;
  return second && second.bytes > first.bytes ? second : first;
}

async function keep(path: string, test: RuntimeTest): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify(test)}\n`, { mode: 0o644 });
  await rename(`${path}.new`, path);
}
