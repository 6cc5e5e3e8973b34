import { type GrantDetails, platformActor } from "@x1agent/contract";
import { migrations as auditMigrations, listAudit } from "@x1agent/domain-audit";
import { createGrant, listGrants, migrations } from "@x1agent/domain-permissions";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { grantAtStart, grantRegistries } from "./grants.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase([...migrations, ...auditMigrations]);
});
afterAll(() => db?.close());

const open = (organizationId: string) =>
  db.tenant(organizationId, async (tx) =>
    (await listGrants(tx, { all: false })).map(({ type, details }) => `${type} ${details.pattern}`),
  );

it("an organization from before registries were served gets them, and loses the platform's tunnels to their hosts, once", async () => {
  const organizationId = "org_old";
  const platform = { organizationId, actor: platformActor };
  const tunnel = (pattern: string, reason: string, grantedBy: Parameters<typeof createGrant>[2]["grantedBy"]) =>
    db.tenant(organizationId, (tx) =>
      createGrant(tx, organizationId, {
        ...{ subject: { kind: "organization", id: organizationId }, type: "egress", scope: "persistent" },
        ...{ details: { pattern } satisfies Partial<GrantDetails>, reason, grantedBy },
      }),
    );
  await tunnel("registry.example", "Packages for npm", platformActor);
  await tunnel("crates.example", "Packages for cargo", platformActor);
  await tunnel("mirror.example", "Packages for npm", { kind: "user", id: "usr_1" });
  const again = () => db.tenant(organizationId, (tx) => grantRegistries(tx, platform));
  await again();
  expect(new Set(await open(organizationId))).toEqual(
    new Set(["registry *", "egress crates.example", "egress mirror.example"]),
  );
  await again();
  expect((await open(organizationId)).filter((grant) => grant.startsWith("registry"))).toHaveLength(1);
  const audit = await db.tenant(organizationId, (tx) => listAudit(tx, 0, 100));
  expect(audit.map(({ action }) => action).sort()).toEqual(["grant.created", "grant.revoked"]);
});

it("a new organization has registries in set-up, and tunnels only for clients that know nothing else", async () => {
  const platform = { organizationId: "org_new", actor: platformActor };
  await db.tenant("org_new", (tx) =>
    grantAtStart(tx, platform, [{ ecosystem: "cargo", host: "index.example", port: 443 }]),
  );
  await db.tenant("org_new", (tx) => grantRegistries(tx, platform));
  const found = await open("org_new");
  expect(found.filter((grant) => /^(egress|registry)/.test(grant)).sort()).toEqual([
    "egress index.example",
    "registry *",
  ]);
});
