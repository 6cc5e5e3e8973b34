import { afterAll, beforeAll, expect, it } from "vitest";
import { runtime, TestService } from "./jobs/test/service.ts";

/** A compatible endpoint beside the known providers, played by the scripted model server. */
let x1: TestService;
beforeAll(async () => {
  x1 = await TestService.open();
  const { client, model } = x1;
  const body = { api: "anthropic-messages", baseUrl: model.url, allowPrivate: true } as const;
  await client.setProvider({ params: { name: "house" }, body });
  await client.setSecret({ params: { name: "house" }, body: { value: model.key } });
  const { organizationId } = await client.me();
  await client.createGrant({
    body: {
      subject: { kind: "organization", id: organizationId },
      type: "ai.compatible",
      details: { pattern: "house/*" },
    },
  });
});
afterAll(() => x1?.close());

const ask = (model: string) =>
  x1.client.createJob({ body: { repository: x1.repository, runtime, goal: "Say something.", model } });
const price = { inputUsdPerMTok: 0.25, outputUsdPerMTok: 1.25, source: "price page", asOf: "2026-11-01" };

it("refuses a model without a price with the command that states one, and calls nobody", async () => {
  const before = x1.model.requests.length;
  const { id } = await ask("house/small");
  await expect.poll(async () => (await x1.job(id)).state, { timeout: 60_000 }).toBe("failed");
  expect(await x1.job(id)).toMatchObject({
    reason: "provider_failed",
    reasonDetail: expect.stringContaining("x1 providers price house house/small --input"),
    spentMicros: 0,
  });
  expect(x1.model.requests).toHaveLength(before);
});

it("meters a stated price from the next attempt on, with source and date, on record", async () => {
  const { client } = x1;
  const params = { name: "house", model: "house/small" };
  expect(await client.setPrice({ params, body: price })).toMatchObject({
    ...{ provider: "house", model: "house/small", inputMicrosPerMTok: 250_000, outputMicrosPerMTok: 1_250_000 },
    ...{ cacheReadMicrosPerMTok: 250_000, cacheWriteMicrosPerMTok: 250_000, source: "price page", asOf: "2026-11-01" },
  });
  expect((await client.listPrices()).items.filter(({ provider }) => provider === "house")).toHaveLength(1);
  const [entry] = (await client.listAudit({ query: { order: "newest", action: "price." } })).items;
  expect(entry).toMatchObject({ action: "price.set", subject: "house/house/small", data: { source: "price page" } });

  const { id } = await ask("house/small");
  await expect.poll(async () => (await x1.job(id)).state, { timeout: 60_000 }).toBe("no_changes");
  const { items } = await client.listCalls({ params: { jobId: id } });
  expect(items.length).toBeGreaterThan(0);
  for (const { provider, model, costMicros, ...usage } of items) {
    expect({ provider, model }).toEqual({ provider: "house", model: "house/small" });
    const input = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
    expect(input + usage.outputTokens).toBeGreaterThan(0);
    expect(costMicros).toBe(Math.ceil(input * 0.25 + usage.outputTokens * 1.25));
  }
  expect((await x1.job(id)).spentMicros).toBe(items.reduce((sum, { costMicros }) => sum + costMicros, 0));
});

it("goes before the built-in list, and is forgotten", async () => {
  const { client } = x1;
  const params = { name: "anthropic", model: "claude-sonnet-4-5" };
  const of = async () =>
    (await client.listPrices()).items.filter(
      ({ model, provider }) => provider === "anthropic" && model === params.model,
    );
  const [listed] = await of();
  await client.setPrice({ params, body: { ...price, cacheReadUsdPerMTok: 0.01, inputUsdPerMTok: 0.29 } });
  expect(await of()).toMatchObject([{ inputMicrosPerMTok: 290_000, cacheReadMicrosPerMTok: 10_000 }]);
  await client.deletePrice({ params });
  expect(await of()).toEqual([listed]);
  await expect(client.deletePrice({ params })).rejects.toMatchObject({ code: "not_found" });
});

it("refuses a price of nobody's model and one that is no number", async () => {
  const { client } = x1;
  await expect(client.setPrice({ params: { name: "nobody", model: "m" }, body: price })).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining("x1 providers set nobody"),
  });
  const wrong = { ...price, inputUsdPerMTok: -1 };
  await expect(client.setPrice({ params: { name: "house", model: "m" }, body: wrong })).rejects.toMatchObject({
    code: "invalid_request",
  });
  await expect(client.setPrice({ params: { name: "house", model: "a b" }, body: price })).rejects.toMatchObject({
    code: "invalid_request",
  });
});
