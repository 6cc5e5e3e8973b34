import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { problem, type Route, routes } from "@x1agent/contract";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { type Client, createClient, fillPath } from "./client.ts";
import { ApiError, UnreachableError } from "./errors.ts";

type Seen = { method: string; url: string; headers: Record<string, unknown>; body: string };
let server: Server;
let url: string;
let client: Client;
const seen: Seen[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
      const path = request.url ?? "";
      const answer = (status: number, type: string, text: string) =>
        response.writeHead(status, { "content-type": type }).end(text);
      if (path.includes("/jobs/refused"))
        return answer(404, "application/problem+json", JSON.stringify(problem("not_found", "No such job.")));
      if (path.includes("/jobs/newer"))
        return answer(
          409,
          "application/problem+json",
          JSON.stringify({ status: 409, code: "of_the_future", detail: "Something new." }),
        );
      if (path.includes("/jobs/html")) return answer(502, "text/html", "<h1>proxy</h1>");
      if (path.includes("/jobs/away")) return response.writeHead(302, { location: "http://127.0.0.1:9/" }).end();
      if (path.includes("/blobs/")) return answer(200, "application/octet-stream", "\u0001bytes");
      if (path.includes("/diff") || path.includes("/install")) return answer(200, "text/plain", "one\ntwo\nthree");
      return answer(200, "application/json", '{"items":[],"cursor":null}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createClient({ baseUrl: `${url}/`, token: "tkn" });
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe("the client", () => {
  it("has a method for every route that is no stream", () => {
    for (const [name, route] of Object.entries(routes) as [keyof Client, Route][])
      if (route.kind !== "sse") expect(client[name], name).toBeTypeOf("function");
  });

  it("sends what the table says, and nothing of an absent option", async () => {
    await client.listJobs({ query: { limit: 5, projectId: "p 1" } });
    expect(seen.at(-1)).toMatchObject({
      method: "GET",
      url: "/api/v1/jobs?limit=5&projectId=p+1",
      headers: { authorization: "Bearer tkn" },
    });
    await client.createGrant({ body: { subject: { kind: "job", id: "j" }, type: "spawn" }, idempotencyKey: "k" });
    expect(seen.at(-1)).toMatchObject({
      method: "POST",
      headers: { "idempotency-key": "k", "content-type": "application/json" },
    });
    expect(seen.at(-1)?.headers["last-event-id"]).toBeUndefined();
  });

  it("lets no parameter leave its place in the path", async () => {
    await client.getJob({ params: { jobId: "../secrets?x#y" } });
    expect(seen.at(-1)?.url).toBe("/api/v1/jobs/..%2Fsecrets%3Fx%23y");
    expect(() => fillPath("/jobs/:id", { id: ".." })).toThrow(TypeError);
    expect(() => fillPath("/jobs/:id", {})).toThrow(TypeError);
  });

  it("throws refusals with their code, also codes it does not know", async () => {
    await expect(client.getJob({ params: { jobId: "refused" } })).rejects.toMatchObject({
      name: "ApiError",
      code: "not_found",
      status: 404,
      message: "No such job.",
    });
    const error = await client.getJob({ params: { jobId: "newer" } }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 409, message: "Something new." });
  });

  it("tells a service that is not there from one that refuses", async () => {
    await expect(client.getJob({ params: { jobId: "html" } })).rejects.toBeInstanceOf(UnreachableError);
    await expect(createClient({ baseUrl: "http://127.0.0.1:9", token: "t" }).me()).rejects.toBeInstanceOf(
      UnreachableError,
    );
  });

  it("follows no redirect: the token stays with the address it is for", async () => {
    await expect(client.getJob({ params: { jobId: "away" } })).rejects.toBeInstanceOf(UnreachableError);
  });

  it("reads bytes, text and lines", async () => {
    expect([...(await client.getBlob({ params: { jobId: "j", digest: "d" } }))].at(0)).toBe(1);
    expect(await client.jobDiff({ params: { jobId: "j" } })).toBe("one\ntwo\nthree");
    const lines: string[] = [];
    for await (const line of client.lines("installRuntime", { params: { name: "n" } })) lines.push(line);
    expect(lines).toEqual(["one", "two", "three"]);
  });

  it("stops following when the service refuses", async () => {
    const events = client.events("refused");
    await expect(events.next()).rejects.toMatchObject({ code: "not_found" });
  });

  it("is typed from the table", () => {
    expectTypeOf(client.getJob).parameter(0).toHaveProperty("params").toEqualTypeOf<{ jobId: string }>();
    expectTypeOf(client.decide).parameter(0).toHaveProperty("body").toHaveProperty("digest").toEqualTypeOf<string>();
    expectTypeOf(client.me).parameter(0).toBeNullable();
    // @ts-expect-error a job needs its id
    const missing = () => client.getJob();
    expect(missing).toBeTypeOf("function");
  });
});
