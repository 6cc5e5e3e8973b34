import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { MIN_SECRET, searchObjects, secretForms, secretsIn } from "./leaks.ts";
import type { KnownSecret } from "./port.ts";

const known = (name: string, value: string | Buffer): KnownSecret => ({ name, value: Buffer.from(value as string) });
const token = "tok-3f9a77/c41e+88b2";
const secrets = [known("anthropic", token)];

describe("a kept secret is found", () => {
  it.each([
    ["as it stands", token],
    ["in base64", Buffer.from(token).toString("base64")],
    ["in base64 behind one byte", Buffer.from(`:${token}.`).toString("base64")],
    ["in base64 behind two bytes", Buffer.from(`u:${token}`).toString("base64")],
    ["in base64 for URLs", Buffer.from(`x1:${token}`).toString("base64url")],
    ["in hexadecimal", Buffer.from(token).toString("hex")],
    ["in capital hexadecimal", Buffer.from(token).toString("hex").toUpperCase()],
    ["as a URL has it", encodeURIComponent(token)],
  ])("%s", (_, written) => {
    expect(secretsIn(`const a = "${written}";`, secrets)).toEqual(["anthropic"]);
    // Planted: without one letter it is another text.
    const other = written.slice(0, 8) + written.slice(9);
    expect(secretsIn(`const a = "${other}";`, secrets)).toEqual([]);
  });

  it("with its line ends as they are, as Windows has them and as JSON does", () => {
    const key = "-----BEGIN KEY-----\nabcdefghijkl\n-----END KEY-----\n";
    for (const text of [key, key.replaceAll("\n", "\r\n"), JSON.stringify({ key })])
      expect(secretsIn(text, [known("git:example.org", key)])).toEqual(["git:example.org"]);
  });

  it("by the password alone where it is a user's name and password", () => {
    expect(secretsIn("a-long-password", [known("git:example.org", "maria:a-long-password")])).toHaveLength(1);
    expect(secretsIn("a-long-password", [known("anthropic", "maria:a-long-password")])).toEqual([]);
  });

  it("when it is bytes and not text", () => {
    const value = randomBytes(32);
    expect(secretsIn(`key: ${value.toString("base64")}`, [known("key", value)])).toEqual(["key"]);
    expect(secretsIn(`key: ${randomBytes(32).toString("base64")}`, [known("key", value)])).toEqual([]);
  });
});

it("what is as short as a word is not sought", () => {
  expect(secretForms([known("short", "x".repeat(MIN_SECRET - 1))])).toEqual([]);
  expect(secretForms([known("long", "x".repeat(MIN_SECRET))]).length).toBeGreaterThan(0);
});

it("what git gives out is searched object by object, wherever it is cut into parts", async () => {
  const [a, b, c] = ["a".repeat(40), "b".repeat(40), "c".repeat(40)];
  const half = token.slice(0, 9);
  const objects = [`x${token}\n${token}`, half, token.slice(9)];
  const output = Buffer.from([a, b, c].map((id, i) => `${id} blob ${objects[i]?.length}\n${objects[i]}\n`).join(""));
  async function* cut(...at: number[]): AsyncGenerator<Buffer> {
    for (const [i, end] of [...at, output.length].entries()) yield output.subarray(at[i - 1] ?? 0, end);
  }
  const forms = secretForms(secrets);
  for (let at = 0; at <= output.length; at += 1) {
    // One part of two lies in the objects next to each other, which is no secret.
    expect(await searchObjects(cut(at), forms)).toEqual([{ name: "anthropic", id: a }]);
    expect(await searchObjects(cut(at, Math.min(at + 3, output.length)), forms)).toHaveLength(1);
  }
  const single = Array.from({ length: output.length - 1 }, (_, i) => i + 1);
  expect(await searchObjects(cut(...single), forms)).toEqual([{ name: "anthropic", id: a }]);
});
