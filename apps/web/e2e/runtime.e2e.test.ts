import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSampleRepository, sampleIssue, sampleVerify } from "@x1agent/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, TestSite } from "../test/browser.ts";

describe.skipIf(lacksBrowser)(
  `a real agent CLI, from the browser alone${lacksBrowser ? ` (${lacksBrowser})` : ""}`,
  () => {
    let site: TestSite;
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "x1-web-"));
      site = await TestSite.open();
    });
    afterAll(async () => {
      await site?.close();
      await rm(folder, { recursive: true, force: true });
    });
    afterEach(() => {
      expect(site.trespasses.splice(0)).toEqual([]);
    });

    it("is installed with its progress, solves an issue, and its change is published", async () => {
      const { directory } = await createSampleRepository(join(folder, "tally"));
      const issue = await sampleIssue(1);
      const page = await site.signedIn("/runtimes", { colorScheme: "dark" });
      const entry = page.getByRole("listitem", { name: "Pi" });
      await entry.getByRole("button", { name: /^Install/ }).click();
      await entry.getByText("installed", { exact: true }).waitFor({ timeout: 240_000 });
      // Tested by itself afterwards, on this machine: figures of the real CLI.
      const tested = entry.getByRole("region", { name: "Self-test of Pi" });
      await tested.getByText("passed", { exact: true }).waitFor({ timeout: 120_000 });
      expect(await tested.getByRole("definition").allTextContents()).toEqual([
        expect.stringMatching(/^\d+(ms|s)$/),
        expect.stringMatching(/^\d+ MB/),
      ]);
      expect(await accessibilityFindings(page)).toEqual([]);

      await page.keyboard.press("g");
      await page.keyboard.press("n");
      await page.getByLabel("Repository").fill(directory);
      await page.getByLabel("Goal").fill(issue);
      await page.getByRole("radio", { name: /^Pi/ }).check();
      await page.getByLabel("Verify command").fill(sampleVerify);
      await page.getByLabel("Budget in dollars").fill("2");
      expect(await accessibilityFindings(page)).toEqual([]);
      await page.getByRole("button", { name: "Start job" }).click();

      const story = page.getByRole("region", { name: "Story" });
      await story
        .getByText(/^(Run|Read|Edit)\b/)
        .first()
        .waitFor({ timeout: 120_000 });
      await page.getByRole("button", { name: /^Approve/ }).waitFor({ timeout: 180_000 });
      // What the CLI did, folded; what it cost, metered.
      await story
        .getByText(/model calls? ·/)
        .first()
        .waitFor();
      expect(await accessibilityFindings(page)).toEqual([]);
      await page.getByRole("button", { name: /^Approve/ }).click();
      await page.getByRole("button", { name: /^Confirm/ }).click();
      await story.getByText(/^published [0-9a-f]{12} on /).waitFor({ timeout: 60_000 });
      const { items } = await site.service.client.listJobs({});
      expect(items[0]).toMatchObject({ state: "succeeded", runtime: "pi" });
      expect(items[0]?.spentMicros).toBeGreaterThan(0);
    });
  },
);
