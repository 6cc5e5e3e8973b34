import { describe, expect, it } from "vitest";
import { awayWords, isAway, isAwayStatus } from "./away.ts";

describe("git's words about a remote", () => {
  it.each([
    "fatal: unable to access 'http://127.0.0.1:40111/a.git/': Failed to connect to 127.0.0.1 port 40111 after 0 ms: Couldn't connect to server",
    "fatal: unable to access 'https://forge.example/a.git/': Could not resolve host: forge.example",
    "fatal: unable to access 'https://forge.example/a.git/': The requested URL returned error: 503",
    "fatal: unable to access 'https://forge.example/a.git/': The requested URL returned error: 429",
    "fatal: unable to access 'https://forge.example/a.git/': Empty reply from server",
    "fatal: unable to access 'https://forge.example/a.git/': Received HTTP code 502 from proxy after CONNECT",
    "fatal: unable to access 'https://forge.example/a.git/': CONNECT tunnel failed, response 502",
    "fatal: unable to access 'https://forge.example/a.git/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
    "fatal: unable to access 'https://forge.example/a.git/': Recv failure: Connection reset by peer",
    "error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfatal: early EOF",
    "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nfatal: the remote end hung up unexpectedly",
    "ssh: connect to host forge.example port 22: Connection refused\nfatal: Could not read from remote repository.\n\nand the repository exists.",
    "ssh: Could not resolve hostname forge.example: Name or service not known\nfatal: Could not read from remote repository.",
  ])("say that it is away: %s", (stderr) => {
    expect(awayWords(stderr)).toBe(stderr.split("\n")[0]);
  });

  it.each([
    "fatal: repository 'https://forge.example:40111/a.git/' not found",
    "fatal: Authentication failed for 'https://forge.example/a.git/'",
    "fatal: could not read Username for 'https://forge.example': terminal prompts disabled",
    "fatal: unable to access 'https://forge.example/a.git/': The requested URL returned error: 403",
    "fatal: unable to access 'https://forge.example/a.git/': server certificate verification failed. CAfile: none",
    "error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413\nsend-pack: unexpected disconnect while reading sideband packet\nfatal: the remote end hung up unexpectedly",
    "remote: error: GH006: Protected branch update failed\n! [remote rejected] protected branch hook declined",
    "git@forge.example: Permission denied (publickey).\nfatal: Could not read from remote repository.",
    "Host key verification failed.\nfatal: Could not read from remote repository.",
    "",
  ])("say no: %s", (stderr) => {
    expect(awayWords(stderr)).toBeNull();
  });
});

describe("a request that failed", () => {
  it("is one to repeat where nobody was there, and not where a rule of ours refused it", () => {
    const failed = (code: string) => new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code }) });
    for (const code of ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_SOCKET"])
      expect(isAway(failed(code))).toBe(true);
    expect(isAway(new DOMException("late", "TimeoutError"))).toBe(true);
    expect(isAway(failed("CERT_HAS_EXPIRED"))).toBe(false);
    expect(isAway(new TypeError("fetch failed", { cause: new Error("it has no public address") }))).toBe(false);
    expect([503, 429, 408, 404, 403, 200].map(isAwayStatus)).toEqual([true, true, true, false, false, false]);
  });
});
