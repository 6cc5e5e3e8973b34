import type { ClientRequest, IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { Fault, type GitPurpose, type SidecarBoot, type SidecarRepository } from "@x1agent/contract";
import { resolveAllowed } from "./address.ts";
import type { Credentials } from "./credentials.ts";
import { hostOf, portOf, Upstreams } from "./upstream.ts";

/** A remote that says nothing for so long is given up. */
export const SILENCE_MS = 120_000;

export type RemoteRequest = {
  /** Below `base`, with its query. Made by us, never a client's words. */
  path: string;
  method: string;
  headers: Record<string, string>;
  /** Header to send instead of one that is held. */
  authorization?: string | null;
};

/** Speaks to the repositories' own servers: at an address that was judged, with a credential that goes nowhere else. */
export class Remotes {
  readonly #boot: SidecarBoot;
  readonly #credentials: Credentials;
  readonly #upstreams: Upstreams;

  constructor(boot: SidecarBoot, credentials: Credentials) {
    this.#boot = boot;
    this.#credentials = credentials;
    this.#upstreams = new Upstreams(boot);
  }

  /** A request that its caller ends, after a body where there is one. Rejects with a Fault when it may not be made. */
  async request(
    repository: SidecarRepository,
    purpose: GitPurpose,
    base: string,
    asked: RemoteRequest,
  ): Promise<ClientRequest> {
    const url = new URL(`${base.replace(/\/$/, "")}/${asked.path}`);
    const [host, port] = [hostOf(url), portOf(url)];
    // The platform itself cloned from this address, so a private one was allowed by whoever made the project.
    const resolved =
      this.#boot.upstreamProxy && isIP(host) === 0
        ? { ok: true as const, address: host }
        : await resolveAllowed(host, port, [{ allowPrivate: true }], this.#boot.forbidden);
    if (!resolved.ok) throw new Fault(resolved.code, resolved.detail);
    const authorization =
      asked.authorization === undefined ? await this.#credentials.get(repository, purpose) : asked.authorization;
    const upstream = this.#upstreams.request(url, resolved.address, {
      method: asked.method,
      headers: { "user-agent": "git/x1agent", ...asked.headers, ...(authorization === null ? {} : { authorization }) },
    });
    upstream.setTimeout(SILENCE_MS, () => upstream.destroy(new Error("silence")));
    return upstream;
  }

  /**
   * The answer to a request, where it is one that may be handed on: otherwise a Fault. Its redirects are not followed, and a
   * challenge of its own would make a client ask for a password that nobody inside has.
   */
  judge(repository: SidecarRepository, purpose: GitPurpose, answer: IncomingMessage): void {
    const status = answer.statusCode ?? 502;
    const no = (code: "upstream_failed" | "not_granted", detail: string) => {
      answer.resume();
      return new Fault(code, detail);
    };
    if (status >= 300 && status < 400 && status !== 304)
      throw no("upstream_failed", "The remote redirected; redirects are not followed.");
    if (status === 401) {
      this.#credentials.forget(repository, purpose);
      throw no("not_granted", "The remote did not accept the stored credential.");
    }
  }
}

/** Waits for the answer; rejects when the connection breaks first. */
export function answerOf(upstream: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    upstream.once("response", resolve);
    // Stays: what breaks after the answer is told by the answer's own stream.
    upstream.on("error", reject);
    upstream.once("close", () => reject(new Error("closed")));
  });
}
