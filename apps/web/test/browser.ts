import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { TestService } from "@x1agent/api/test";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome"];
const executable = names
  .flatMap((name) => (process.env.PATH ?? "").split(":").map((folder) => join(folder, name)))
  .find((path) => spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0);

/** What a browser test lacks here, for its name when it is skipped; null when nothing. With CI=true it fails instead. */
export const lacksBrowser: string | null = executable || process.env.CI === "true" ? null : "needs chromium on PATH";

/** Screens of a desk, a small laptop and a phone, in CSS pixels. */
export const sizes = {
  desk: { width: 1440, height: 900 },
  laptop: { width: 1024, height: 768 },
  phone: { width: 390, height: 844 },
} as const;

/** The built app, served by a whole service with the scripted runtime, and a browser before it. */
export class TestSite {
  readonly service: TestService;
  readonly #browser: Browser;
  /** What no page may do: ask another origin for anything, break its policy, throw, or log an error. */
  readonly trespasses: string[] = [];

  private constructor(service: TestService, browser: Browser) {
    this.service = service;
    this.#browser = browser;
  }

  static async open(watch?: Parameters<typeof TestService.open>[0]): Promise<TestSite> {
    if (!executable) throw new Error(`No browser found: install one of ${names.join(", ")}.`);
    TestService.buildWeb();
    const [service, browser] = await Promise.all([
      TestService.open(watch),
      chromium.launch({
        executablePath: executable,
        args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
      }),
    ]);
    return new TestSite(service, browser);
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.service.close();
  }

  /** A browser of its own that nobody is signed in with. */
  async stranger(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: sizes.desk, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol !== "data:" && protocol !== "blob:" && origin !== new URL(this.service.url).origin)
        this.trespasses.push(`asked ${request.url()}`);
    });
    page.on("pageerror", (error) => this.trespasses.push(`threw ${error.message}`));
    page.on("dialog", (dialog) => {
      this.trespasses.push(`opened a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      // An answer of 4xx and a service that is away are logged by the browser itself, whatever the page does with them.
      if (message.type() === "error" && !/Failed to load resource|net::ERR/.test(message.text()))
        this.trespasses.push(`logged ${message.text()}`);
    });
    return page;
  }

  /** A browser that the owner has signed in with, at `path`. */
  async signedIn(path = "/", options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.stranger(options);
    await page.goto(this.service.signInLink());
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    if (path !== "/") await page.goto(`${this.service.url}${path}`);
    return page;
  }
}

/**
 * Jumps all over a scrolling box and gives the longest time, in milliseconds, from a jump to its picture. Said on the
 * console too, under `name`: the machine's load is in it, so that only a standstill makes a test fail.
 */
export async function longestJump(box: Locator, name: string, jumps = 30): Promise<number> {
  const longest = await box.evaluate(async (element, count) => {
    let worst = 0;
    for (let step = 0; step < count; step += 1) {
      const before = performance.now();
      element.scrollTop = (element.scrollHeight * ((step * 7) % count)) / count;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      worst = Math.max(worst, performance.now() - before);
    }
    return worst;
  }, jumps);
  console.log(`Longest of ${jumps} jumps through ${name}: ${Math.round(longest)} ms`);
  return longest;
}

/** What axe finds against WCAG 2.2 AA on the page as it stands: `rule: element`, each. */
export async function accessibilityFindings(page: Page): Promise<string[]> {
  // By the debugger, since the page's policy lets no script in.
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    type Result = { violations: { id: string; nodes: { html: string }[] }[] };
    const { axe } = window as unknown as { axe: { run(root: Document, options: object): Promise<Result> } };
    const { violations } = await axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
  });
}

/** What is cut off or lies over its neighbour: the page when it scrolls sideways, and boxes that leave the one around them. */
export async function layoutFindings(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const over = document.documentElement.scrollWidth - window.innerWidth;
    if (over > 0) found.push(`the page is ${over} px too wide`);
    // What is hidden or only read out is one pixel wide or none, whatever is in it.
    const seen = (element: Element | null): boolean =>
      !element ||
      ((element.getBoundingClientRect().width >= 2 || getComputedStyle(element).display === "contents") &&
        seen(element.parentElement));
    for (const element of document.querySelectorAll("main *")) {
      const parent = element.parentElement;
      const inner = element.getBoundingClientRect();
      const frame = parent?.getBoundingClientRect();
      // A drawing keeps its own order.
      if (!parent || !frame || inner.height < 2 || element.closest("svg") || !seen(element)) continue;
      const style = getComputedStyle(element);
      if (["absolute", "fixed"].includes(style.position) || style.display === "inline") continue;
      const around = getComputedStyle(parent);
      if (around.overflowX !== "visible" || ["inline", "contents"].includes(around.display)) continue;
      const outside = Math.round(inner.right - frame.right);
      const drawnBack = -Math.min(0, Number.parseFloat(style.marginRight) || 0);
      if (outside > drawnBack + 1) found.push(`${outside} px out: ${element.outerHTML.slice(0, 120)}`);
    }
    return found.slice(0, 10);
  });
}
