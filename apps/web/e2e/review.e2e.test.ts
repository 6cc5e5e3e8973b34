import { spawnSync } from "node:child_process";
import { fix } from "@x1agent/api/test";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, layoutFindings, longestJump, sizes, TestSite } from "../test/browser.ts";

/** Files of 1,400 lines each: 100,000 lines at full size. */
const FILES = process.env.X1_FULL === "1" ? 72 : 10;
const slow = { timeout: 60_000 };

describe.skipIf(lacksBrowser)(`reviewing a change${lacksBrowser ? ` (${lacksBrowser})` : ""}`, () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await TestSite.open();
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.trespasses.splice(0)).toEqual([]);
  });
  const waiting = async (goal: string, more: object = {}) => {
    const { id } = await site.service.create({ goal, ...more });
    await site.service.reach(id, "awaiting_approval");
    return id;
  };
  const changes = async (page: Page) => {
    await page.getByRole("tab", { name: "Changes" }).click();
    const lines = page.getByRole("region", { name: "Lines of the change" });
    await lines.waitFor();
    return lines;
  };

  it("a comment on a line starts a second round that answers it, seen by two browsers", async () => {
    const id = await waiting(fix);
    const [page, other] = await Promise.all([site.signedIn(`/jobs/${id}`), site.signedIn(`/jobs/${id}`)]);
    await other.getByRole("button", { name: "Approve and publish" }).waitFor();
    const lines = await changes(page);
    await lines.getByText("export const add = (a, b) => a + b;").waitFor();
    expect(await lines.locator(".diff-code-edit").allTextContents()).toEqual(["-", "+"]);
    await page.keyboard.press("n");
    await page.keyboard.press("c");
    await page
      .getByRole("textbox", { name: "Comment on removed line 1" })
      .fill("Say in a file why. [[edit why.txt because]]");
    await page.getByRole("button", { name: "Add comment" }).click();
    await lines.getByRole("button", { name: "Comment on line 1", exact: true }).click();
    await page.getByRole("textbox", { name: "Comment on line 1" }).fill("Round here. <b>bold</b>");
    await page.keyboard.press("Control+Enter");
    // What is not sent yet outlives a reload.
    await page.reload();
    const gathered = page.getByRole("list", { name: "Comments on lines" });
    await gathered.getByText("Round here. <b>bold</b>").waitFor();
    expect(await gathered.getByRole("listitem").count()).toBe(2);
    await page.getByRole("button", { name: "Ask for changes (2)" }).click();
    await expect.poll(async () => (await site.service.job(id)).attempt, slow).toBe(2);
    await site.service.reach(id, "awaiting_approval");
    // The other browser was never touched: it has the decision, the new round and its digest.
    const decisions = other.getByRole("region", { name: "Decisions so far" });
    await decisions.getByText("Round here. <b>bold</b>").waitFor(slow);
    await decisions.getByText("asked for changes").waitFor();
    await (await changes(other)).getByText("because").waitFor(slow);
    const digest = (await site.service.job(id)).approvalDigest ?? "";
    await other.getByText(digest.slice(0, 12)).first().waitFor(slow);
    await other.getByRole("button", { name: "Approve and publish" }).click();
    await other.getByRole("button", { name: /^Confirm/ }).click();
    await page.getByRole("region", { name: "State" }).getByText("succeeded").waitFor(slow);
  });

  it("an approval is refused when the branch has moved, and says so", async () => {
    const id = await waiting(`Branch ${fix}`);
    const page = await site.signedIn(`/jobs/${id}`);
    await page.getByRole("button", { name: "Approve and publish" }).click();
    const { targetBranch } = await site.service.job(id);
    const made = spawnSync("git", ["-C", site.service.repository, "branch", targetBranch ?? ""], { encoding: "utf8" });
    expect(made.stderr).toBe("");
    await page.getByRole("button", { name: /^Confirm/ }).click();
    await page
      .getByRole("region", { name: "State" })
      .getByText(/publish refused/)
      .waitFor(slow);
    expect((await site.service.job(id)).publishedCommit).toBeNull();
  });

  it("goes on under an open page when the service was killed and started again, without loss or doubling", async () => {
    const page = await site.signedIn();
    await site.service.stop();
    const kill = await site.service.startProcess();
    const { id } = await site.service.create({ goal: `Restart ${fix} [[say half way]] [[sleep 10]]` });
    await page.goto(`${site.service.url}/jobs/${id}`);
    const story = page.getByRole("region", { name: "Story" });
    await story.getByText("half way", { exact: true }).waitFor(slow);
    const count = async (one: Page) => {
      const [download] = await Promise.all([
        one.waitForEvent("download"),
        one.getByRole("button", { name: "JSON lines" }).click(),
      ]);
      const chunks: Buffer[] = [];
      for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString("utf8").trim();
      return text.split("\n").map((line) => (JSON.parse(line) as { seq: number }).seq);
    };
    await kill();
    await page.getByText("Connection lost").waitFor(slow);
    await site.service.start();
    await page.getByText("Connection lost").waitFor({ state: "detached", ...slow });
    // Says where the job is, should it not get there.
    await site.service.reach(id, "awaiting_approval");
    await page.getByRole("button", { name: "Approve and publish" }).click(slow);
    await page.getByRole("button", { name: /^Confirm/ }).click();
    await page.getByRole("region", { name: "State" }).getByText("succeeded").waitFor(slow);
    const { items } = await site.service.client.listEvents({ params: { jobId: id }, query: { limit: 1_000 } });
    await expect.poll(() => count(page), slow).toEqual(items.map(({ seq }) => seq));
    await expect(page.getByText("Connection lost").count()).resolves.toBe(0);
  });

  it("runs and fetches nothing of a hostile change, and shows what cannot be seen; no view breaks a rule of access", async () => {
    const name = "<img src=x onerror=alert(1)>.js";
    const script =
      "<script>alert(2)</script> \\342\\200\\256 \\033[31m \\033]0;t\\007 <img src=http://127.0.0.1:9/p.png>";
    const id = await waiting(
      `Hostile ${fix} [[shell printf '${script}\\n' > '${name}'; printf '${script}' > "$(printf 'a\\342\\200\\256gnp.md')"; head -c 2000 /dev/urandom > logo.png; seq 1 50 > package-lock.json]] [[say ![x](http://127.0.0.1:9/x.png) [y](javascript:alert(3))]]`,
      {
        verify: `bash check.sh && printf '✔ <img src=x onerror=alert(4)>\\n✖ \\033[31mred\\033[0m \\342\\200\\256\\n'`,
      },
    );
    for (const viewport of [sizes.desk, sizes.phone]) {
      const page = await site.signedIn(`/jobs/${id}`, {
        viewport,
        colorScheme: viewport === sizes.desk ? "dark" : "light",
      });
      const lines = await changes(page);
      await lines.getByText("<script>alert(2)</script>").first().waitFor();
      await lines.getByText(name).first().waitFor();
      const shown = (await lines.textContent()) ?? "";
      expect(shown).toContain("\\u{202e}");
      expect(shown).toContain("\\x1b[31m");
      expect(shown).not.toMatch(/[\u202e\u001b\u0007]/);
      await lines.getByText("Binary file, added").waitFor();
      expect(await accessibilityFindings(page)).toEqual([]);
      await page.getByRole("button", { name: "Side by side" }).click();
      expect(await accessibilityFindings(page), "side by side").toEqual([]);
      await page.getByRole("button", { name: "Unified" }).click();
      for (const tab of ["Tests", "Cost", "Evidence", "Story"]) {
        await page.getByRole("tab", { name: tab }).click();
        if (tab === "Tests") await page.getByText("<img src=x onerror=alert(4)>").first().waitFor();
        if (tab === "Evidence") await page.getByRole("heading", { name: "Digest that an approval binds" }).waitFor();
        expect(await accessibilityFindings(page), tab).toEqual([]);
        expect(await layoutFindings(page), tab).toEqual([]);
      }
      expect(await page.locator("main img, main script, main a[href^='javascript']").count()).toBe(0);
      await page.context().close();
    }
  });

  it(`a change of ${(FILES * 1_400).toLocaleString("en")} lines scrolls, and never stands still`, async () => {
    const id = await waiting(
      `Large ${fix} [[shell for i in $(seq 1 ${FILES}); do seq 1 1400 > f$i.txt; done; seq 1 9000 > huge.txt]]`,
    );
    const page = await site.signedIn(`/jobs/${id}`);
    const lines = await changes(page);
    await page
      .locator(".diff-bar")
      .getByText(`${FILES + 2} files`)
      .waitFor();
    await expect.poll(() => lines.evaluate((box) => box.scrollHeight), slow).toBeGreaterThan(FILES * 1_400 * 15);
    expect(await longestJump(lines, `${FILES * 1_400} lines`)).toBeLessThan(5_000);
    expect(await lines.locator(".diff-line").count()).toBeLessThan(500);
    // A file of very many lines waits folded, and says what is left out once it is open.
    await page.getByRole("button", { name: "huge.txt" }).first().click();
    await lines.locator(".file-head", { hasText: "huge.txt" }).getByRole("button").click();
    await page.keyboard.press("End");
    await expect.poll(() => lines.evaluate((box) => box.scrollHeight)).toBeGreaterThan(FILES * 1_400 * 15 + 2_000 * 15);
    // The rest of it comes two thousand lines at a time, to the last.
    const more = lines.getByRole("button", { name: "Show more lines" });
    const last = lines.getByText("9000", { exact: true });
    let asked = 0;
    await expect
      .poll(async () => {
        // Rows are measured as they come into view, and the end moves with it: gone to until it is there.
        await lines.evaluate((box) => {
          box.scrollTop = box.scrollHeight;
        });
        if ((await last.count()) > 0) return "the last line";
        await more.click({ timeout: 1_000 }).then(
          () => {
            asked += 1;
          },
          () => undefined,
        );
        return `asked ${asked} times`;
      }, slow)
      .toBe("the last line");
    expect(asked).toBeGreaterThanOrEqual(4);
    expect(await more.count()).toBe(0);
  });
});
