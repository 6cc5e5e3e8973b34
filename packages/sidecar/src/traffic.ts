import type { ErrorCode, PhaseName, SidecarBoot, SidecarPolicy } from "@x1agent/contract";

/** The same refusal is told once in this time, so that a retry loop does not fill the record. */
const REPEAT_MS = 10_000;

/**
 * What leaves and enters a workspace in one phase, by tunnels and registries together: bytes against the phase's limit,
 * open connections against theirs, refusals for the record. A change of phase ends every connection and begins at zero.
 */
export class Traffic {
  /** Whatever is open now. */
  readonly open = new Set<{ end(): void }>();
  readonly #limits: SidecarBoot["limits"];
  readonly #note: (type: string, payload: Record<string, unknown>) => void;
  readonly #told = new Map<string, number>();
  #phase: PhaseName;
  #bytes = 0;
  #limitTold = false;

  constructor(deps: {
    boot: Pick<SidecarBoot, "phase" | "limits">;
    onPolicy(listener: (policy: SidecarPolicy) => void): void;
    note(type: string, payload: Record<string, unknown>): void;
  }) {
    this.#limits = deps.boot.limits;
    this.#note = deps.note;
    this.#phase = deps.boot.phase;
    deps.onPolicy(({ phase }) => {
      if (phase === this.#phase) return;
      // First, so that what they still tell is told of the phase they belong to.
      this.#endAll();
      this.#phase = phase;
      this.#bytes = 0;
      this.#limitTold = false;
    });
  }

  get phase(): PhaseName {
    return this.#phase;
  }

  /** Why nothing more may be opened now, or null. */
  full(): { code: ErrorCode; detail: string } | null {
    if (this.#bytes > this.#limits.egressBytes)
      return { code: "quota_exceeded", detail: `The phase's limit of ${this.#limits.egressBytes} bytes is used up.` };
    if (this.open.size >= this.#limits.maxTunnels)
      return { code: "rate_limited", detail: "Too many connections at once." };
    return null;
  }

  /** Counts bytes that moved, in either direction; false when the limit is passed and all that was open has been ended. */
  count(moved: number): boolean {
    this.#bytes += moved;
    if (this.#bytes <= this.#limits.egressBytes) return true;
    if (!this.#limitTold)
      this.#note("limit.hit", {
        limit: "egress_bytes",
        detail: `The phase ${this.#phase} has used up its bytes.`,
        value: this.#bytes,
        max: this.#limits.egressBytes,
      });
    this.#limitTold = true;
    this.#endAll();
    return false;
  }

  /** Records a destination that was refused. */
  blocked(host: string, port: number, code: ErrorCode, detail?: string): void {
    const key = `${host}:${port} ${code}`;
    const now = Date.now();
    if ((this.#told.get(key) ?? 0) + REPEAT_MS > now) return;
    if (this.#told.size > 1_000) this.#told.clear();
    this.#told.set(key, now);
    this.#note("egress.blocked", {
      host: host.slice(0, 253),
      port,
      phase: this.#phase,
      code,
      ...(detail ? { detail: detail.slice(0, 500) } : {}),
    });
  }

  #endAll(): void {
    for (const connection of [...this.open]) connection.end();
  }
}
