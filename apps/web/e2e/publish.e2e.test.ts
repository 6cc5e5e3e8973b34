import { fix } from "@x1agent/api/test";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, TestSite } from "../test/browser.ts";

describe.skipIf(lacksBrowser)(`from sign-in to a published change${lacksBrowser ? ` (${lacksBrowser})` : ""}`, () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await TestSite.open();
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.trespasses.splice(0)).toEqual([]);
  });

  it("by mouse", async () => {
    const page = await site.signedIn();
    await page.getByRole("link", { name: "New job" }).first().click();
    await page.getByLabel("Repository").fill(site.service.repository);
    await page.getByLabel("Goal").fill(`By mouse ${fix}`);
    await page.getByLabel("Verify command").fill("bash check.sh");
    await page.getByRole("radio", { name: /Mock/i }).check();
    await page.getByRole("button", { name: "Start job" }).click();
    await page.getByRole("button", { name: /^Approve/ }).waitFor({ timeout: 60_000 });
    await page.getByRole("link", { name: "Inbox" }).first().click();
    await page.getByRole("link", { name: /By mouse/ }).click();
    await page.getByRole("tab", { name: "Changes" }).click();
    await page.getByText("export const add = (a, b) => a + b;").first().waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await page.getByRole("button", { name: /^Approve/ }).click();
    await page.getByRole("button", { name: /^Confirm/ }).click();
    await page.getByText("succeeded", { exact: false }).first().waitFor({ timeout: 60_000 });
    // And once more, as it was or changed.
    await page.getByRole("link", { name: "Run the same again, or with another runtime" }).click();
    await page.getByRole("heading", { level: 1, name: "New job" }).waitFor();
    await expect.poll(() => page.getByLabel("Goal").inputValue()).toBe(`By mouse ${fix}`);
    expect(await page.getByLabel("Verify command").inputValue()).toBe("bash check.sh");
    await page.getByRole("radio", { name: /Mock/i, checked: true }).waitFor();
  });

  it("by keyboard only", async () => {
    const job = await site.service.create({ goal: `By keyboard ${fix}` });
    await site.service.reach(job.id, "awaiting_approval");
    const page = await site.signedIn();
    await page.getByText("By keyboard").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /By keyboard/ }).waitFor();
    await page.getByRole("button", { name: /^Approve/ }).waitFor();
    await page.keyboard.press("a");
    for (let i = 0; i < 40; i++) {
      const name = await page.evaluate(() => document.activeElement?.textContent ?? "");
      if (/^Approve/.test(name)) break;
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /^Confirm/ }).waitFor();
    await page.keyboard.press("Enter");
    await site.service.reach(job.id, "succeeded");
    await page.getByText("succeeded", { exact: false }).first().waitFor();
  });
});
