import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { untilSeen, whileSeen } from "./seen.ts";

class Page extends EventTarget {
  hidden = false;
  show(hidden: boolean): void {
    this.hidden = hidden;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}
const pageOf = (page: Page) => page as unknown as Document;

describe("a page that may be out of sight", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("gives up after a while, and not for a glance at another", () => {
    const page = new Page();
    const seen = whileSeen(1_000, new AbortController().signal, pageOf(page));
    page.show(true);
    vi.advanceTimersByTime(999);
    page.show(false);
    vi.advanceTimersByTime(10_000);
    expect(seen.aborted).toBe(false);
    page.show(true);
    vi.advanceTimersByTime(1_000);
    expect(seen.aborted).toBe(true);
  });

  test("that was opened behind another gives up too, and one that is left at once", () => {
    const page = new Page();
    page.hidden = true;
    const end = new AbortController();
    const behind = whileSeen(1_000, end.signal, pageOf(page));
    const left = whileSeen(5_000, end.signal, pageOf(page));
    vi.advanceTimersByTime(1_000);
    expect([behind.aborted, left.aborted]).toEqual([true, false]);
    end.abort();
    expect(left.aborted).toBe(true);
    expect(whileSeen(1_000, end.signal, pageOf(page)).aborted).toBe(true);
  });

  test("is waited for until it is in sight or left", async () => {
    const page = new Page();
    page.hidden = true;
    const end = new AbortController();
    const order: string[] = [];
    const first = untilSeen(new AbortController().signal, pageOf(page)).then(() => order.push("seen"));
    const second = untilSeen(end.signal, pageOf(page)).then(() => order.push("left"));
    end.abort();
    await second;
    page.show(false);
    await first;
    expect(order).toEqual(["left", "seen"]);
    await untilSeen(new AbortController().signal, pageOf(page));
  });
});
