import { randomUUID } from "node:crypto";
import type { CallRecord, LeaseReply, LeaseRequest, SettleRequest } from "@x1agent/contract";

/**
 * Money of one workspace. The control plane books leases durably; calls reserve inside them in memory. Invariants:
 * nothing is forwarded without a reservation; a lease's reserved and settled money never exceeds its amount but by the
 * stated overshoot; what is in flight is told to the control plane, so that a lost sidecar is charged for it.
 */
type Lease = { id: string; amount: number; settled: number; reserved: number; expiresAt: number; usedAt: number };
/** Money held for one call, over one or more leases; the first one takes the charge. `ended` once it is settled or cancelled. */
export type Reservation = { parts: { lease: Lease; micros: number }[]; total: number; ended: boolean };
export type Refused = { refused: true; detail: string };

type Control = { lease(ask: LeaseRequest): Promise<LeaseReply>; settle(body: SettleRequest): Promise<void> };

/** A lease is asked for several calls ahead, so that renewal is rarely waited for. */
const AHEAD = 4;
/** Leases of others that may pass a waiting call by before it gives up. */
const MAX_TRIES = 64;
const IDLE_MS = 20_000;
const REPORT_MS = 1_000;
/** So long a settlement waits for the next call's announcement, to be told with it: an agent's calls follow each other. */
const SETTLE_MS = 20;

export class Ledger {
  readonly #control: Control;
  readonly #leases = new Map<string, Lease>();
  #asking: Promise<{ asked: number; reply: LeaseReply }> | null = null;
  /** Amounts for which somebody waits. */
  readonly #waiting: number[] = [];
  #calls: CallRecord[] = [];
  #release: string[] = [];
  #timer: NodeJS.Timeout;
  #settling: NodeJS.Timeout | null = null;
  #reporting: Promise<boolean> = Promise.resolve(true);
  #reported = "";
  #dirty = false;
  #behind = false;

  constructor(control: Control) {
    this.#control = control;
    this.#timer = setInterval(() => void this.#report(), REPORT_MS);
    this.#timer.unref();
  }

  /** Whether the last report could not be made: what is spent now could be told to nobody. */
  get behind(): boolean {
    return this.#behind;
  }

  /** Reserves, waiting for a lease when none fits. */
  async reserve(micros: number): Promise<Reservation | Refused> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const lease = this.#fitting(micros);
      if (lease) {
        lease.reserved += micros;
        lease.usedAt = Date.now();
        this.#dirty = true;
        return { parts: [{ lease, micros }], total: micros, ended: false };
      }
      // Those who wait share one request for all of them; each tries again with what it brought.
      this.#waiting.push(micros);
      this.#asking ??= this.#ask();
      const { asked, reply } = await this.#asking.finally(() => {
        this.#waiting.splice(this.#waiting.indexOf(micros), 1);
      });
      if (reply.outcome === "refused" && asked <= micros)
        return { refused: true, detail: `The budget of ${reply.scope} is used up.` };
    }
    return { refused: true, detail: "The budget has too little left for this call." };
  }

  /**
   * Resolves when the control plane has on record what is reserved now: a sidecar that is lost afterwards is charged for it.
   * False when that could not be told.
   */
  announce(): Promise<boolean> {
    return this.#report();
  }

  /** Adds to a reservation while its stream runs; false when nothing is left. A call that ends meanwhile holds nothing more. */
  async extend(reservation: Reservation, micros: number): Promise<boolean> {
    const first = reservation.parts[0];
    if (
      first &&
      first.lease.expiresAt > Date.now() &&
      first.lease.amount - first.lease.settled - first.lease.reserved >= micros
    ) {
      first.lease.reserved += micros;
      first.micros += micros;
    } else {
      const more = await this.reserve(micros);
      if ("refused" in more) return false;
      if (reservation.ended) {
        this.cancel(more);
        return true;
      }
      reservation.parts.push(...more.parts);
    }
    reservation.total += micros;
    this.#dirty = true;
    return true;
  }

  /** Gives back what was held for a call that did not begin. */
  cancel(reservation: Reservation): void {
    this.#end(reservation);
    this.#dirty = true;
  }

  #end(reservation: Reservation): void {
    for (const { lease, micros } of reservation.parts) lease.reserved -= micros;
    reservation.parts.length = 0;
    reservation.ended = true;
  }

  /** Ends a call: its reservation goes, its cost is charged to its first lease and told to the control plane. */
  settle(reservation: Reservation, call: Omit<CallRecord, "leaseId">): void {
    const [first] = reservation.parts;
    if (!first) throw new Error("A reservation without a lease.");
    this.#end(reservation);
    first.lease.settled += call.costMicros;
    this.#calls.push({ ...call, leaseId: first.lease.id });
    this.#dirty = true;
    this.#settling ??= setTimeout(() => void this.#report(), SETTLE_MS);
  }

  /** Gives back what is left; called when the workspace ends. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const lease of this.#leases.values()) if (lease.reserved === 0) this.#drop(lease);
    await this.#report();
  }

  #fitting(micros: number): Lease | undefined {
    const now = Date.now();
    return [...this.#leases.values()].find(
      (lease) => lease.expiresAt > now && lease.amount - lease.settled - lease.reserved >= micros,
    );
  }

  /** Asks for the least that somebody waits for, and for all of it if there is so much. */
  async #ask(): Promise<{ asked: number; reply: LeaseReply }> {
    try {
      // Rests that are too small may be just what is missing: they go back first, so that a refusal is final.
      await this.#giveBackIdle();
      const asked = Math.min(...this.#waiting);
      const all = this.#waiting.reduce((sum, micros) => sum + micros, 0);
      const reply = await this.#control.lease({
        ...{ requestId: randomUUID(), minMicros: asked, wantMicros: Math.max(all, asked * AHEAD) },
      });
      // A little before its end, so that clocks that differ do not matter.
      if (reply.outcome === "granted")
        this.#leases.set(reply.leaseId, {
          id: reply.leaseId,
          amount: reply.amountMicros,
          settled: 0,
          reserved: 0,
          expiresAt: Date.parse(reply.expiresAt) - 30_000,
          usedAt: Date.now(),
        });
      return { asked, reply };
    } finally {
      this.#asking = null;
    }
  }

  async #giveBackIdle(): Promise<void> {
    let any = false;
    for (const lease of this.#leases.values())
      if (lease.reserved === 0 && lease.amount > lease.settled) {
        this.#drop(lease);
        any = true;
      }
    if (any) await this.#report();
  }

  #drop(lease: Lease): void {
    this.#leases.delete(lease.id);
    this.#release.push(lease.id);
    this.#dirty = true;
  }

  /** Tells what is settled, released and in flight; false when the control plane could not be told. Never rejects. */
  #report(): Promise<boolean> {
    clearTimeout(this.#settling ?? undefined);
    this.#settling = null;
    const now = Date.now();
    for (const lease of this.#leases.values())
      if (lease.reserved === 0 && (now - lease.usedAt > IDLE_MS || lease.expiresAt <= now)) this.#drop(lease);
    this.#reporting = this.#reporting.then(async () => {
      const inFlight = [...this.#leases.values()].map(({ id, reserved }) => ({
        leaseId: id,
        reservedMicros: reserved,
      }));
      const shape = JSON.stringify(inFlight);
      if (!this.#dirty && shape === this.#reported) return true;
      this.#dirty = false;
      const calls = this.#calls.splice(0, 1_000);
      const release = this.#release.splice(0, 1_000);
      try {
        await this.#control.settle({ calls, inFlight, release });
        this.#reported = shape;
        this.#behind = false;
        return true;
      } catch {
        // Kept for the next report; settlements are idempotent by their call's id.
        this.#calls.unshift(...calls);
        this.#release.unshift(...release);
        this.#dirty = true;
        this.#behind = true;
        return false;
      }
    });
    return this.#reporting;
  }
}
