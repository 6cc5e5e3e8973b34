import { describe, expect, it } from "vitest";
import { responseHeaders, TokenCheck } from "./http.ts";

describe("an answer's headers", () => {
  it("go down without those of one connection, those that it names so, and what would outlive the workspace", () => {
    const kept = { "content-type": "text/plain", etag: "x", "retry-after": "7", link: ["a", "b"] as unknown as string };
    const dropped = {
      ...{ connection: "keep-alive, X-Hop , x-other", "x-hop": "1", "x-other": "2", "keep-alive": "timeout=5" },
      ...{ "transfer-encoding": "chunked", "content-length": "3", trailer: "x", upgrade: "h2c", te: "trailers" },
      ...{ "proxy-authenticate": "Basic", "proxy-authorization": "Basic eA==", "proxy-connection": "close" },
      ...{ "set-cookie": ["a=b"], "set-cookie2": "a=b", "alt-svc": "h3", "strict-transport-security": "max-age=1" },
    };
    expect(responseHeaders({ ...kept, ...dropped })).toEqual(kept);
  });
});

describe("the job's token", () => {
  const check = new TokenCheck("the-token");
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  it.each([
    ["x-x1-token", "the-token", true],
    ["authorization", "Bearer the-token", true],
    ["authorization", "bearer the-token", true],
    ["authorization", basic("x1:the-token"), true],
    ["authorization", basic("anybody:the-token"), true],
    ["x-api-key", "the-token", false],
    ["authorization", "Bearer the-token2", false],
    ["authorization", "Bearer", false],
    ["authorization", "Digest the-token", false],
    ["authorization", basic("the-token:x1"), false],
    ["authorization", basic("x1:the:token"), false],
    ["authorization", "", false],
  ])("in %s as %j: %s", (name, value, accepted) =>
    expect(check.accepts({ [name]: value }, ["x-x1-token", "authorization"])).toBe(accepted),
  );
});
