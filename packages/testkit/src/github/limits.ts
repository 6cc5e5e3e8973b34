import type { Shape } from "./description.ts";
import { type Principal, Refused } from "./model.ts";

export type Resource = "core" | "search" | "graphql";
type Window = { used: number; resetAt: number };
const windowOf: Record<Resource, number> = { core: 3_600_000, search: 60_000, graphql: 3_600_000 };

/** Primary rate limits: one window for each caller and resource, with the headers that GitHub sends. */
export class Limits {
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();
  /** Requests in a window; change it to see a limit reached. */
  readonly allowed: Record<Resource | "anonymous", number> = { core: 5000, search: 30, graphql: 5000, anonymous: 60 };

  constructor(now: () => number) {
    this.#now = now;
  }

  #key(principal: Principal): { key: string; name: string } {
    if (principal.kind === "anonymous") return { key: "anonymous", name: "127.0.0.1" };
    if (principal.kind === "app") return { key: `app:${principal.app.id}`, name: `app ID ${principal.app.id}` };
    const { installation, user } = principal.token;
    return installation
      ? { key: `installation:${installation.id}`, name: `installation ID ${installation.id}` }
      : { key: `user:${user.id}`, name: `user ID ${user.id}` };
  }

  #window(principal: Principal, resource: Resource): Window {
    const key = `${this.#key(principal).key}:${resource}`;
    let window = this.#windows.get(key);
    if (!window || window.resetAt <= this.#now()) {
      window = { used: 0, resetAt: this.#now() + windowOf[resource] };
      this.#windows.set(key, window);
    }
    return window;
  }

  #limit(principal: Principal, resource: Resource): number {
    return principal.kind === "anonymous" && resource === "core" ? this.allowed.anonymous : this.allowed[resource];
  }

  /** Leaves a caller this many requests of its window. */
  leave(principal: Principal, resource: Resource, remaining: number): void {
    this.#window(principal, resource).used = Math.max(0, this.#limit(principal, resource) - remaining);
  }

  /** Counts one request; gives its headers, and the refusal once the window is used up. */
  count(principal: Principal, resource: Resource): { headers: Record<string, string>; refused: Refused | undefined } {
    const window = this.#window(principal, resource);
    const limit = this.#limit(principal, resource);
    const over = window.used >= limit;
    if (!over) window.used += 1;
    const headers = this.#headers(limit, window, resource);
    return {
      headers,
      refused: over
        ? new Refused(403, `API rate limit exceeded for ${this.#key(principal).name}.`, {}, headers)
        : undefined,
    };
  }

  #headers(limit: number, window: Window, resource: string): Record<string, string> {
    return {
      "x-ratelimit-limit": String(limit),
      "x-ratelimit-remaining": String(Math.max(0, limit - window.used)),
      "x-ratelimit-used": String(window.used),
      "x-ratelimit-reset": String(Math.ceil(window.resetAt / 1000)),
      "x-ratelimit-resource": resource,
    };
  }

  /** A 304 costs nothing: takes one request back and gives the headers that say so. */
  giveBack(principal: Principal, resource: Resource): Record<string, string> {
    const window = this.#window(principal, resource);
    window.used = Math.max(0, window.used - 1);
    return this.#headers(this.#limit(principal, resource), window, resource);
  }

  /** The body of `/rate_limit`. */
  overview(principal: Principal): Shape {
    const of = (resource: Resource) => {
      const window = this.#window(principal, resource);
      const limit = this.#limit(principal, resource);
      const remaining = Math.max(0, limit - window.used);
      return { limit, remaining, reset: Math.ceil(window.resetAt / 1000), used: window.used };
    };
    return { resources: { core: of("core"), search: of("search"), graphql: of("graphql") }, rate: of("core") };
  }
}
