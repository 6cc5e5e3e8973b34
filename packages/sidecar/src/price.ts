import type { ModelPrice, PriceTable, Usage } from "@x1agent/contract";

/** Token counts of a call, with what the contract's classes cannot tell apart but a provider bills differently. */
export type Metered = Usage & {
  /** Part of `cacheWriteTokens` that is kept for an hour: billed at twice the input price. */
  longCacheWriteTokens: number;
};
export const noUsage: Metered = {
  ...{ inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, longCacheWriteTokens: 0 },
};

/** An hour in the cache costs twice the input price, five minutes what the table says. */
const LONG_CACHE_FACTOR = 2;
const PER_MILLION = 1_000_000;

/** What may follow a listed id: a date, a version or `latest`. `-mini` or `-pro` is another model with another price. */
const sameModel = /^[-@](?:\d{6,8}|\d{4}-\d{2}-\d{2}|latest|v\d+)(?:[-:@].*)?$/;

/** Price of a model: by exact id, else by the longest listed id of which it is a dated release. */
export function priceOf(prices: PriceTable, provider: string, model: string): ModelPrice | null {
  const exact = Object.hasOwn(prices, `${provider}/${model}`) ? prices[`${provider}/${model}`] : undefined;
  if (exact) return exact;
  for (let at = model.length - 1; at > 0; at -= 1) {
    if (model[at] !== "-" && model[at] !== "@") continue;
    const key = `${provider}/${model.slice(0, at)}`;
    if (Object.hasOwn(prices, key) && sameModel.test(model.slice(at))) return prices[key] ?? null;
  }
  return null;
}

/** Cost of a call in whole micro-dollars, rounded up once. */
export function costOf(price: ModelPrice, usage: Metered): number {
  const long = Math.min(usage.longCacheWriteTokens, usage.cacheWriteTokens);
  const sum =
    usage.inputTokens * price.inputMicrosPerMTok +
    usage.outputTokens * price.outputMicrosPerMTok +
    usage.cacheReadTokens * price.cacheReadMicrosPerMTok +
    (usage.cacheWriteTokens - long) * price.cacheWriteMicrosPerMTok +
    long * longWrite(price);
  return Math.ceil(sum / PER_MILLION);
}

const longWrite = (price: ModelPrice) =>
  Math.max(LONG_CACHE_FACTOR * price.inputMicrosPerMTok, price.cacheWriteMicrosPerMTok);

/** Cost of output alone. */
export const outputCost = (price: ModelPrice, tokens: number): number =>
  Math.ceil((tokens * price.outputMicrosPerMTok) / PER_MILLION);

/** Most that an input of so many tokens can cost. */
export function dearestInput(price: ModelPrice, tokens: number, longCache: boolean): number {
  const dearest = Math.max(
    price.inputMicrosPerMTok,
    price.cacheReadMicrosPerMTok,
    longCache ? longWrite(price) : price.cacheWriteMicrosPerMTok,
  );
  return Math.ceil((tokens * dearest) / PER_MILLION);
}

/** Before anything is known, half a token per byte: denser than any code or prose. */
const FIRST_GUESS = 0.5;
const MARGIN = 1.25;
const LEAST = 1 / 6;

/**
 * How many tokens a body of so many bytes can be. A token has at least one byte, but a bound of one token per byte would
 * refuse ordinary calls long before a budget is used up; so the bound follows what the model's calls really had, with a
 * margin. The true count is known with the first event of most streams, and the reservation is corrected then.
 */
export class InputBound {
  readonly #seen = new Map<string, number>();

  tokens(model: string, bytes: number): number {
    const seen = this.#seen.get(model);
    const ratio = seen === undefined ? FIRST_GUESS : Math.min(1, Math.max(LEAST, seen * MARGIN));
    return Math.ceil(bytes * ratio);
  }

  /** A call of `bytes` turned out to have `tokens`. The denser of the old and the new view lasts longer. */
  learn(model: string, bytes: number, tokens: number): void {
    if (bytes < 1_000 || tokens < 1) return;
    const ratio = tokens / bytes;
    const seen = this.#seen.get(model);
    if (this.#seen.size > 100) this.#seen.clear();
    this.#seen.set(model, seen === undefined ? ratio : Math.max(ratio, (seen + ratio) / 2));
  }
}
