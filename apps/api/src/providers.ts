import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { calcPrice, findProvider, type ModelPrice as ListedPrice } from "@pydantic/genai-prices";
import { type GrantType, type PriceTable, type ProviderRoute, WireFormat } from "@x1agent/contract";
import {
  listProviders,
  listStatedPrices,
  openSecret,
  type ProviderSettings,
  type SecretOwner,
  type StatedPrice,
} from "@x1agent/domain-secrets";
import type { Database } from "@x1agent/kernel";

/** What is known of a provider without anybody configuring it. */
export type ProviderDefaults = {
  name: string;
  baseUrl: string;
  grantType: GrantType;
  /** Wire formats it serves; each becomes a route. */
  apis: readonly WireFormat[];
  /** Header that carries the key, by wire format. */
  header: { name: string; prefix: string };
};

/** Providers that need a key and nothing else. Any other name is a compatible endpoint with its own base URL. */
export const providerDefaults: readonly ProviderDefaults[] = [
  {
    name: "anthropic",
    baseUrl: "https://api.anthropic.com",
    grantType: "ai.anthropic",
    apis: ["anthropic-messages"],
    header: { name: "x-api-key", prefix: "" },
  },
  {
    name: "openai",
    baseUrl: "https://api.openai.com",
    grantType: "ai.openai",
    apis: ["openai-responses", "openai-chat"],
    header: { name: "authorization", prefix: "Bearer " },
  },
];

/** Name of the secret that holds a provider's key: the provider's own, as `x1 secrets set <provider>` stores it. */
export const providerSecret = (provider: string): string => provider;

/** Name and release of the built-in price list, from its own manifest. The list is read at start, never fetched. */
function listRelease(): string {
  // Its exports hide the manifest, so we go there from the entry file.
  const entry = createRequire(import.meta.url).resolve("@pydantic/genai-prices");
  const manifest = JSON.parse(readFileSync(new URL("../package.json", pathToFileURL(entry)), "utf8"));
  return `${manifest.name} ${manifest.version}`;
}

/**
 * The newest dated price change that the list knows of these providers and that holds at `now`, as YYYY-MM-DD; "unknown"
 * where it dates none. The list carries no date of its own: older changes may be missing a date, later ones are not in it.
 */
function newestChange(providers: readonly string[], now: Date): string {
  const today = now.toISOString().slice(0, 10);
  const dates = providers.flatMap((name) =>
    (findProvider({ providerId: name })?.models ?? []).flatMap(({ prices }) =>
      (Array.isArray(prices) ? prices : []).flatMap(({ constraint }) =>
        constraint && "start_date" in constraint ? [constraint.start_date] : [],
      ),
    ),
  );
  return (
    dates
      .filter((date) => date <= today)
      .sort()
      .at(-1) ?? "unknown"
  );
}

/** One class's price in micro-dollars per million tokens, for calls with so much input; null where the list has none. */
function perMillion(price: ListedPrice[string], inputTokens: number): number | null {
  if (price === undefined) return null;
  const usd =
    typeof price === "number"
      ? price
      : (price.tiers.findLast(({ start }) => inputTokens >= start)?.price ?? price.base);
  return Math.ceil(usd * 1_000_000);
}

/** All classes at one size of input. Where the list names no price for cached tokens they cost what others cost. */
function pricesAt(listed: ListedPrice, inputTokens: number) {
  const input = perMillion(listed.input_mtok, inputTokens);
  const output = perMillion(listed.output_mtok, inputTokens);
  if (input === null || output === null) return null;
  const hour = perMillion(listed.cache_write_1h_mtok, inputTokens);
  return {
    inputMicrosPerMTok: input,
    outputMicrosPerMTok: output,
    cacheReadMicrosPerMTok: perMillion(listed.cache_read_mtok, inputTokens) ?? input,
    cacheWriteMicrosPerMTok: perMillion(listed.cache_write_mtok, inputTokens) ?? input,
    ...(hour === null ? {} : { cacheWrite1hMicrosPerMTok: hour }),
  };
}

/** Sizes of input from which other prices hold, ascending. */
function tierStarts(listed: ListedPrice): number[] {
  const starts = Object.values(listed).flatMap((price) =>
    price && typeof price === "object" ? price.tiers.map(({ start }) => start) : [],
  );
  return [...new Set(starts)].sort((a, b) => a - b);
}

/**
 * Prices of the listed models that hold at `now`, in micro-dollars per million tokens, by `provider/model`. A model that
 * is absent has no known price, and the sidecar refuses it.
 */
export function priceTable(
  providers: readonly string[] = providerDefaults.map(({ name }) => name),
  now = new Date(),
): PriceTable {
  const table: PriceTable = {};
  const priceSource = { source: listRelease(), asOf: newestChange(providers, now) };
  for (const name of providers) {
    for (const { id } of findProvider({ providerId: name })?.models ?? []) {
      const listed = calcPrice({ input_tokens: 1, output_tokens: 1 }, id, {
        providerId: name,
        timestamp: now,
      })?.model_price;
      const base = listed ? pricesAt(listed, 0) : null;
      if (!listed || !base) continue;
      const tiers = tierStarts(listed).flatMap((fromInputTokens) => {
        const at = pricesAt(listed, fromInputTokens);
        return at ? [{ fromInputTokens, ...at }] : [];
      });
      table[`${name}/${id}`] = { ...base, ...(tiers.length > 0 ? { tiers } : {}), ...priceSource };
    }
  }
  return table;
}

/** The list with the operator's own prices over it, which know no tiers. Pure. */
export function withStated(listed: PriceTable, stated: readonly StatedPrice[]): PriceTable {
  const table = { ...listed };
  for (const { provider, model, ...price } of stated) table[`${provider}/${model}`] = price;
  return table;
}

/** Prices that hold for an organization: the built-in list's, under those that it stated itself. */
export async function loadPrices(
  db: Pick<Database, "tenant">,
  listed: PriceTable,
  organizationId: string,
): Promise<PriceTable> {
  return withStated(listed, await db.tenant(organizationId, listStatedPrices));
}

/** Routes of one provider: the built-in ones, with what the operator changed laid over them. Pure. */
export function routesOf(name: string, settings: ProviderSettings | undefined, key: string | null): ProviderRoute[] {
  const known = providerDefaults.find((provider) => provider.name === name);
  const baseUrl = settings?.baseUrl ?? known?.baseUrl;
  const chosen = WireFormat.safeParse(settings?.api);
  const apis = chosen.success ? [chosen.data] : (known?.apis ?? []);
  // Without a key only an endpoint that the operator named himself may be called (Ollama and its like).
  if (!baseUrl || apis.length === 0 || (key === null && !settings?.baseUrl)) return [];
  return apis.map((api) => {
    const header = known?.header ?? { name: "authorization", prefix: "Bearer " };
    return {
      provider: name,
      grantType: known?.grantType ?? "ai.compatible",
      api,
      baseUrl: baseUrl.replace(/\/+$/, ""),
      auth: key === null ? { kind: "none" as const } : { kind: "header" as const, ...header, value: key },
      allowPrivate: settings?.allowPrivate ?? false,
      ...(settings?.ca ? { ca: settings.ca } : {}),
    };
  });
}

/** One provider's route with the key that holds for `owner` unsealed, for a test call; undefined when neither key nor address is known. */
export async function loadProviderRoute(
  db: Pick<Database, "tenant">,
  masterKey: Buffer,
  owner: SecretOwner,
  name: string,
): Promise<ProviderRoute | undefined> {
  return db.tenant(owner.organizationId, async (tx) => {
    const settings = (await listProviders(tx)).find((provider) => provider.name === name);
    return routesOf(name, settings, await openSecret(tx, masterKey, owner, providerSecret(name)))[0];
  });
}

/** Unseals the keys that hold for `owner` and makes the routes, for handing to one job's sidecar and nothing else. */
export async function loadProviderRoutes(
  db: Pick<Database, "tenant">,
  masterKey: Buffer,
  owner: SecretOwner,
): Promise<ProviderRoute[]> {
  return db.tenant(owner.organizationId, async (tx) => {
    const settings = await listProviders(tx);
    const names = new Set([...providerDefaults, ...settings].map(({ name }) => name));
    const routes: ProviderRoute[] = [];
    for (const name of names) {
      const key = await openSecret(tx, masterKey, owner, providerSecret(name));
      routes.push(
        ...routesOf(
          name,
          settings.find((provider) => provider.name === name),
          key,
        ),
      );
    }
    return routes;
  });
}
