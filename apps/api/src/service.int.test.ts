import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@x1agent/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { principal } from "../test/http-fixture.ts";
import { type Assembly, type Parts, type Service, startService } from "./service.ts";
import { parseStartOptions } from "./start/options.ts";
import type { UseCases } from "./use-cases/index.ts";

let root: string;
let running: Service[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-service-"));
});
afterEach(async () => {
  for (const service of running.splice(0)) await service.close();
  await rm(root, { recursive: true, force: true });
});

/** The least that can be put together: no domain, one listed project, tokens in memory. */
function assembly(change: Partial<Parts> = {}, tokens = new Set<string>()): Assembly & { steps: string[] } {
  const steps: string[] = [];
  return {
    steps,
    migrations: [],
    assemble: async () => ({
      useCases: {
        projects: { list: async () => ({ items: [], cursor: null }) },
        sessions: { events: async () => [] },
      } as unknown as UseCases,
      authenticate: async (token) => (tokens.has(token) ? principal : null),
      async bootstrap() {
        if (tokens.size > 0) return null;
        tokens.add("first");
        return { token: "first" };
      },
      async issueLocalToken() {
        tokens.add("again");
        return "again";
      },
      signIn: {} as Parts["signIn"],
      signInLimits: {} as Parts["signInLimits"],
      start: async () => void steps.push("start"),
      stop: async () => void steps.push("stop"),
      ...change,
    }),
  };
}
const options = (port = 0) =>
  parseStartOptions(["--data", join(root, "data"), "--master-key", join(root, "key"), "--port", String(port)], {});
const start = async (parts: Assembly, port = 0) => {
  const service = await startService(options(port), parts);
  running.push(service);
  return service;
};

/** The status that a request under another name gets. */
const askAs = (url: string, host: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    request(new URL("/api/v1/health", url), { headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on("error", reject)
      .end();
  });

describe("the service", () => {
  it("starts, answers with the token of its file only, and goes without a trace of itself", async () => {
    const parts = assembly();
    const service = await start(parts);
    expect((await stat(service.tokenFile)).mode & 0o777).toBe(0o600);
    expect((await stat(join(root, "data"))).mode & 0o777).toBe(0o700);
    const token = (await readFile(service.tokenFile, "utf8")).trim();
    expect(JSON.parse(await readFile(join(root, "data/service.json"), "utf8"))).toEqual({
      url: service.url,
      pid: process.pid,
    });
    expect(await createClient({ baseUrl: service.url, token }).listProjects()).toEqual({ items: [], cursor: null });
    await expect(createClient({ baseUrl: service.url, token: "other" }).listProjects()).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await service.close();
    running = [];
    expect(parts.steps).toEqual(["start", "stop"]);
    await expect(stat(join(root, "data/service.json"))).rejects.toThrow();
    await expect(createClient({ baseUrl: service.url, token }).health()).rejects.toThrow();
  });

  it("keeps its token and its public address over a restart, and makes a lost token anew", async () => {
    const tokens = new Set<string>();
    const once = async (publicUrl?: string | null) => {
      const parts = assembly({}, tokens);
      let seen: string | null = null;
      const service = await startService(
        { ...options(), ...(publicUrl === undefined ? {} : { publicUrl }) },
        {
          ...parts,
          assemble: (foundation) => {
            seen = foundation.publicUrl;
            return parts.assemble(foundation);
          },
        },
      );
      running.push(service);
      const token = (await readFile(service.tokenFile, "utf8")).trim();
      const answer = await askAs(service.url, "x1.example.com");
      await service.close();
      running = [];
      return [token, seen, answer];
    };
    expect(await once()).toEqual(["first", null, 403]);
    expect(await once("https://x1.example.com")).toEqual(["first", "https://x1.example.com", 200]);
    await rm(join(root, "data/token"));
    expect(await once()).toEqual(["again", "https://x1.example.com", 200]);
    expect(await once(null)).toEqual(["again", null, 403]);
  });

  it("names the owner of a data directory that is in use", async () => {
    await start(assembly());
    await expect(startService(options(), assembly())).rejects.toThrow(`pid ${process.pid}`);
  });

  it("says what to do when the port is taken, and ends what it had started", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const parts = assembly();
    await expect(startService(options(port), parts)).rejects.toThrow(/Port \d+ on 127.0.0.1 is taken.*--port/);
    expect(parts.steps).toEqual(["stop"]);
    other.close();
    // Lock and database were let go: the next start works.
    await start(assembly());
  });

  it("does not start over a broken part", async () => {
    await expect(
      startService(options(), assembly({ bootstrap: () => Promise.reject(new Error("no")) })),
    ).rejects.toThrow("no");
    await start(assembly());
  });
});
