import { expect, it } from "vitest";
import { warmUp } from "./warm.ts";

const limits = { maxBodyBytes: 1_000, maxConcurrentCalls: 1, egressBytes: 0, maxTunnels: 0 };

it("warms up with calls that are answered, and leaves nothing open", async () => {
  const before = process.getActiveResourcesInfo().filter((name) => /TCP/.test(name)).length;
  expect(await warmUp({ limits, forbidden: [], sliceTokens: 10 })).toBe(3);
  await expect.poll(() => process.getActiveResourcesInfo().filter((name) => /TCP/.test(name)).length).toBe(before);
});

it("gives up quietly where no call gets through", async () => {
  expect(await warmUp({ limits: { ...limits, maxBodyBytes: 1 }, forbidden: [], sliceTokens: 10 })).toBe(0);
});
