import { z } from "zod";

/**
 * Money is a whole number of micro-dollars (1 USD = 1,000,000). Prices per token are smaller than that, so a cost is
 * summed as a fraction and rounded up once per call: the ledger never loses to rounding.
 */
export const MICROS_PER_USD = 1_000_000;

/** A non-negative amount in micro-dollars. */
export const Micros = z
  .number()
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .describe("Amount in micro-dollars (1 USD = 1,000,000)");
export type Micros = z.infer<typeof Micros>;

/** Parses `2`, `2.50` or `$0.0042` to micro-dollars; `null` when it is no amount or finer than a micro-dollar. */
export function parseUsd(text: string): number | null {
  const match = /^\$?(\d{1,9})(?:\.(\d{1,6}))?$/.exec(text.trim());
  if (!match) return null;
  return Number(match[1]) * MICROS_PER_USD + Number((match[2] ?? "").padEnd(6, "0"));
}

/** `$1.38`, and two significant digits below a cent: `$0.0042`. */
export function formatUsd(micros: number): string {
  const usd = micros / MICROS_PER_USD;
  if (micros === 0 || Math.abs(usd) >= 0.01) return `$${usd.toFixed(2)}`;
  const digits = Math.max(2, 1 - Math.floor(Math.log10(Math.abs(usd))));
  return `$${usd.toFixed(Math.min(6, digits))}`;
}
