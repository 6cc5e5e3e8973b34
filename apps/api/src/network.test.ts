import { describe, expect, it } from "vitest";
import { ownListeners, upstreamProxyOf } from "./network.ts";

describe("the machine's network", () => {
  it("has the operator's proxy, ours before everybody's", () => {
    expect(upstreamProxyOf({})).toBeUndefined();
    expect(upstreamProxyOf({ HTTPS_PROXY: "http://proxy.example:3128" })).toBe("http://proxy.example:3128/");
    expect(upstreamProxyOf({ HTTPS_PROXY: "http://a.example", X1_UPSTREAM_PROXY: "http://b.example:8080" })).toBe(
      "http://b.example:8080/",
    );
  });

  it.each(["https://proxy.example", "socks5://proxy.example", "proxy.example:3128", "http://"])(
    "says what an address of a proxy looks like: %s",
    (text) => expect(() => upstreamProxyOf({ X1_UPSTREAM_PROXY: text })).toThrow(/must be an address like/),
  );

  it("names our own listeners by address", async () => {
    expect(await ownListeners("http://127.0.0.1:4380", undefined)).toEqual([{ address: "127.0.0.1", port: 4380 }]);
    expect(await ownListeners("http://[::1]:4380", "postgres://u:p@127.0.0.2/db")).toEqual([
      { address: "::1", port: 4380 },
      { address: "127.0.0.2", port: 5432 },
    ]);
    expect(await ownListeners("http://127.0.0.1:1", "postgres:///db?host=/run/pg")).toHaveLength(1);
  });
});
