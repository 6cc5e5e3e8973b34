type Page = Pick<Document, "hidden" | "addEventListener" | "removeEventListener">;

/** Aborted when the page has been out of sight for so long, in milliseconds, or with `signal`, which ends the looking. */
export function whileSeen(ms: number, signal: AbortSignal, page: Page = document): AbortSignal {
  const unseen = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (page.hidden) timer = setTimeout(end, ms);
  };
  const end = () => {
    clearTimeout(timer);
    page.removeEventListener("visibilitychange", look);
    signal.removeEventListener("abort", end);
    unseen.abort();
  };
  page.addEventListener("visibilitychange", look);
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  else look();
  return unseen.signal;
}

/** Resolves when the page is in sight, or with `signal`. */
export function untilSeen(signal: AbortSignal, page: Page = document): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (page.hidden && !signal.aborted) return;
      page.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    page.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}
