import { Fault } from "@x1agent/contract";
import { row, rows, sql, type Tx } from "@x1agent/kernel";
import { type SecretOwner, seal, unseal } from "./seal.ts";

export type SecretView = { name: string; lastFour: string; updatedAt: string; lastUsedAt: string | null };
type SecretRow = { name: string; last_four: string; updated_at: Date; last_used_at: Date | null };
const present = (found: SecretRow): SecretView => ({
  name: found.name,
  lastFour: found.last_four,
  updatedAt: found.updated_at.toISOString(),
  lastUsedAt: found.last_used_at?.toISOString() ?? null,
});

/** Stores a secret sealed, over an earlier one of the same owner and name. */
export async function setSecret(
  tx: Tx,
  masterKey: Buffer,
  owner: SecretOwner,
  name: string,
  value: string,
): Promise<SecretView> {
  const { organizationId, projectId } = owner;
  // Four characters of a short secret would be most of it.
  const lastFour = value.length >= 16 ? value.slice(-4) : "····";
  const set = await row(
    tx,
    sql<SecretRow>`insert into secret (organization_id, project_id, name, sealed, last_four) values (${organizationId}, ${projectId}, ${name}, ${seal(masterKey, owner, name, value)}, ${lastFour})
    on conflict (organization_id, coalesce(project_id, ''), name) do update set sealed = excluded.sealed, last_four = excluded.last_four, updated_at = now() returning name, last_four, updated_at, last_used_at`,
  );
  if (!set) throw new Error("An insert returned nothing.");
  return present(set);
}

/**
 * The one way to a secret that is to be used: unseals for handing to a job's sidecar or a call of the service's own, and notes the use.
 * A project's own secret wins over the organization's, whatever it is called; among one owner's the first of `names` wins.
 * With `projectId` null no project's secret is looked at. One that does not `fit` is passed over. Null when there is none.
 */
export async function openSecret(
  tx: Tx,
  masterKey: Buffer,
  { organizationId, projectId }: SecretOwner,
  names: string | readonly string[],
  fits: (value: string) => boolean = () => true,
): Promise<string | null> {
  const wanted = typeof names === "string" ? [names] : [...names];
  const found = await rows(
    tx,
    sql<{
      name: string;
      owned: boolean;
      sealed: Buffer;
    }>`select name, project_id is not null as owned, sealed from secret
    where name = any(${wanted}::text[]) and (project_id is null or project_id = ${projectId}::text)
    order by project_id is null, array_position(${wanted}::text[], name)`,
  );
  for (const { name, owned, sealed } of found) {
    const owner = { organizationId, projectId: owned ? projectId : null };
    const value = unseal(masterKey, owner, name, sealed);
    if (!fits(value)) continue;
    await sql`update secret set last_used_at = now() where name = ${name} and project_id is not distinct from ${owner.projectId}::text`.execute(
      tx,
    );
    return value;
  }
  return null;
}

/**
 * Every stored secret of the organization and its projects, to be sought in what is about to leave; notes no use. One that
 * this master key does not open is left out: nobody here can have used it.
 */
export async function openAllSecrets(
  tx: Tx,
  masterKey: Buffer,
  organizationId: string,
): Promise<{ name: string; value: string }[]> {
  const found = await rows(
    tx,
    sql<{
      name: string;
      project_id: string | null;
      sealed: Buffer;
    }>`select name, project_id, sealed from secret order by name limit 1000`,
  );
  return found.flatMap(({ name, project_id, sealed }) => {
    try {
      return [{ name, value: unseal(masterKey, { organizationId, projectId: project_id }, name, sealed) }];
    } catch (error) {
      if (error instanceof Fault) return [];
      throw error;
    }
  });
}

/** Stored secrets of the organization itself (null), or of one project alone, by name. */
export async function listSecrets(tx: Tx, projectId: string | null): Promise<SecretView[]> {
  return (
    await rows(
      tx,
      sql<SecretRow>`select name, last_four, updated_at, last_used_at from secret where project_id is not distinct from ${projectId}::text order by name limit 1000`,
    )
  ).map(present);
}

/** Forgets a secret of that owner and of no other; false when there was none. */
export async function deleteSecret(tx: Tx, projectId: string | null, name: string): Promise<boolean> {
  const gone = await row(
    tx,
    sql<{
      name: string;
    }>`delete from secret where name = ${name} and project_id is not distinct from ${projectId}::text returning name`,
  );
  return gone !== null;
}

/** An operator's route to a provider; null fields are the built-in defaults. */
export type ProviderSettings = {
  name: string;
  api: string | null;
  baseUrl: string | null;
  allowPrivate: boolean;
  ca: string | null;
};
type ProviderRow = {
  name: string;
  api: string | null;
  base_url: string | null;
  allow_private: boolean;
  ca: string | null;
};
const presentProvider = (found: ProviderRow): ProviderSettings => ({
  name: found.name,
  api: found.api,
  baseUrl: found.base_url,
  allowPrivate: found.allow_private,
  ca: found.ca,
});

export async function setProvider(
  tx: Tx,
  organizationId: string,
  name: string,
  change: {
    api?: string | undefined;
    baseUrl?: string | undefined;
    allowPrivate?: boolean | undefined;
    ca?: string | undefined;
  },
): Promise<ProviderSettings> {
  const set = await row(
    tx,
    sql<ProviderRow>`insert into provider (organization_id, name, api, base_url, allow_private, ca) values (${organizationId}, ${name}, ${change.api ?? null}, ${change.baseUrl ?? null}, ${change.allowPrivate ?? false}, ${change.ca ?? null})
    on conflict (organization_id, name) do update set api = coalesce(excluded.api, provider.api), base_url = coalesce(excluded.base_url, provider.base_url), allow_private = coalesce(${change.allowPrivate ?? null}::boolean, provider.allow_private), ca = coalesce(excluded.ca, provider.ca), updated_at = now() returning *`,
  );
  if (!set) throw new Error("An insert returned nothing.");
  return presentProvider(set);
}

export async function listProviders(tx: Tx): Promise<ProviderSettings[]> {
  return (await rows(tx, sql<ProviderRow>`select * from provider order by name limit 1000`)).map(presentProvider);
}

/** A model's price as an operator stated it, in micro-dollars per million tokens; `asOf` is YYYY-MM-DD. */
export type StatedPrice = {
  provider: string;
  model: string;
  inputMicrosPerMTok: number;
  outputMicrosPerMTok: number;
  cacheReadMicrosPerMTok: number;
  cacheWriteMicrosPerMTok: number;
  source: string;
  asOf: string;
};
const priceColumns = sql`provider, model, input_micros::float8 as "inputMicrosPerMTok", output_micros::float8 as "outputMicrosPerMTok",
  cache_read_micros::float8 as "cacheReadMicrosPerMTok", cache_write_micros::float8 as "cacheWriteMicrosPerMTok", source, to_char(as_of, 'YYYY-MM-DD') as "asOf"`;

/** Stores a price, over an earlier one of the same model. */
export async function setPrice(tx: Tx, organizationId: string, price: StatedPrice): Promise<StatedPrice> {
  const { inputMicrosPerMTok, outputMicrosPerMTok, cacheReadMicrosPerMTok, cacheWriteMicrosPerMTok } = price;
  const set = await row(
    tx,
    sql<StatedPrice>`insert into model_price (organization_id, provider, model, input_micros, output_micros, cache_read_micros, cache_write_micros, source, as_of)
    values (${organizationId}, ${price.provider}, ${price.model}, ${inputMicrosPerMTok}, ${outputMicrosPerMTok}, ${cacheReadMicrosPerMTok}, ${cacheWriteMicrosPerMTok}, ${price.source}, ${price.asOf})
    on conflict (organization_id, provider, model) do update set input_micros = excluded.input_micros, output_micros = excluded.output_micros, cache_read_micros = excluded.cache_read_micros, cache_write_micros = excluded.cache_write_micros, source = excluded.source, as_of = excluded.as_of, updated_at = now()
    returning ${priceColumns}`,
  );
  if (!set) throw new Error("An insert returned nothing.");
  return set;
}

/** Every price that an operator stated. */
export async function listStatedPrices(tx: Tx): Promise<StatedPrice[]> {
  return rows(tx, sql<StatedPrice>`select ${priceColumns} from model_price order by provider, model limit 10000`);
}

/** Forgets a price; false when there was none. */
export async function deletePrice(tx: Tx, provider: string, model: string): Promise<boolean> {
  const gone = await row(
    tx,
    sql<{ model: string }>`delete from model_price where provider = ${provider} and model = ${model} returning model`,
  );
  return gone !== null;
}
