import type { Page } from "playwright-core";
import { lacksBrowser, TestSite } from "../apps/web/test/browser.ts";
import { type Bench, median, pause } from "./lib.ts";

const about =
  "the web app in a browser; the limit is the same browser with the service's smallest page, and a plain subscriber to the same events";

/** Milliseconds from the navigation until the inbox stands there and answers to the keyboard. */
async function interactive(page: Page, url: string): Promise<number> {
  await page.goto(url);
  return page.evaluate(async () => {
    while (!document.querySelector("main h1, .empty, .items")) await new Promise(requestAnimationFrame);
    return performance.now();
  });
}

/** Milliseconds from the navigation until the browser has laid out a page of a few bytes. */
async function bare(page: Page, url: string): Promise<number> {
  await page.goto(`${url}/icon.svg`);
  return page.evaluate(async () => {
    await new Promise(requestAnimationFrame);
    return performance.now();
  });
}

const heap = async (page: Page): Promise<number> => {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return usedSize / 1_048_576;
};

/** Shows a job's page while its agent floods, and times messages from the call until page and subscriber have them. */
async function probes(
  site: TestSite,
  rounds: number,
): Promise<{ pixel: number[]; stream: number[]; perSecond: number }> {
  const { client } = site.service;
  const { id } = await site.service.create({ goal: "[[events 500]] [[sleep 0.5]] ".repeat(400) });
  await site.service.reach(id, "running");
  const page = await site.signedIn(`/jobs/${id}`);
  await page.getByRole("region", { name: "Story" }).waitFor();
  await page.evaluate(() => {
    const seen: Record<string, number> = {};
    Object.assign(window, { seen });
    new MutationObserver(() => {
      for (const [probe] of document.body.textContent.matchAll(/probe-\d+/g)) seen[probe] ??= Date.now();
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  const arrived = new Map<string, number>();
  let count = 0;
  const end = new AbortController();
  const reading = (async () => {
    for await (const { payload } of client.events(id, { signal: end.signal })) {
      count += 1;
      const probe = /probe-\d+/.exec(String(payload.content ?? ""))?.[0];
      if (probe && !arrived.has(probe)) arrived.set(probe, Date.now());
    }
  })().catch(() => undefined);
  const pixel: number[] = [];
  const stream: number[] = [];
  const started = performance.now();
  for (let round = 0; round < rounds; round += 1) {
    const probe = `probe-${round}`;
    const at = Date.now();
    await client.injectMessage({ params: { jobId: id }, body: { id: probe, content: probe, mode: "queue" } });
    const find = (name: string) => (window as unknown as { seen: Record<string, number> }).seen[name];
    for (let tries = 0; tries < 500 && !(await page.evaluate(find, probe)); tries += 1) await pause(20);
    const shown = await page.evaluate(find, probe);
    if (shown) pixel.push(shown - at);
    const read = arrived.get(probe);
    if (read) stream.push(read - at);
  }
  // Measured under load only while there was some.
  const perSecond = count / ((performance.now() - started) / 1_000);
  end.abort();
  await reading;
  await client.cancelJob({ params: { jobId: id } });
  await page.context().close();
  return { pixel, stream, perSecond };
}

export const bench: Bench = {
  about,
  async run({ quick, note }) {
    if (lacksBrowser) {
      note(lacksBrowser);
      return [];
    }
    const rounds = quick ? 2 : 7;
    const many = quick ? 2_000 : 50_000;
    const site = await TestSite.open();
    try {
      const { service } = site;
      const first: number[] = [];
      const again: number[] = [];
      const least: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const page = await site.signedIn();
        const fresh = await site.signedIn();
        least.push(await bare(fresh, service.url));
        again.push(await interactive(page, service.url));
        // Signed in, and nothing of the app in the cache.
        const session = await fresh.context().newCDPSession(fresh);
        await session.send("Network.clearBrowserCache");
        first.push(await interactive(fresh, service.url));
        await page.context().close();
        await fresh.context().close();
      }
      const { pixel, stream, perSecond } = await probes(site, quick ? 3 : 20);
      note(`the story took ${Math.round(perSecond)} events a second meanwhile`);
      const { id } = await service.create({ goal: `[[events ${many}]] [[claim-success]]` });
      while ((await service.job(id)).endedAt === null) await pause(200);
      const page = await site.signedIn();
      const empty = await heap(page);
      await page.goto(`${service.url}/jobs/${id}`);
      await page.waitForFunction(
        (least) => Number(/([\d,]+) lines/.exec(document.body.textContent)?.[1]?.replace(/,/g, "")) >= least,
        many * 0.9,
        { timeout: 120_000 },
      );
      const full = await heap(page);
      return [
        { figure: "time to interactive, nothing cached", unit: "ms", ours: median(first), limit: median(least) },
        { figure: "time to interactive, cached", unit: "ms", ours: median(again), limit: median(least) },
        {
          figure: "a call until its event is on the screen, under a flood",
          unit: "ms",
          ours: median(pixel),
          limit: median(stream),
        },
        { figure: `heap of the page with ${many.toLocaleString("en")} events`, unit: "MB", ours: full, limit: empty },
      ];
    } finally {
      await site.close();
    }
  },
};
