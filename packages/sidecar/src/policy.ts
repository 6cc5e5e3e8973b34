import { EventEmitter } from "node:events";
import { type EgressRule, type GrantType, matchesPattern, type PhaseName, type SidecarPolicy } from "@x1agent/contract";

type LiveGrant = SidecarPolicy["grants"][number];

/**
 * The policy as it is now. States: none yet -> live -> stale (nothing heard for `failClosedMs`) -> live again, and
 * finally stopped. Only a live policy permits anything.
 *
 * Emits `change` after each new document and when it goes stale, `stopped` once.
 */
export class LivePolicy extends EventEmitter<{ change: []; stopped: [] }> {
  readonly #failClosedMs: number;
  readonly #now: () => number;
  readonly #consumed = new Set<string>();
  #policy: SidecarPolicy | null = null;
  #heardAt = Number.NEGATIVE_INFINITY;
  #stale: NodeJS.Timeout | undefined;

  constructor(failClosedMs: number, now: () => number = () => performance.now()) {
    super();
    this.setMaxListeners(0);
    this.#failClosedMs = failClosedMs;
    this.#now = now;
  }

  /** Takes a new document; an older one than the present is a late one and is dropped. */
  take(policy: SidecarPolicy): void {
    if (this.#policy?.stopped || (this.#policy && policy.version < this.#policy.version)) return;
    this.#policy = policy;
    this.heard();
    this.emit("change");
    if (policy.stopped) this.emit("stopped");
  }

  heard(): void {
    this.#heardAt = this.#now();
    clearTimeout(this.#stale);
    this.#stale = setTimeout(() => this.emit("change"), this.#failClosedMs + 10);
    this.#stale.unref();
  }

  /** Heard of recently enough and not stopped. */
  get live(): boolean {
    return this.#policy !== null && !this.#policy.stopped && this.#now() - this.#heardAt <= this.#failClosedMs;
  }

  get phase(): PhaseName | null {
    return this.#policy?.phase ?? null;
  }

  get stopped(): boolean {
    return this.#policy?.stopped ?? false;
  }

  /** The first grant of a type whose pattern fits one of the names. One of scope `once` fits until it is consumed. */
  grant(type: GrantType, names: readonly string[]): LiveGrant | null {
    if (!this.live) return null;
    return (
      this.#policy?.grants.find(
        (grant) =>
          grant.type === type &&
          !(grant.once && this.#consumed.has(grant.id)) &&
          names.some((name) => matchesPattern(grant.details.pattern, name)),
      ) ?? null
    );
  }

  /** Whether a grant is still there: a call in flight ends when it is not. */
  holds(grantId: string): boolean {
    // A policy that only went silent revokes nothing: what it covered goes on, within what is already reserved.
    return !this.stopped && (this.#policy?.grants.some(({ id }) => id === grantId) ?? false);
  }

  /** Uses up a grant of scope `once`; others stay. */
  consume(grant: LiveGrant): void {
    if (grant.once) this.#consumed.add(grant.id);
  }

  /** Rules that let the present phase reach a host and port. */
  egress(host: string, port: number): EgressRule[] {
    const policy = this.#policy;
    if (!policy || !this.live) return [];
    return policy.egress.filter(
      (rule) =>
        rule.phases.includes(policy.phase) &&
        rule.ports.includes(port) &&
        matchesPattern(rule.host.toLowerCase(), host),
    );
  }

  close(): void {
    clearTimeout(this.#stale);
    this.removeAllListeners();
  }
}
