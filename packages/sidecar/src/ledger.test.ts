import type { CallRecord, SettleRequest } from "@x1agent/contract";
import { expect, it } from "vitest";
import { Ledger } from "./ledger.ts";

const call: Omit<CallRecord, "leaseId"> = {
  ...{ callId: "call", provider: "anthropic", api: "anthropic-messages", model: "m", outcome: "completed" },
  ...{ usage: { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0 }, costMicros: 70 },
  ...{ estimated: false, startedAt: "2026-11-01T00:00:00.000Z", latencyMs: 1, grantId: "g" },
};

it("holds nothing for a call that ended while more was asked for it", async () => {
  const told: SettleRequest[] = [];
  let leases = 0;
  let gate = Promise.resolve();
  const ledger = new Ledger({
    async lease({ wantMicros }) {
      await gate;
      leases += 1;
      const expiresAt = new Date(Date.now() + 600_000).toISOString();
      return { outcome: "granted", leaseId: `lease${leases}`, amountMicros: wantMicros, expiresAt };
    },
    async settle(request) {
      told.push(request);
    },
  });
  const reservation = await ledger.reserve(100);
  if ("refused" in reservation) throw new Error(reservation.detail);
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = promise;
  const more = ledger.extend(reservation, 1_000);
  ledger.settle(reservation, call);
  resolve();
  expect(await more).toBe(true);
  await ledger.close();
  expect(told.flatMap(({ calls }) => calls)).toHaveLength(1);
  expect(told.at(-1)).toMatchObject({ inFlight: [], release: expect.arrayContaining(["lease2"]) });
});
