import { createClient } from "@x1agent/client";
import { accept, refuse } from "@x1agent/contract";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Fixture, serveHandlers } from "../../../test/http-fixture.ts";
import { createHub } from "../../events/hub.ts";
import { createEventStreams } from "../../events/streams.ts";
import type { Caller, UseCases } from "../../use-cases/index.ts";
import { createHandlers } from "./index.ts";

let fixture: Fixture | undefined;
afterEach(() => fixture?.close());

/** Use-cases that only know what a test gives them; anything else that is reached throws. */
async function service(
  given: { [K in keyof UseCases]?: Partial<UseCases[K]> },
  token = "token-read,write,approve,admin",
) {
  const useCases = given as unknown as UseCases;
  const streams = createEventStreams({
    hub: createHub(),
    read: (organizationId, jobId, after, limit) =>
      useCases.sessions.events({ organizationId, actor: { kind: "platform", id: "x1" } }, jobId, after, limit),
    onError: () => undefined,
  });
  fixture = await serveHandlers(
    createHandlers({
      useCases,
      streams,
      version: "0.1.0",
      status: () => "ok",
      signInLink: async () => refuse("unavailable"),
    }),
  );
  return createClient({ baseUrl: fixture.url, token });
}
const mine = { get: async (_: Caller, id: string) => (id === "mine" ? ({ id } as never) : null) };
const event = (seq: number) => ({
  seq,
  ts: "2026-01-01T00:00:00.000Z",
  type: "session.idle",
  source: "reported" as const,
  attemptId: null,
  turn: null,
  origin: null,
  payload: {},
});

describe("handlers", () => {
  it("pass on who calls, and never another organization than the token's", async () => {
    const callers: Caller[] = [];
    const client = await service({
      projects: {
        list: async (caller) => {
          callers.push(caller);
          return { items: [], cursor: null };
        },
      },
    });
    await client.listProjects();
    expect(callers).toEqual([{ organizationId: "org_1", actor: { kind: "user", id: "user_1" } }]);
  });

  it("answer not_found for what is another's, on every route below a job", async () => {
    const client = await service({ jobs: mine });
    const params = { jobId: "theirs" };
    const calls = [
      client.getJob({ params }),
      client.listEvents({ params }),
      client.listCalls({ params }),
      client.listEvidence({ params }),
      client.jobDiff({ params }),
      client.listApprovals({ params }),
      client.listPublications({ params }),
      client.getBlob({ params: { ...params, digest: "a".repeat(64) } }),
      client.events("theirs").next(),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: "not_found" });
  });

  it("page a change by files", async () => {
    const asked: unknown[] = [];
    const client = await service({
      jobs: mine,
      review: {
        diffFiles: async (_caller, _job, query) => {
          asked.push(query);
          return { files: [], more: query.at === 0 };
        },
      },
    });
    const params = { jobId: "mine" };
    const first = await client.listDiffFiles({ params, query: { limit: 2 } });
    expect(first.cursor).toBe("2");
    expect((await client.listDiffFiles({ params, query: { limit: 2, cursor: "2" } })).cursor).toBeNull();
    expect(asked).toMatchObject([
      { at: 0, limit: 2 },
      { at: 2, limit: 2 },
    ]);
  });

  it("look up blobs by digest only", async () => {
    const asked: string[] = [];
    const client = await service({
      jobs: mine,
      review: {
        blob: async (_caller, _job, digest) => {
          asked.push(digest);
          return new TextEncoder().encode("log");
        },
      },
    });
    await expect(client.getBlob({ params: { jobId: "mine", digest: "../../token" } })).rejects.toMatchObject({
      code: "not_found",
    });
    expect(new TextDecoder().decode(await client.getBlob({ params: { jobId: "mine", digest: "a".repeat(64) } }))).toBe(
      "log",
    );
    expect(asked).toEqual(["a".repeat(64)]);
  });

  it("stream events over the wire and page through the log", async () => {
    const failures: unknown[] = [];
    vi.spyOn(console, "error").mockImplementation((error) => failures.push(error));
    const log = [1, 2, 3, 4, 5].map(event);
    const client = await service({
      jobs: mine,
      sessions: { events: async (_caller, _job, after, limit) => log.filter(({ seq }) => seq > after).slice(0, limit) },
    });
    const seen: unknown[] = [];
    for await (const { seq } of client.events("mine", { after: 2 })) {
      seen.push(seq);
      if (seq === 5) break;
    }
    expect(seen).toEqual([3, 4, 5]);
    // Once the framework wrote a second head behind the stream's own: it failed, and only the log knew.
    expect(failures).toEqual([]);
    const page = await client.listEvents({ params: { jobId: "mine" }, query: { limit: 3 } });
    expect([page.items.length, page.cursor]).toEqual([3, "3"]);
    expect((await client.listEvents({ params: { jobId: "mine" }, query: { after: 3, limit: 3 } })).cursor).toBeNull();
  });

  it("let nobody hand on more than they hold", async () => {
    const client = await service(
      { identity: { createToken: async () => ({ id: "t", token: "x" }) } },
      "token-admin,read",
    );
    await expect(client.createToken({ body: { name: "n", scopes: ["read", "approve"] } })).rejects.toMatchObject({
      code: "forbidden",
    });
    await expect(client.createToken({ body: { name: "n", scopes: ["read"] } })).resolves.toEqual({
      id: "t",
      token: "x",
    });
  });

  it("take secrets by a known kind of name, on one line", async () => {
    const set: string[] = [];
    const client = await service({
      secrets: {
        set: async (_caller, projectId, name) => {
          set.push(projectId === null ? name : `${projectId} ${name}`);
          return accept({ name, lastFour: "1234", updatedAt: "2026-01-01T00:00:00.000Z", lastUsedAt: null });
        },
        delete: async () => refuse("not_found", "No such secret."),
      },
    });
    for (const name of ["anthropic", "git:github.com", "git:host.example:8443"])
      await client.setSecret({ params: { name }, body: { value: "v" } });
    expect(set).toEqual(["anthropic", "git:github.com", "git:host.example:8443"]);
    for (const name of ["../x", "git:", "A", "git:host/path"])
      await expect(client.setSecret({ params: { name }, body: { value: "v" } })).rejects.toMatchObject({
        code: "invalid_request",
      });
    await expect(
      client.setSecret({ params: { name: "anthropic" }, body: { value: "a\r\nx: y" } }),
    ).rejects.toMatchObject({ code: "invalid_request" });
    await expect(client.deleteSecret({ params: { name: "anthropic" } })).rejects.toMatchObject({ code: "not_found" });
    const own = (name: string, value: string) =>
      client.setProjectSecret({ params: { projectId: "prj_1", name }, body: { value } });
    await own("registry:host.example", "v");
    expect(set.at(-1)).toBe("prj_1 registry:host.example");
    // What other parts of the service store for themselves has names that nobody else can give.
    for (const [name, value] of [
      ["forge-token:con_1", "v"],
      ["git:host.example", "two\nlines"],
    ] as const)
      await expect(own(name, value)).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("pass refusals of the use-cases on as they are", async () => {
    const client = await service({
      review: { decide: async () => refuse("digest_mismatch", "It moved.") },
      sessions: { interrupt: async () => accept({ interrupted: true }) },
    });
    await expect(
      client.decide({ params: { jobId: "j" }, body: { decision: "approve", digest: "a".repeat(64) } }),
    ).rejects.toMatchObject({ code: "digest_mismatch", message: "It moved." });
    expect(await client.interruptJob({ params: { jobId: "j" } })).toEqual({ interrupted: true });
    expect(await client.health()).toEqual({ status: "ok", version: "0.1.0", contract: "1.0" });
  });
});
