import { createHmac } from "node:crypto";
import webhookExamples from "@octokit/webhooks-examples" with { type: "json" };
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appManifest } from "./app.ts";
import { githubWebhook } from "./webhook.ts";

const secret = "It's a Secret to Everybody";
const body = Buffer.from("Hello, World!");
const signed = (headers: Record<string, string>, bytes = body) =>
  githubWebhook.signed((name) => headers[name], bytes, secret);

describe("a signature", () => {
  it("is that of GitHub's documentation", async () => {
    const header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    expect(await signed({ "x-hub-signature-256": header })).toBe(true);
    expect(await signed({ "x-hub-signature-256": header }, Buffer.from("Hello, World"))).toBe(false);
  });
  it("is of the bytes that came, not of a text that is read from them", async () => {
    const [text, bytes] = [Buffer.from("{}\ufffd"), Buffer.from("{}\xff", "latin1")];
    const of = (some: Buffer) => ({
      "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(some).digest("hex")}`,
    });
    expect(await signed(of(text), text)).toBe(true);
    expect(await signed(of(text), bytes)).toBe(false);
    expect(await signed(of(Buffer.alloc(0)), Buffer.alloc(0))).toBe(false);
  });
  it.each([
    ["of SHA-1 alone", { "x-hub-signature": `sha1=${createHmac("sha1", secret).update(body).digest("hex")}` }],
    ["of nobody", {}],
    ["of zeros", { "x-hub-signature-256": `sha256=${"0".repeat(64)}` }],
    ["cut short", { "x-hub-signature-256": "sha256=7571" }],
    ["with more", { "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}00` }],
    ["of another", { "x-hub-signature-256": `sha256=${createHmac("sha256", "x").update(body).digest("hex")}` }],
  ])("%s is none", async (_name, headers) => expect(await signed(headers as Record<string, string>)).toBe(false));
});

const read = (event: string, payload: unknown, id = "d-1") =>
  githubWebhook.read((name) => ({ "x-github-delivery": id, "x-github-event": event })[name], payload);
const at = { installation: { id: 11 }, repository: { id: 7 } };
const sha = "a".repeat(40);

describe("a delivery", () => {
  it("as GitHub publishes examples of it is read, each of the events that an app gets", () => {
    const events = appManifest({
      name: "x",
      url: "x",
      redirectUrl: "x",
      setupUrl: "x",
      webhookUrl: "x",
    }).default_events;
    expect(events?.length).toBeGreaterThan(5);
    const all = webhookExamples as unknown as { name: string; examples: unknown[] }[];
    const found = all.filter(({ name }) => events?.includes(name as (typeof events)[number]));
    expect(new Set(found.map(({ name }) => name))).toEqual(new Set(events));
    for (const { name, examples } of found)
      for (const example of examples as { issue?: { number: number }; pull_request?: { number: number } }[]) {
        const told = read(name, example);
        expect(told, name).not.toBeNull();
        expect(told?.number).toBe(example.issue?.number ?? example.pull_request?.number ?? null);
      }
  });
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
