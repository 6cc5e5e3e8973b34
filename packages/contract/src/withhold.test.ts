import fc from "fast-check";
import { expect, it } from "vitest";
import { withheldSentence, withholdSecrets } from "./withhold.ts";

// Put together here, so that no scanner of anybody takes this file for a leak.
const github = `ghp_${"aB3dE6gH9j".repeat(4).slice(0, 36)}`;
const secrets = [
  ["a GitHub token", github],
  ["a GitHub token", `github_pat_${"aB3dE6gH9j".repeat(8)}`],
  ["a GitLab token", `glpat-${"aB3dE6gH9j".repeat(2)}`],
  ["a model provider's key", `sk-ant-api03-${"aB3dE6gH9j".repeat(3)}`],
  ["a Google key", `AIza${"aB3dE6gH9j".repeat(4).slice(0, 35)}`],
  ["an AWS key", `AKIA${"ABCD2345".repeat(2)}`],
  ["a Slack token", `xoxb-${"1234567890".repeat(2)}`],
  ["a registry's token", `npm_${"aB3dE6gH9j".repeat(4).slice(0, 36)}`],
  ["a token of this service", `x1_${"aB3dE6gH9j".repeat(4)}`],
  ["a password in an address", "postgres://app:hunter2hunter2@"],
  ["a private key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n    abc\n-----END RSA PRIVATE KEY-----"],
] as const;

it.each(secrets)("takes out %s, written plainly, in base64 or hexadecimal", (name, secret) => {
  expect(withholdSecrets(`before ${secret} after`)).toEqual({
    text: `before [withheld: ${name}] after`,
    withheld: [name],
  });
  for (const form of ["base64", "base64url", "hex"] as const) {
    const told = Buffer.from(`see ${secret} there`).toString(form);
    const found = withholdSecrets(`x ${told} y`);
    expect(found.withheld).toEqual([`${name}, encoded`]);
    expect(found.text).toBe(`x [withheld: ${name}, encoded] y`);
  }
});

it("is not misled by characters that nobody sees", () => {
  const parted = `${github.slice(0, 10)}\u200b${github.slice(10)}`;
  expect(withholdSecrets(`a ${parted} b`).text).toBe("a [withheld: a GitHub token] b");
});

it.each([
  "Fixes #12: the commit 0123456789abcdef0123456789abcdef01234567 is replaced",
  `Digest of the evidence: ${"ab".repeat(32)}`,
  "The helper sk-learn-like-name and task-management stay; https://example.com:8080/a@b too",
  "a family \u{1F468}\u200d\u{1F469}\u200d\u{1F467} stays as it is",
])("leaves %s alone", (text) => expect(withholdSecrets(text)).toEqual({ text, withheld: [] }));

it("leaves nothing of a planted secret, whatever stands around it", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 200 }), (before, after) => {
      expect(withholdSecrets(`${before} ${github} ${after}`).text).not.toContain(github);
    }),
    { numRuns: 300 },
  );
});

it("says what it was, and nothing where there was nothing", () => {
  expect(withheldSentence([])).toBeNull();
  expect(withheldSentence(["a Google key"])).toContain("a Google key");
});
