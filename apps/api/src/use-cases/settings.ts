import {
  accept,
  type ModelPrice,
  type Outcome,
  type PriceTable,
  type Provider,
  type ProviderRoute,
  type RouteResponse,
  refuse,
} from "@x1agent/contract";
import { listBudgets, setBudget } from "@x1agent/domain-budgets";
import { getJob } from "@x1agent/domain-jobs";
import { getProject } from "@x1agent/domain-projects";
import {
  deletePrice,
  deleteSecret,
  listProviders,
  listSecrets,
  listStatedPrices,
  type ProviderSettings,
  type SecretOwner,
  type SecretView,
  setPrice,
  setProvider,
  setSecret,
} from "@x1agent/domain-secrets";
import type { Database, Logger, Tx } from "@x1agent/kernel";
import { audited } from "./audit.ts";
import type { Caller, UseCases } from "./index.ts";

type Db = Pick<Database, "tenant">;
/** What people see of a provider that is known without anybody's saying. */
export type DefaultProvider = { name: string; apis: readonly string[]; baseUrl: string };

/** Limits in money on organization, project, member and job. */
export function budgetUseCases(db: Db): UseCases["budgets"] {
  return {
    list: (caller) => db.tenant(caller.organizationId, listBudgets),
    set: (caller, body) =>
      db.tenant(caller.organizationId, async (tx) => {
        if (!(await scopeExists(tx, caller, body.scope))) return refuse("not_found", `No such ${body.scope.kind}.`);
        const budget = await setBudget(tx, caller.organizationId, body);
        await audited(tx, caller, "budget.set", budget.id, { ...body });
        return accept(budget);
      }),
  };
}

async function scopeExists(tx: Tx, caller: Caller, scope: { kind: string; id: string }): Promise<boolean> {
  if (scope.kind === "organization") return scope.id === caller.organizationId;
  if (scope.kind === "project") return (await getProject(tx, scope.id)) !== null;
  if (scope.kind === "job") return (await getJob(tx, scope.id)) !== null;
  return true;
}

/**
 * Stored credentials, the organization's and each project's own: what comes in is sealed at once, and only names come out.
 * A project that is not the caller's is a project that there is not.
 */
export function secretUseCases(db: Db, masterKey: Buffer, log: Logger): UseCases["secrets"] {
  const within = <T>(caller: Caller, projectId: string | null, work: (tx: Tx) => Promise<T>): Promise<Outcome<T>> =>
    db.tenant(caller.organizationId, async (tx) =>
      projectId !== null && (await getProject(tx, projectId)) === null
        ? refuse("not_found", "No such project.")
        : accept(await work(tx)),
    );
  const whose = (projectId: string | null) => (projectId === null ? {} : { projectId });
  return {
    list: (caller, projectId) => within(caller, projectId, (tx) => listSecrets(tx, projectId)),
    set(caller, projectId, name, value) {
      // From now on the log cuts it out, wherever it might turn up.
      log.redact(value);
      return within(caller, projectId, async (tx) => {
        const owner = { organizationId: caller.organizationId, projectId };
        const secret = await setSecret(tx, masterKey, owner, name, value);
        await audited(tx, caller, "secret.set", name, whose(projectId));
        return secret;
      });
    },
    async delete(caller, projectId, name) {
      const gone = await within(caller, projectId, async (tx) => {
        const found = await deleteSecret(tx, projectId, name);
        if (found) await audited(tx, caller, "secret.deleted", name, whose(projectId));
        return found;
      });
      return gone.ok && !gone.value ? refuse("not_found", "No such secret.") : gone.ok ? accept(null) : gone;
    },
  };
}

/** Routes to model providers: the known ones, laid over by what the operator set. */
export function providerUseCases(
  db: Db,
  defaults: readonly DefaultProvider[],
  ways: {
    /** The provider's route with the key that holds for `owner` unsealed; undefined when neither key nor address is known. */
    route(owner: SecretOwner, name: string): Promise<ProviderRoute | undefined>;
    test(route: ProviderRoute): Promise<RouteResponse<"testProvider">>;
    prices(organizationId: string): Promise<PriceTable>;
  },
): UseCases["providers"] {
  const list = async (tx: Tx): Promise<Provider[]> =>
    presentProviders(defaults, await listProviders(tx), await listSecrets(tx, null));
  return {
    list: (caller) => db.tenant(caller.organizationId, list),
    async test(caller, name, projectId) {
      const { organizationId } = caller;
      if (projectId !== null && (await db.tenant(organizationId, (tx) => getProject(tx, projectId))) === null)
        return refuse("not_found", "No such project.");
      const route = await ways.route({ organizationId, projectId }, name);
      if (!route) return refuse("provider_unconfigured", `There is no key for "${name}" yet: store one first.`);
      const found = await ways.test(route);
      await db.tenant(caller.organizationId, (tx) =>
        audited(tx, caller, "provider.tested", name, {
          outcome: found.outcome,
          ...(projectId === null ? {} : { projectId }),
        }),
      );
      return accept(found);
    },
    async prices(caller) {
      const own = await db.tenant(caller.organizationId, listStatedPrices);
      const stated = new Set(own.map(({ provider, model }) => `${provider}/${model}`));
      return Object.entries(await ways.prices(caller.organizationId)).map(([id, price]) =>
        presentPrice(id.slice(0, id.indexOf("/")), id.slice(id.indexOf("/") + 1), price, stated.has(id)),
      );
    },
    setPrice: (caller, name, model, body) =>
      db.tenant(caller.organizationId, async (tx) => {
        if (!(await list(tx)).some((provider) => provider.name === name))
          return refuse(
            "not_found",
            `There is no provider "${name}"; route it first with \`x1 providers set ${name} --base-url <url> --api <format>\`.`,
          );
        const price = await setPrice(tx, caller.organizationId, {
          ...{ provider: name, model, source: body.source },
          ...statedMicros(body),
          asOf: body.asOf ?? new Date().toISOString().slice(0, 10),
        });
        await audited(tx, caller, "price.set", `${name}/${model}`, { ...price });
        return accept(presentPrice(name, model, price, true));
      }),
    deletePrice: (caller, name, model) =>
      db.tenant(caller.organizationId, async (tx) => {
        const gone = await deletePrice(tx, name, model);
        if (gone) await audited(tx, caller, "price.deleted", `${name}/${model}`);
        return gone;
      }),
    set: (caller, name, body) =>
      db.tenant(caller.organizationId, async (tx) => {
        const known =
          defaults.some((provider) => provider.name === name) ||
          (await listProviders(tx)).some((provider) => provider.name === name && provider.api !== null);
        if (!known && (body.api === undefined || body.baseUrl === undefined))
          return refuse("invalid_request", "A provider of your own needs its API format and its base URL.");
        if (body.baseUrl !== undefined && !/^https?:$/.test(new URL(body.baseUrl).protocol))
          return refuse("invalid_request", "A base URL begins with https:// or http://.");
        await setProvider(tx, caller.organizationId, name, body);
        const provider = (await list(tx)).find((entry) => entry.name === name);
        if (!provider) throw new Error(`The provider ${name} was set and is not there.`);
        await audited(tx, caller, "provider.set", name, {
          baseUrl: provider.baseUrl,
          allowPrivate: provider.allowPrivate,
        });
        return accept(provider);
      }),
  };
}

/** USD as a person states them in whole micro-dollars; cached tokens without a price of their own cost what input costs. Pure. */
export function statedMicros(body: {
  inputUsdPerMTok: number;
  outputUsdPerMTok: number;
  cacheReadUsdPerMTok?: number | undefined;
  cacheWriteUsdPerMTok?: number | undefined;
}) {
  // Rounded first, since 0.29 dollars are 290,000.00000000006 in binary; then a broken micro-dollar counts as a whole one.
  const micros = (usd: number) => Math.ceil(Number((usd * 1_000_000).toFixed(3)));
  return {
    inputMicrosPerMTok: micros(body.inputUsdPerMTok),
    outputMicrosPerMTok: micros(body.outputUsdPerMTok),
    cacheReadMicrosPerMTok: micros(body.cacheReadUsdPerMTok ?? body.inputUsdPerMTok),
    cacheWriteMicrosPerMTok: micros(body.cacheWriteUsdPerMTok ?? body.inputUsdPerMTok),
  };
}

const presentPrice = (
  provider: string,
  model: string,
  price: ModelPrice,
  stated: boolean,
): RouteResponse<"setPrice"> => ({
  stated,
  provider,
  model,
  inputMicrosPerMTok: price.inputMicrosPerMTok,
  outputMicrosPerMTok: price.outputMicrosPerMTok,
  cacheReadMicrosPerMTok: price.cacheReadMicrosPerMTok,
  cacheWriteMicrosPerMTok: price.cacheWriteMicrosPerMTok,
  tiersFrom: (price.tiers ?? []).map(({ fromInputTokens }) => fromInputTokens),
  source: price.source,
  asOf: price.asOf,
});

/** Pure: defaults, the operator's settings and the stored credentials as people see them. */
export function presentProviders(
  defaults: readonly DefaultProvider[],
  settings: readonly ProviderSettings[],
  secrets: readonly SecretView[],
): Provider[] {
  const names = [...new Set([...defaults, ...settings].map(({ name }) => name))].sort();
  return names.map((name) => {
    const known = defaults.find((entry) => entry.name === name);
    const set = settings.find((entry) => entry.name === name);
    const secret = secrets.find((entry) => entry.name === name);
    return {
      name,
      api: set?.api ?? known?.apis.join(", ") ?? "",
      baseUrl: set?.baseUrl ?? known?.baseUrl ?? "",
      configured: secret !== undefined,
      lastFour: secret?.lastFour ?? null,
      lastUsedAt: secret?.lastUsedAt ?? null,
      allowPrivate: set?.allowPrivate ?? false,
    };
  });
}
