import { readFileSync } from "node:fs";
import { fix } from "@x1agent/api/test";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, longestJump, TestSite } from "../test/browser.ts";

/** At full size 100,000 events; scaled down where the whole suite runs. */
const MANY = process.env.X1_FULL === "1" ? 100_000 : 20_000;

describe.skipIf(lacksBrowser)(`a job's story${lacksBrowser ? ` (${lacksBrowser})` : ""}`, () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await TestSite.open();
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.trespasses.splice(0)).toEqual([]);
  });

  it("runs and fetches nothing of what an agent says, and shows what cannot be seen", async () => {
    const hostile = [
      '<img src="http://127.0.0.1:9/track.png" onerror="alert(1)">',
      "<script>alert(2)</script>",
      "[click](javascript:alert(3)) ![](http://127.0.0.1:9/pixel)",
      "safe \u202Eesrever\u202C and \u200Bhidden",
      "\u001b]0;title\u0007\u001b[8mconcealed\u001b[0m \u001b[31mred\u001b[0m",
    ];
    const job = await site.service.create({
      goal: `${hostile.map((text) => `[[say ${text}]]`).join(" ")} [[shell printf '\\033[32mgreen\\033[0m \\033[8mconcealed\\033[0m \\033]8;;http://127.0.0.1:9/\\007link\\033]8;;\\007 <b>bold</b>\\n']] [[claim-success]]`,
    });
    await site.service.reach(job.id, "no_changes");
    const page = await site.signedIn(`/jobs/${job.id}`);
    const story = page.getByRole("region", { name: "Story" });
    for (const text of [
      '<img src="http://127.0.0.1:9/track.png" onerror="alert(1)">',
      "<script>alert(2)</script>",
      "[click](javascript:alert(3))",
      "⟨U+202E⟩esrever",
      "⟨U+200B⟩hidden",
      "concealed",
    ]) {
      await page.getByRole("searchbox", { name: "Search this story" }).fill(text.replace(/⟨.*?⟩/, ""));
      await story.getByText(text).first().waitFor();
    }
    await page.getByRole("searchbox", { name: "Search this story" }).fill("printf");
    await story.locator("summary").first().click();
    await story.locator(".terminal .ansi-green", { hasText: "green" }).waitFor();
    expect(await story.locator(".terminal", { hasText: "concealed" }).isVisible()).toBe(true);
    expect(await page.locator("main img, main script, main a[href^='javascript']").count()).toBe(0);
    expect(await accessibilityFindings(page)).toEqual([]);
  });

  it("plays output that moves the cursor on demand, and lets it reach nothing beyond its screen", async () => {
    const oscs = ["0;stolen", "52;c;c3RvbGVu", "8;;http://127.0.0.1:9/", "1337;File=inline=1:AAAA", "9;told"];
    const printed = [
      ...oscs.map((osc) => `\\033]${osc}\\007`),
      ...[
        "working 10%%",
        "\\rworking 99%%",
        "\\r\\033[2Kdone\\nold line\\n",
        "\\033[1A\\033[2K",
        "\\033[32mnew line\\033[0m\\n",
      ],
      ...["\\033[8mconcealed\\033[0m", "\\033[6n\\033[c\\033[21t", "<b>bold</b>\\n"],
    ].join("");
    const job = await site.service.create({ goal: `[[shell printf '${printed}']] [[claim-success]]` });
    await site.service.reach(job.id, "no_changes");
    const page = await site.signedIn(`/jobs/${job.id}`, { permissions: ["clipboard-read", "clipboard-write"] });
    const story = page.getByRole("region", { name: "Story" });
    await page.getByRole("searchbox", { name: "Search this story" }).fill("printf");
    await story.locator("summary").first().click();
    // First all that was printed, hidden from nobody.
    await story.locator("pre.terminal").getByText("working 10%").waitFor();
    const title = await page.title();
    await page.evaluate(() => navigator.clipboard.writeText("mine"));
    await story.getByRole("button", { name: "Play it as a terminal" }).click();
    const screen = story.getByRole("region", { name: "Terminal screen" });
    await screen.getByText("done").waitFor();
    expect(((await screen.textContent()) ?? "").trimEnd()).toBe("done\nnew line\nconcealed<b>bold</b>");
    await screen.locator(".ansi-green", { hasText: "new line" }).waitFor();
    expect(await screen.locator("a, b, img").count()).toBe(0);
    expect(await page.title()).toBe(title);
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("mine");
    expect(await accessibilityFindings(page)).toEqual([]);
    await story.getByRole("button", { name: "Show all that was printed" }).click();
    await story.locator("pre.terminal").getByText("working 10%").waitFor();
  });

  it("is searched, copied, saved, and opened at its first error", async () => {
    const job = await site.service.create({
      goal: "Look for a needle [[say a needle in hay]] [[shell exit 3]] [[claim-success]]",
    });
    await site.service.reach(job.id, "no_changes");
    const page = await site.signedIn(`/jobs/${job.id}`, { permissions: ["clipboard-read", "clipboard-write"] });
    await page.getByRole("button", { name: "First error" }).click();
    await page.getByText("✗ exit 3").first().waitFor();
    await page.getByRole("button", { name: "Copy" }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain("> a needle in hay");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "JSON lines" }).click(),
    ]);
    const lines = readFileSync(await download.path(), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { seq: number });
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, at) => at + 1));
  });

  it("gives its connection back while nobody looks at the page, and misses nothing", async () => {
    const { id } = await site.service.create({ goal: fix });
    const { approvalDigest } = await site.service.reach(id, "awaiting_approval");
    const page = await site.signedIn(`/jobs/${id}`);
    const story = page.getByRole("region", { name: "Story" });
    await story.getByText("awaiting approval").first().waitFor();
    const look = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, "hidden", { get: () => value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    const cut = page.waitForEvent("requestfailed", (request) =>
      new URL(request.url()).pathname.endsWith(`/${id}/events`),
    );
    await look(true);
    await cut;
    const decision = { decision: "approve" as const, digest: approvalDigest ?? "" };
    await site.service.client.decide({ params: { jobId: id }, body: decision });
    await site.service.reach(id, "succeeded");
    expect(await story.getByText("succeeded").count()).toBe(0);
    await look(false);
    await story.getByText("succeeded").first().waitFor();
  });

  it(`stays smooth with ${MANY.toLocaleString("en")} events`, async () => {
    const job = await site.service.create({ goal: `[[events ${MANY}]] [[claim-success]]` });
    await expect
      .poll(async () => (await site.service.job(job.id)).state, { timeout: 240_000, interval: 500 })
      .toBe("no_changes");
    const page = await site.signedIn(`/jobs/${job.id}`);
    const story = page.getByRole("region", { name: "Story" });
    const shown = async () => Number((await page.getByText(/^[\d,]+ lines$/).textContent())?.replace(/\D/g, ""));
    await expect.poll(shown, { timeout: 60_000 }).toBeGreaterThan(MANY * 0.95);
    // Only what is near the screen is in the page.
    expect(await story.locator(".event").count()).toBeLessThan(100);
    // At its end when it arrives, anywhere at once, and back.
    await story.getByText("no changes").first().waitFor();
    expect(await longestJump(story, `${MANY} events`)).toBeLessThan(5_000);
    const session = await page.context().newCDPSession(page);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    console.log(`Heap with ${MANY} events: ${Math.round(usedSize / 1_048_576)} MiB`);
    // 1.5 KiB an event and 64 MiB for the page itself: a leak of pages or rows would be many times that.
    expect(usedSize).toBeLessThan(64 * 1_048_576 + MANY * 1_536);
    await story.evaluate((box) => {
      box.scrollTop = 0;
    });
    await story.getByText("queued").first().waitFor();
  });
});
