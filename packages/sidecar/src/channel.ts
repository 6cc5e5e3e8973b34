import { randomUUID } from "node:crypto";
import { request } from "node:http";
import {
  EnrolReply,
  Fault,
  GitCredentialReply,
  type GitCredentialRequest,
  LeaseReply,
  type LeaseRequest,
  Problem,
  type SettleRequest,
  SidecarPolicy,
  sidecarPaths,
  UseReply,
} from "@x1agent/contract";

/**
 * The sidecar's end of the control channel. It dials out and is never dialled. Stages: enrol once, hold the policy
 * stream, renew before the identity runs out. `policy()` is null while nothing current is known: then everything is
 * refused (fail closed).
 */
export class ControlClient {
  readonly #url: URL;
  readonly #failClosedMs: number;
  #identity = "";
  #expiresAt = 0;
  #policy: SidecarPolicy | null = null;
  #heardAt = 0;
  #closed = false;
  readonly #changed = new Set<(policy: SidecarPolicy) => void>();
  readonly #events: { id: string; ts: string; type: string; payload: Record<string, unknown> }[] = [];
  #sending: Promise<void> | null = null;

  constructor(options: { controlUrl: string; failClosedMs: number }) {
    this.#url = new URL(options.controlUrl);
    this.#failClosedMs = options.failClosedMs;
  }

  /** Enrols with the one-time token and waits for the first policy. */
  async enrol(token: string): Promise<void> {
    this.#take(EnrolReply.parse(await this.#post(sidecarPaths.enrol, { token }, false)));
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("The control plane sent no policy within 10 s.")), 10_000);
      this.onPolicy(() => {
        clearTimeout(timer);
        resolve();
      });
      void this.#follow();
    });
  }

  /** The live policy; null when the control plane has been silent for too long. */
  policy(): SidecarPolicy | null {
    return this.#policy && Date.now() - this.#heardAt <= this.#failClosedMs ? this.#policy : null;
  }

  onPolicy(listener: (policy: SidecarPolicy) => void): void {
    this.#changed.add(listener);
  }

  /** Takes a grant for one use; false when another was first, it is gone or the control plane cannot be asked. Never rejects. */
  async use(grantId: string): Promise<boolean> {
    try {
      return UseReply.parse(await this.#post(sidecarPaths.use, { grantId })).taken;
    } catch {
      return false;
    }
  }

  /** A repository's credential for one purpose. Rejects with a Fault whose sentence may be shown inside. */
  async gitCredential(ask: GitCredentialRequest): Promise<GitCredentialReply> {
    return GitCredentialReply.parse(await this.#post(sidecarPaths.git, ask));
  }

  async lease(ask: LeaseRequest): Promise<LeaseReply> {
    return LeaseReply.parse(await this.#post(sidecarPaths.lease, ask));
  }

  async settle(body: SettleRequest): Promise<void> {
    await this.#post(sidecarPaths.settle, body);
  }

  /** Queues an observed event; bounded, oldest go first when the control plane is away. */
  note(type: string, payload: Record<string, unknown>): void {
    this.#events.push({ id: randomUUID(), ts: new Date().toISOString(), type, payload });
    if (this.#events.length > 2_000) this.#events.splice(0, 1_000);
    this.#sending ??= this.#send();
  }

  async flush(): Promise<void> {
    await this.#sending;
  }

  close(): void {
    this.#closed = true;
  }

  async #send(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (let failures = 0; this.#events.length > 0 && failures < 5; ) {
      const group = this.#events.slice(0, 500);
      try {
        await this.#post(sidecarPaths.events, { events: group });
        this.#events.splice(0, group.length);
      } catch {
        failures += 1;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    this.#sending = null;
  }

  #take(reply: { identity: string; expiresAt: string }): void {
    this.#identity = reply.identity;
    this.#expiresAt = Date.parse(reply.expiresAt);
    const renewIn = Math.max(1_000, (this.#expiresAt - Date.now()) / 2);
    setTimeout(() => void this.#renew(), renewIn).unref();
  }

  async #renew(): Promise<void> {
    try {
      this.#take(EnrolReply.parse(await this.#post(sidecarPaths.renew, {})));
    } catch {
      if (!this.#closed) setTimeout(() => void this.#renew(), 1_000).unref();
    }
  }

  async #follow(): Promise<void> {
    while (!this.#closed) {
      await new Promise<void>((resolve) => {
        const call = request(
          new URL(sidecarPaths.policy, this.#url),
          { headers: { authorization: `Bearer ${this.#identity}` } },
          (response) => {
            if (response.statusCode !== 200) {
              response.resume();
              return resolve();
            }
            let rest = "";
            response.setEncoding("utf8");
            response.on("data", (chunk: string) => {
              this.#heardAt = Date.now();
              rest += chunk;
              for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
                const data = rest
                  .slice(0, end)
                  .split("\n")
                  .filter((line) => line.startsWith("data:"))
                  .map((line) => line.slice(5))
                  .join("\n");
                rest = rest.slice(end + 2);
                if (data) this.#apply(data);
              }
              if (rest.length > 4 * 1024 ** 2) response.destroy();
            });
            response.on("close", resolve);
          },
        );
        call.on("error", () => resolve());
        call.end();
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #apply(data: string): void {
    const parsed = SidecarPolicy.safeParse(JSON.parse(data));
    if (!parsed.success) return;
    this.#policy = parsed.data;
    for (const listener of this.#changed) listener(parsed.data);
  }

  #post(path: string, body: unknown, identified = true): Promise<unknown> {
    const text = JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const call = request(
        new URL(path, this.#url),
        {
          method: "POST",
          timeout: 15_000,
          headers: {
            "content-type": "application/json",
            "content-length": Buffer.byteLength(text),
            ...(identified ? { authorization: `Bearer ${this.#identity}` } : {}),
          },
        },
        (response) => {
          let answer = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            answer += chunk;
            if (answer.length > 1024 ** 2) response.destroy();
          });
          response.on("close", () => {
            if (response.statusCode !== 200) return reject(refusal(path, response.statusCode ?? 0, answer));
            try {
              resolve(JSON.parse(answer));
            } catch (cause) {
              reject(new Error(`The control plane's answer to ${path} is not JSON.`, { cause }));
            }
          });
        },
      );
      call.on("timeout", () => call.destroy(new Error(`The control plane did not answer ${path} in time.`)));
      call.on("error", reject);
      call.end(text);
    });
  }
}

/** What the control plane said no to, by its own code where it gave one. */
function refusal(path: string, status: number, text: string): Error {
  try {
    const { code, detail } = Problem.parse(JSON.parse(text));
    return new Fault(code, detail);
  } catch {
    return new Error(`The control plane answered ${status} to ${path}.`);
  }
}
