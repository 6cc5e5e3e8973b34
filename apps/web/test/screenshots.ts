/**
 * Takes a picture of every screen from sample jobs into .screenshots/: `npm run screenshots [-- word ...]`, where words
 * choose screens. Three widths, light and dark.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fix } from "@x1agent/api/test";
import { sizes, TestSite } from "./browser.ts";

const out = join(import.meta.dirname, "../../../.screenshots");
const words = process.argv.slice(2);
mkdirSync(out, { recursive: true });

const site = await TestSite.open();
try {
  const { service } = site;
  const goal = (text: string, orders: string) => `${text}\n\n${orders}`;
  const published = await service.create({ goal: goal("Addition returns the difference", fix) });
  const waiting = await service.reach(published.id, "awaiting_approval");
  await service.client.decide({
    params: { jobId: published.id },
    body: { decision: "approve", digest: waiting.approvalDigest ?? "", comment: "Thanks." },
  });
  await service.reach(published.id, "succeeded");
  const approval = await service.create({
    goal: goal("Adding two numbers subtracts them; mend it and say why the check missed it", fix),
  });
  const none = await service.create({ goal: goal("Is there anything left to do?", "[[claim-success]]") });
  const failed = await service.create({
    goal: goal("Upgrade the build", fix),
    setup: "echo 'no such tool' >&2; false",
  });
  const question = await service.create({ goal: goal("Write the release notes", "[[ask]]"), ask: true });
  const spent = await service.create({ goal: goal("Compare three ways to round", "[[calls 12 parallel]]") });
  await service.reach(spent.id, "no_changes");
  await service.reach(approval.id, "awaiting_approval");
  await service.reach(none.id, "no_changes");
  await service.reach(failed.id, "failed").catch(() => undefined);
  await service.reach(question.id, "awaiting_input").catch(() => undefined);
  const project = (await service.client.listProjects({ query: { limit: 1 } })).items[0]?.id ?? "";
  await service.client.setBudget({
    body: { scope: { kind: "project", id: project }, window: "month", limitMicros: 25_000_000 },
  });
  const screens: Record<string, string> = {
    inbox: "/",
    jobs: "/jobs",
    "jobs-none": "/jobs?q=nothing-has-this-word",
    new: "/new",
    "job-approval": `/jobs/${approval.id}`,
    "job-published": `/jobs/${published.id}`,
    "job-failed": `/jobs/${failed.id}`,
    "job-question": `/jobs/${question.id}`,
    projects: "/projects",
    project: `/projects/${project}`,
    runtimes: "/runtimes",
    spend: "/spend",
    permissions: "/permissions",
    providers: "/providers",
    audit: "/audit",
    settings: "/settings",
  };
  for (const [size, viewport] of Object.entries(sizes))
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await site.signedIn("/", { viewport, colorScheme });
      for (const [name, path] of Object.entries(screens)) {
        if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
        await page.goto(`${service.url}${path}`);
        await page.locator("h1").first().waitFor();
        // Lists fill and fonts settle.
        await page.waitForTimeout(400);
        await page.screenshot({ path: join(out, `${name}-${size}-${colorScheme}.png`) });
      }
      await page.context().close();
    }
  console.log(`Pictures lie in ${out}`);
} finally {
  await site.close();
}
for (const trespass of new Set(site.trespasses)) console.error(`A page ${trespass}`);
