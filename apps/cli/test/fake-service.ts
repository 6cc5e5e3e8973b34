import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ErrorCode, type Job, problem } from "@x1agent/contract";

export type Request = {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  body: unknown;
};
export type Answer = { status?: number; json?: unknown; text?: string; refuse?: ErrorCode; events?: unknown[] };
type Handler = (request: Request) => Answer;

/** The other side of the wire: a listener that answers by `METHOD /path` and remembers what it was asked. */
export async function startFakeService(handlers: Record<string, Handler | Answer>) {
  const requests: Request[] = [];
  const server = createServer((incoming: IncomingMessage, response: ServerResponse) => {
    let text = "";
    incoming.on("data", (chunk) => {
      text += chunk;
    });
    incoming.on("end", () => {
      const url = new URL(incoming.url ?? "/", "http://x");
      const request: Request = {
        method: incoming.method ?? "",
        path: url.pathname.replace("/api/v1", ""),
        query: url.searchParams,
        headers: incoming.headers,
        body: text ? JSON.parse(text) : undefined,
      };
      requests.push(request);
      const handler = handlers[`${request.method} ${request.path}`] ?? { refuse: "not_found" };
      const answer = typeof handler === "function" ? handler(request) : handler;
      if (answer.refuse) {
        const body = problem(answer.refuse);
        response.writeHead(body.status, { "content-type": "application/problem+json" }).end(JSON.stringify(body));
      } else if (answer.events) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        for (const event of answer.events as { seq: number }[])
          response.write(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`);
      } else if (answer.text !== undefined) response.writeHead(200, { "content-type": "text/plain" }).end(answer.text);
      else
        response
          .writeHead(answer.status ?? 200, { "content-type": "application/json" })
          .end(JSON.stringify(answer.json));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const digest = "a".repeat(64);
const commit = "b".repeat(40);

export const job = (change: Partial<Job> = {}): Job & { attempts: [] } => ({
  id: "job_1",
  projectId: "project_1",
  title: "Fix \u001b[31mit",
  goal: "Fix it",
  repository: "/repo",
  state: "awaiting_approval",
  reason: "verification_passed",
  reasonDetail: null,
  actor: { kind: "platform", id: "x1" },
  runtime: "some",
  model: "model",
  base: "main",
  baseCommit: commit,
  setup: null,
  verify: "npm test",
  ask: false,
  isolation: "namespaces",
  limits: {
    memoryBytes: 1e9,
    processes: 100,
    diskBytes: 1e9,
    setupMs: 1e4,
    verifyMs: 1e4,
    stallMs: 1e4,
    jobMs: 1e4,
    answerMs: 1e4,
    egressBytes: 0,
  },
  attempt: 1,
  round: 1,
  maxRounds: 2,
  budgetMicros: 5_000_000,
  spentMicros: 12_000,
  reservedMicros: 0,
  approvalDigest: digest,
  targetBranch: "x1/job_1-fix",
  publishedCommit: null,
  openQuestions: [],
  createdBy: { kind: "user", id: "u" },
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-01T00:00:00.000Z",
  endedAt: null,
  attempts: [],
  ...change,
});

const result = (exitCode: number) => ({
  command: "npm test",
  exitCode,
  signal: null,
  durationMs: 900,
  timedOut: false,
  outputBytes: 1,
  outputTail: "x",
  outputBlob: null,
  network: "none" as const,
});

export const evidence = {
  id: "evidence_1",
  jobId: "job_1",
  attemptId: "attempt_1",
  round: 1,
  createdAt: "2026-01-01T00:00:00.000Z",
  recordDigest: "c".repeat(64),
  approvalDigest: digest,
  pullRequest: { title: "Fix it", body: "" },
  record: {
    version: 1,
    organizationId: "o",
    jobId: "job_1",
    attemptId: "attempt_1",
    round: 1,
    repository: "/repo",
    base: commit,
    commit,
    tree: commit,
    targetBranch: "x1/job_1-fix",
    files: [
      {
        path: "src/\u202ea.ts",
        status: "modified",
        oldMode: "100644",
        newMode: "100644",
        insertions: 1,
        deletions: 1,
        binary: false,
        flags: ["test"],
      },
    ],
    insertions: 1,
    deletions: 1,
    named: [],
    verification: {
      commit,
      setup: null,
      verify: result(0),
      passed: true,
      counts: { passed: 3, failed: 0, skipped: 0, format: "tap" },
      withBaseTests: null,
    },
    baseline: { commit, setup: null, verify: result(1), passed: false, counts: null, withBaseTests: null },
    costMicros: 12_000,
    egressBlocked: [],
    policyVersion: "1",
  },
};
