import type { Budget } from "@x1agent/contract";

/** A budget with what its window has left. */
export type Standing = { scope: Budget["scope"]; limitMicros: number; spentMicros: number; reservedMicros: number };

/** A lease takes at most this part of what is left, so that parallel jobs near the limit can share. */
const SHARE = 4;

export type LeaseDecision =
  | { granted: true; amountMicros: number }
  | { granted: false; scope: Budget["scope"]; limitMicros: number; spentMicros: number };

/**
 * How much of a lease all budgets together allow: the wish while there is plenty, a share of the rest near the limit,
 * never below the minimum, and nothing when the tightest budget has less than that left.
 */
export function decideLease(wantMicros: number, minMicros: number, standings: readonly Standing[]): LeaseDecision {
  let amount = Math.max(wantMicros, minMicros);
  for (const { scope, limitMicros, spentMicros, reservedMicros } of standings) {
    const left = limitMicros - spentMicros - reservedMicros;
    if (left < minMicros || left <= 0) return { granted: false, scope, limitMicros, spentMicros };
    amount = Math.min(amount, Math.max(minMicros, Math.floor(left / SHARE)), left);
  }
  return { granted: true, amountMicros: amount };
}
