import { describe, expect, it } from "vitest";
import { isGlobal, normalizeHost, resolveAllowed } from "./address.ts";
import { judgeHello, serverName } from "./egress.ts";
import { hello } from "./test/hello.ts";

describe("hosts", () => {
  it.each([
    ["Example.ORG.", "example.org"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["0x7f.1", "127.0.0.1"],
    ["0177.0.0.1", "127.0.0.1"],
    ["2130706433", "127.0.0.1"],
    ["[::FFFF:127.0.0.1]", "::ffff:7f00:1"],
  ])("%s is %s", (text, host) => expect(normalizeHost(text)).toBe(host));
  it.each(["", "a\0b", "a b", "evil.org/x", "user@evil.org", "a%2eb", "x?y", "fe80::1%eth0"])("%j is none", (text) =>
    expect(normalizeHost(text)).toBeNull(),
  );
});

describe("addresses", () => {
  it.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "::ffff:10.0.0.1",
    "2002:a00:1::",
    "64:ff9b::a00:1",
    "192.0.2.1",
    "198.18.0.1",
    "240.0.0.1",
    "nonsense",
  ])("%s is not public", (address) => expect(isGlobal(address)).toBe(false));
  it.each(["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])("%s is", (address) =>
    expect(isGlobal(address)).toBe(true),
  );

  const look = (address: string) => async () => [{ address, family: address.includes(":") ? 6 : 4 }];
  it("refuses a name that resolves inside, unless its rule names the range; our own listeners always", async () => {
    const at = (address: string, rule = {}, forbidden: { address: string; port?: number }[] = []) =>
      resolveAllowed("mirror.example", 443, [rule], forbidden, look(address));
    expect(await at("10.0.0.5")).toMatchObject({ ok: false, code: "address_refused" });
    expect(await at("10.0.0.5", { address: "10.0.0.0/24" })).toMatchObject({ ok: true, address: "10.0.0.5" });
    expect(await at("10.0.1.5", { address: "10.0.0.0/24" })).toMatchObject({ ok: false });
    expect(await at("93.184.216.34", { address: "10.0.0.0/24" })).toMatchObject({ ok: false });
    expect(await at("10.0.0.5", { address: "10.0.0.0/24" }, [{ address: "::ffff:10.0.0.5", port: 443 }])).toMatchObject(
      { ok: false },
    );
  });
});

describe("the server name of a TLS hello", () => {
  it("is read, however the hello arrives", () => {
    const bytes = hello("registry.example");
    expect(serverName(bytes)).toEqual({ kind: "name", name: "registry.example" });
    for (let end = 0; end < bytes.length; end += 1) expect(serverName(bytes.subarray(0, end)).kind).toBe("more");
  });
  it("is missing in a hello without one and in anything else", () => {
    expect(serverName(hello(null)).kind).toBe("none");
    expect(serverName(Buffer.from("GET / HTTP/1.1\r\n")).kind).toBe("none");
  });
  it("lets a tunnel speak TLS for its own host only, on TLS's own port nothing else at all", () => {
    const record = (payload: Buffer) =>
      Buffer.concat([Buffer.from([22, 3, 1, payload.length >> 8, payload.length & 255]), payload]);
    const judged = (bytes: Buffer | string, port = 443) => {
      const verdict = judgeHello(Buffer.from(bytes), "registry.example", port);
      return typeof verdict === "string" ? verdict : "refused";
    };
    for (const port of [443, 8443]) {
      expect(judged(hello("registry.example"), port)).toBe("passed");
      expect(judged(hello("REGISTRY.example."), port)).toBe("passed");
      for (const other of ["evil.example", "registry.example.evil.example", "registry.example\0", "", null])
        expect(judged(hello(other), port), `${other}`).toBe("refused");
      expect(judged(hello("registry.example").subarray(0, 60), port)).toBe("more");
      // A hello without an end: records that each bring a little.
      const endless = record(Buffer.concat([Buffer.from([1, 255, 255, 255]), Buffer.alloc(4_000)]));
      expect(judged(Buffer.concat([endless, endless]), port)).toBe("more");
      expect(judged(Buffer.concat(Array(5).fill(endless)), port)).toBe("refused");
    }
    expect([judged("SSH-2.0-x\r\n", 22), judged("SSH-2.0-x\r\n"), judged("GET / HTTP/1.1\r\n")]).toEqual([
      ...["passed", "refused", "refused"],
    ]);
  });
});
