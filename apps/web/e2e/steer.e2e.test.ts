import { fix } from "@x1agent/api/test";
import { routes } from "@x1agent/contract";
import type { Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, layoutFindings, sizes, TestSite } from "../test/browser.ts";

const slow = { timeout: 60_000 };

describe.skipIf(lacksBrowser)(`steering and long lists${lacksBrowser ? ` (${lacksBrowser})` : ""}`, () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await TestSite.open();
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.trespasses.splice(0)).toEqual([]);
  });

  it("a running job's budget is raised, and messages reach it after the turn, now, or instead", async () => {
    const { id } = await site.service.create({ goal: "Work long [[sleep 300]]", budgetMicros: 2_000_000 });
    await site.service.reach(id, "running");
    const page = await site.signedIn(`/jobs/${id}`);
    await page.getByRole("button", { name: "Raise budget" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("New limit in dollars").fill("0");
    expect(await dialog.getByRole("button", { name: "Raise", exact: true }).isDisabled()).toBe(true);
    await dialog.getByLabel("New limit in dollars").fill("7.5");
    expect(await accessibilityFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Raise", exact: true }).click();
    await page.getByRole("region", { name: "State" }).getByText("of $7.50").waitFor(slow);
    expect((await site.service.job(id)).budgetMicros).toBe(7_500_000);
    const box = page.getByRole("region", { name: "Message" });
    const story = page.getByRole("region", { name: "Story" });
    const say = async (mode: string, text: string) => {
      await box.getByLabel(mode, { exact: true }).check();
      await box.getByLabel("Message to the agent").fill(text);
      await page.keyboard.press("Control+Enter");
      // Taken: the field is free for the next one.
      await expect.poll(() => box.getByLabel("Message to the agent").inputValue(), slow).toBe("");
    };
    await say("After this turn", "[[say later]] [[edit later.txt yes]]");
    await say("Now", "Mind the time.");
    await story.getByText("Mind the time.").waitFor(slow);
    await say("Interrupt", "[[say Stopped for you.]]");
    await story.getByText("Stopped for you.", { exact: true }).waitFor(slow);
    await story.getByText("later", { exact: true }).waitFor(slow);
    await site.service.client.cancelJob({ params: { jobId: id } }).catch(() => undefined);
  });

  it("a risk leads to its line; work that moved on while nobody looked cannot be approved unseen", async () => {
    const { id } = await site.service.create({
      goal: `Two risks ${fix} [[shell mkdir -p .github/workflows && seq 1 200 > .github/workflows/a.yml && { seq 1 300; echo "const key = 'AKIAIOSFODNN7EXAMPLQ'"; seq 1 300; } > long.mjs]]`,
    });
    await site.service.reach(id, "awaiting_approval");
    const page = await site.signedIn(`/jobs/${id}`);
    await page.getByRole("tab", { name: "Changes" }).click();
    const risks = page.getByRole("region", { name: "What to look at first" });
    await risks.getByRole("button", { name: "long.mjs:301" }).click();
    const line = page.getByRole("region", { name: "Lines of the change" }).locator(".diff-code-selected");
    await line.getByText("AKIAIOSFODNN7EXAMPLQ").waitFor();
    await expect.poll(() => line.evaluate((row) => row.getBoundingClientRect().top < window.innerHeight)).toBe(true);
    // Where it is decided it is said that the change touches what judges it.
    const decision = page.getByRole("region", { name: "Decision", exact: true });
    await decision.getByText("judge changed").waitFor();
    const before = (await site.service.job(id)).approvalDigest ?? "";
    await page.getByText(before.slice(0, 12)).first().waitFor();
    await page.context().setOffline(true);
    await page.getByText(/^Offline:/).waitFor(slow);
    await site.service.client.decide({
      params: { jobId: id },
      body: { decision: "request_changes", digest: before, comment: "[[edit why.txt because]]" },
    });
    await expect.poll(async () => (await site.service.job(id)).attempt, slow).toBe(2);
    const after = (await site.service.reach(id, "awaiting_approval")).approvalDigest ?? "";
    await page.context().setOffline(false);
    await decision.getByText("The work has moved since you looked").waitFor(slow);
    expect(await decision.getByRole("button", { name: /Approve/ }).count()).toBe(0);
    await decision.getByRole("button", { name: "Show the new evidence" }).click();
    await decision.getByText(after.slice(0, 12)).waitFor();
    await decision.getByRole("button", { name: "Approve and publish" }).click();
    await decision.getByRole("button", { name: /^Confirm/ }).click();
    await page.getByRole("region", { name: "State" }).getByText("succeeded").waitFor(slow);
  });

  it("what stands around a change is unfolded, and no other file is to be had so", async () => {
    const many = Array.from({ length: 300 }, (_, at) => `line ${at + 1}\n`).join("");
    const repository = await site.service.createRepository("long", { "list.txt": many });
    const { id } = await site.service.create({
      ...{ repository, verify: "true" },
      goal: "Change two lines [[shell sed -i -e 's/^line 100$/hundred/' -e 's/^line 200$/two hundred/' list.txt]]",
    });
    await site.service.reach(id, "awaiting_approval");
    const page = await site.signedIn(`/jobs/${id}`);
    await page.getByRole("tab", { name: "Changes" }).click();
    const lines = page.getByRole("region", { name: "Lines of the change" });
    await lines.getByText("two hundred").waitFor();
    expect(await lines.getByText("line 150", { exact: true }).count()).toBe(0);
    const gap = (hidden: number) => lines.getByRole("button", { name: `⋯ ${hidden} unchanged lines` });
    await gap(93).click();
    await lines.getByText("line 110", { exact: true }).waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    const end = (shown: Locator) =>
      expect
        .poll(async () => {
          await lines.evaluate((box) => {
            box.scrollTop = box.scrollHeight;
          });
          return shown.count();
        }, slow)
        .toBeGreaterThan(0);
    // Only who has read the file knows what comes after its last change.
    await end(gap(97));
    await gap(97).click();
    await end(lines.getByText("line 300", { exact: true }));
    await lines.evaluate((box) => {
      box.scrollTop = 0;
    });
    await gap(96).waitFor();
    const evidenceId = (await site.service.client.listEvidence({ params: { jobId: id } })).items[0]?.id ?? "";
    const ask = (path: string) =>
      site.service.client.getDiffSource({ params: { jobId: id }, query: { evidenceId, path } });
    expect((await ask("list.txt")).lines).toHaveLength(300);
    await expect(ask("../config")).rejects.toMatchObject({ code: "not_found" });
    await expect(ask("check.sh")).rejects.toMatchObject({ code: "not_found" });
    await site.service.client.cancelJob({ params: { jobId: id } });
  });

  it("5,000 permissions are searched without a pause, and titles of 300 characters break nothing", async () => {
    const long = "A title that does not end ".repeat(12).slice(0, 300);
    const { id, projectId } = await site.service.create({ goal: `${long}\n[[calls 2]] [[claim-success]]` });
    await site.service.reach(id, "no_changes");
    await site.service.client.updateProject({ params: { projectId }, body: { name: long.slice(0, 200) } });
    const page = await site.signedIn();
    const { items } = await site.service.client.listGrants({});
    const rows = Array.from({ length: 5_000 }, (_, at) => ({
      ...items[0],
      ...{ id: `grt_${at}`, type: "egress", reason: long, subject: { kind: at % 2 ? "project" : "job" } },
      details: { pattern: `host-${at}.example`, ports: [443] },
    })).map((row) => ({ ...row, subject: { ...row.subject, id: row.subject.kind === "job" ? id : projectId } }));
    await page.route("**/api/v1/grants?*", (route) =>
      route.fulfill({ json: routes.listGrants.response.parse({ items: rows, cursor: null }) }),
    );
    await page.goto(`${site.service.url}/permissions`);
    const search = page.getByRole("searchbox", { name: "Filter permissions" });
    await page.getByText("host-1.example").first().waitFor(slow);
    const began = Date.now();
    await search.fill("host-4321.example");
    await page.getByText("host-4321.example").first().waitFor(slow);
    await expect.poll(() => page.getByText("host-1.example").count()).toBe(0);
    console.log(`One of 5,000 permissions was found after ${Date.now() - began} ms`);
    expect(Date.now() - began).toBeLessThan(30_000);
    await search.fill("");
    await page.getByText("host-1.example").first().waitFor(slow);
    expect(await page.locator("main *").count()).toBeLessThan(20_000);
    for (const path of ["/permissions", "/jobs", "/projects", `/projects/${projectId}`, `/jobs/${id}`, "/spend"])
      for (const viewport of [sizes.desk, sizes.phone]) {
        await page.setViewportSize(viewport);
        await page.goto(`${site.service.url}${path}`);
        await expect
          .poll(() => page.getByText("A title that does not end").filter({ visible: true }).count(), {
            ...slow,
            message: `${path} ${viewport.width}`,
          })
          .toBeGreaterThan(0);
        expect(await layoutFindings(page), path).toEqual([]);
      }
  });
});
