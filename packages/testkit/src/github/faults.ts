import type { ServerResponse } from "node:http";

/** One thing that goes wrong, for the requests it matches. */
export type Fault = {
  /** Default any. */
  method?: string;
  /** Text that the path (without `/api/v3` and query) contains, or a pattern; default every path, git's too. */
  path?: string | RegExp;
  /** How many matching requests it hits; default 1. `Infinity` until it is cleared. */
  times?: number;
  /** Lets this many matching requests through first. */
  after?: number;
} & (
  | { kind: "status"; status: number; body?: string; headers?: Record<string, string> }
  /** Takes the request and never answers. */
  | { kind: "hang" }
  /** Closes the connection before anything was done. */
  | { kind: "drop" }
  /** Does what was asked, then closes the connection instead of answering. */
  | { kind: "drop-after" }
  /** Answers with a body that ends too early. */
  | { kind: "cut" }
  | { kind: "delay"; milliseconds: number }
  /** Secondary rate limit: 403 (or 429), with `retry-after` unless that is zero. */
  | { kind: "secondary-limit"; retryAfterSeconds: number; status?: 403 | 429 }
);

/** What shall go wrong, in the order it was asked for. */
export class FaultScript {
  #faults: { fault: Fault; skip: number; left: number }[] = [];
  readonly #now: () => number;
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds a fault; the answer takes it out again. */
  add(fault: Fault): () => void {
    const entry = { fault, skip: fault.after ?? 0, left: fault.times ?? 1 };
    this.#faults.push(entry);
    return () => {
      this.#faults = this.#faults.filter((one) => one !== entry);
    };
  }

  clear(): void {
    this.#faults = [];
  }

  /** Whether every fault has hit as often as it should. */
  get spent(): boolean {
    return this.#faults.every((entry) => entry.left <= 0 || entry.left === Number.POSITIVE_INFINITY);
  }

  take(method: string, path: string): Fault | undefined {
    for (const entry of this.#faults) {
      const { fault } = entry;
      if (entry.left <= 0 || (fault.method && fault.method !== method)) continue;
      if (typeof fault.path === "string" ? !path.includes(fault.path) : fault.path && !fault.path.test(path)) continue;
      if (entry.skip > 0) {
        entry.skip -= 1;
        continue;
      }
      entry.left -= 1;
      return fault;
    }
    return undefined;
  }

  /** Plays what happens instead of or before the work; true when the request is over. */
  async before(fault: Fault, response: ServerResponse, hanging: Set<ServerResponse>): Promise<boolean> {
    switch (fault.kind) {
      case "delay":
        await new Promise((resolve) => setTimeout(resolve, fault.milliseconds));
        return false;
      case "drop-after":
        return false;
      case "hang":
        hanging.add(response);
        response.on("close", () => hanging.delete(response));
        return true;
      case "drop":
        response.socket?.destroy();
        return true;
      case "cut":
        response.writeHead(200, { "content-type": "application/json", "content-length": "5000" });
        response.write('[{"id":1,');
        setTimeout(() => response.socket?.destroy(), 20);
        return true;
      case "status": {
        const text = fault.body ?? (fault.status >= 500 ? "<html><body>Unicorn!</body></html>" : '{"message":"fault"}');
        const type = text.startsWith("{") ? "application/json" : "text/html";
        response.writeHead(fault.status, { "content-type": type, ...fault.headers }).end(text);
        return true;
      }
      case "secondary-limit": {
        const body = {
          message:
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID.",
          documentation_url:
            "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits",
        };
        response
          .writeHead(fault.status ?? 403, {
            "content-type": "application/json",
            date: new Date(this.#now()).toUTCString(),
            ...(fault.retryAfterSeconds > 0 ? { "retry-after": String(fault.retryAfterSeconds) } : {}),
          })
          .end(JSON.stringify(body));
        return true;
      }
    }
  }

  /** Plays what happens instead of the answer; true when the answer is not to be sent. */
  after(fault: Fault, response: ServerResponse): boolean {
    if (fault.kind !== "drop-after") return false;
    response.socket?.destroy();
    return true;
  }
}
