import { appSecretNames, listApps, storeDelivery } from "@x1agent/domain-forges";
import { openSecret } from "@x1agent/domain-secrets";
import type { WebhookKind } from "@x1agent/forges";
import { type Database, type Logger, notify } from "@x1agent/kernel";
import type { WebhookDeps } from "../http/webhooks.ts";

/** Channel that carries `{"o":organization}` after a delivery was stored. */
export const deliveriesChannel = "x1_deliveries";

/** How old the list of apps may be when a delivery is held against it: asked for on time only, so that an unknown app costs the same. */
const APPS_MS = 2_000;
const TELL_MS = 60_000;

type Known = Map<string, { organizationId: string; forge: string; secret: string }>;

/** Takes deliveries in: the app by its id, the delivery as a row, the notice to whoever handles it. */
export function createReceiver(deps: {
  db: Pick<Database, "tenant">;
  masterKey: Buffer;
  organizations(): Promise<string[]>;
  kinds: Readonly<Record<string, WebhookKind>>;
  log: Logger;
}): WebhookDeps {
  const { db, masterKey, log } = deps;
  let known: { at: number; apps: Promise<Known> } | null = null;
  let refused = 0;
  let told = Number.NEGATIVE_INFINITY;

  async function read(): Promise<Known> {
    const apps: Known = new Map();
    for (const organizationId of await deps.organizations())
      await db.tenant(organizationId, async (tx) => {
        for (const { id, forge } of await listApps(tx)) {
          const secret = await openSecret(
            tx,
            masterKey,
            { organizationId, projectId: null },
            appSecretNames(id).webhook,
          );
          if (secret) apps.set(id, { organizationId, forge, secret });
        }
      });
    return apps;
  }

  return {
    kinds: deps.kinds,
    async find(forge, appId) {
      if (!known || performance.now() - known.at > APPS_MS) {
        const entry = { at: performance.now(), apps: read() };
        // What could not be read is asked again by the next one.
        entry.apps.catch(() => {
          if (known === entry) known = null;
        });
        known = entry;
      }
      const found = (await known.apps).get(appId);
      return found?.forge === forge ? found : null;
    },
    async store(organizationId, appId, delivery) {
      const { id, event, action, installationId, repositoryId, number, commits } = delivery;
      return db.tenant(organizationId, async (tx) => {
        const about = { installation: installationId, repository: repositoryId, number, commits };
        const stored = await storeDelivery(tx, organizationId, { appId, id, event, action, about });
        if (stored) await notify(tx, deliveriesChannel, JSON.stringify({ o: organizationId }));
        return stored;
      });
    },
    onRefused(forge, code) {
      // Anybody can send them: one line a minute says how many.
      refused += 1;
      if (performance.now() - told < TELL_MS) return;
      log.warn("deliveries were refused", { forge, code, refused });
      told = performance.now();
      refused = 0;
    },
  };
}
