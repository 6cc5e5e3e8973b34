import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { githubWebhook } from "./webhook.ts";

const secret = "It's a Secret to Everybody";
const body = Buffer.from("Hello, World!");
const signed = (headers: Record<string, string>, bytes = body) =>
  githubWebhook.signed((name) => headers[name], bytes, secret);

describe("a signature", () => {
  it("is that of GitHub's documentation", () => {
    const header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    expect(signed({ "x-hub-signature-256": header })).toBe(true);
    expect(signed({ "x-hub-signature-256": header }, Buffer.from("Hello, World"))).toBe(false);
  });
  it.each([
    ["of SHA-1 alone", { "x-hub-signature": `sha1=${createHmac("sha1", secret).update(body).digest("hex")}` }],
    ["of nobody", {}],
    ["of zeros", { "x-hub-signature-256": `sha256=${"0".repeat(64)}` }],
    ["cut short", { "x-hub-signature-256": "sha256=7571" }],
    ["with more", { "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}00` }],
    ["of another", { "x-hub-signature-256": `sha256=${createHmac("sha256", "x").update(body).digest("hex")}` }],
  ])("%s is none", (_name, headers) => expect(signed(headers as Record<string, string>)).toBe(false));
});

const read = (event: string, payload: unknown, id = "d-1") =>
  githubWebhook.read((name) => ({ "x-github-delivery": id, "x-github-event": event })[name], payload);
const at = { installation: { id: 11 }, repository: { id: 7 } };
const sha = "a".repeat(40);

describe("a delivery", () => {
  it.each([
    ["issues", { action: "labeled", issue: { number: 3 }, ...at }, { number: 3, commits: [] }],
    ["issue_comment", { issue: { number: 3, pull_request: {} }, ...at }, { number: 3 }],
    ["pull_request_review", { pull_request: { number: 4 }, ...at }, { number: 4 }],
    ["check_run", { check_run: { head_sha: sha }, ...at }, { number: null, commits: [sha] }],
    ["status", { sha, ...at }, { number: null, commits: [sha] }],
    ["push", { after: sha, ...at }, { number: null, commits: [], repositoryId: "7", installationId: "11" }],
    ["ping", { zen: "x" }, { repositoryId: null, installationId: null }],
  ])("of %s says where to look", (event, payload, wanted) =>
    expect(read(event, payload)).toMatchObject({ id: "d-1", event, ...wanted }),
  );
  it.each([
    [null, "d-1", "issues"],
    [{ issue: { number: "3" } }, "d-1", "issues"],
    [{ check_run: { head_sha: "../x" } }, "d-1", "check_run"],
    [{}, "", "issues"],
    [{}, "a b", "issues"],
    [{}, "d-1", "Issues;"],
  ])("%j is none", (payload, id, event) => expect(read(event, payload, id)).toBeNull());
  it("of anything at all breaks nothing", () =>
    fc.assert(fc.property(fc.anything(), (payload) => void read("issues", payload))));
});
