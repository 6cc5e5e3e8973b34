import { fix } from "@x1agent/api/test";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, sizes, TestSite } from "../test/browser.ts";

describe.skipIf(lacksBrowser)(`what waits is answered in the inbox${lacksBrowser ? ` (${lacksBrowser})` : ""}`, () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await TestSite.open();
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.trespasses.splice(0)).toEqual([]);
  });

  it("a question of a running agent", async () => {
    const job = await site.service.create({ goal: `Pick a colour [[ask which colour?]] ${fix}`, ask: true });
    await site.service.reach(job.id, "awaiting_input");
    const page = await site.signedIn();
    const item = page.getByRole("listitem", { name: /^Pick a colour/ });
    await item.getByText("which colour?").first().waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await item.getByLabel("Answer").fill("green");
    await item.getByRole("button", { name: "Send answer" }).click();
    await site.service.reach(job.id, "awaiting_approval");
    // The same item, now with what was found instead of the question.
    await item.getByText(/Verification passed, failed before the change/).waitFor();
    await item.getByRole("button", { name: "Decide here" }).click();
    await item.getByRole("button", { name: /^Approve/ }).click();
    await item.getByRole("button", { name: /^Confirm/ }).click();
    await site.service.reach(job.id, "succeeded");
    await expect.poll(() => item.count(), { timeout: 10_000 }).toBe(0);
    await page.getByText("Nothing waits for you.").waitFor();
  });

  it("a budget that was not enough", async () => {
    const job = await site.service.create({
      goal: "Spend it all [[calls 3 parallel]] [[claim-success]]",
      budgetMicros: 1_000,
    });
    await site.service.reach(job.id, "budget_exceeded");
    const page = await site.signedIn();
    const item = page.getByRole("listitem", { name: /^Spend it all/ });
    await item.getByLabel("New budget in dollars").fill("0.0000001");
    await item.getByRole("button", { name: "Raise and go on" }).click();
    await item.getByRole("alert").waitFor();
    await item.getByLabel("New budget in dollars").fill("50");
    await item.getByRole("button", { name: "Raise and go on" }).click();
    await expect.poll(async () => (await site.service.job(job.id)).state, { timeout: 60_000 }).toBe("no_changes");
    expect((await site.service.job(job.id)).budgetMicros).toBe(50_000_000);
  });

  it("a failed job: why, again with changes, or put away", async () => {
    const job = await site.service.create({ goal: `Needs a tool ${fix}`, setup: "echo no such tool >&2; false" });
    await expect.poll(async () => (await site.service.job(job.id)).state, { timeout: 60_000 }).toBe("failed");
    const page = await site.signedIn();
    const item = page.getByRole("listitem", { name: /^Needs a tool/ });
    await item.getByRole("link", { name: "Change and run" }).click();
    await page.getByRole("heading", { level: 1, name: "New job" }).waitFor();
    expect(await page.getByLabel("Goal").inputValue()).toContain("Needs a tool");
    await page.getByLabel("Set-up command").fill("true");
    await page
      .getByRole("complementary", { name: "What will be allowed" })
      .getByText(/a person has approved/)
      .waitFor();
    await page.getByRole("button", { name: "Start job" }).click();
    await page.getByRole("heading", { level: 1, name: /Needs a tool/ }).waitFor();
    await page.goBack();
    await page.goBack();
    await item.getByRole("button", { name: "Dismiss" }).first().click();
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Dismiss" }).count(), { timeout: 10_000 }).toBe(0);
  });

  it.each(Object.entries(sizes))("and is readable on a %s", async (_, viewport) => {
    const job = await site.service.create({ goal: `${"A long title ".repeat(25)} [[ask go on?]]`, ask: true });
    await site.service.reach(job.id, "awaiting_input");
    const page = await site.signedIn("/", { viewport });
    await page
      .getByRole("listitem", { name: /^A long title/ })
      .first()
      .waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(0);
  });
});
