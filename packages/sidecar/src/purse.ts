import { randomUUID } from "node:crypto";
import {
  accept,
  type CallRecord,
  type LeaseReply,
  type LeaseRequest,
  type Outcome,
  refuse,
  type SettleRequest,
} from "@x1agent/contract";

/**
 * The money that this sidecar may spend. The control plane books blocks of the budget durably (leases); calls reserve
 * inside them in memory and settle against them.
 *
 *   reserve -> announce (the reservation is durable) -> extend, as output comes -> settle (once, by call id)
 *
 * - No answer's byte reaches the agent before its reservation is announced: a sidecar that is lost is charged for it.
 * - A lease past its end is not used again; what is in flight on it is still settled.
 * - A settlement that cannot be delivered is kept and sent again under the same call id.
 */
export type PurseChannel = {
  lease(request: LeaseRequest): Promise<LeaseReply>;
  settle(request: SettleRequest): Promise<void>;
};
type Lease = {
  readonly id: string;
  readonly amount: number;
  /** On the monotonic clock: a machine's wall clock may jump. */
  readonly endsAt: number;
  spent: number;
  reserved: number;
  /** The sum in flight that the control plane knows of. */
  announced: number;
  released: boolean;
};
type Part = { lease: Lease; micros: number };
type Waiter = { micros: number; take: (lease: Lease) => void; refuse: (refusal: Outcome<never>) => void };

/** Smallest block that is asked for: some dozens of ordinary calls. */
const BLOCK = 250_000;
/** A block is this many times the reservation that needs it. */
const CALLS_PER_BLOCK = 4;
/** Below this part of a block, the next one is fetched ahead. */
const AHEAD = 0.4;
/** A lease is given up this long before its end, so that clocks that disagree do no harm. */
const END_MARGIN_MS = 30_000;
const TICK_MS = 1_000;
const RETRY_MS = 250;
const MAX_CALLS = 500;
/** Finished calls that could not be delivered yet; beyond it nothing more is spent. */
const MAX_OWED = 5_000;
const ANNOUNCE_MS = 5_000;

export class Purse {
  readonly #channel: PurseChannel;
  readonly #leases: Lease[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #ticker: NodeJS.Timeout;
  #owed: CallRecord[] = [];
  #fetching = false;
  /** The last block was cut: little is left, so nothing is taken ahead of need. */
  #scarce = false;
  #flushing: Promise<boolean> | null = null;
  #next: Promise<boolean> | null = null;
  #closed = false;

  constructor(channel: PurseChannel) {
    this.#channel = channel;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#ticker.unref();
  }

  /** Puts an amount aside for a call, fetching a lease when none has room. */
  async reserve(micros: number): Promise<Outcome<Reservation>> {
    if (this.#closed) return refuse("control_unreachable", "This workspace is being closed.");
    if (this.#owed.length >= MAX_OWED)
      return refuse(
        "control_unreachable",
        "Finished calls could not be settled; nothing more is spent until they are.",
      );
    const found = await this.#find(Math.max(1, micros));
    if (!found.ok) return found;
    return accept(new Reservation(this, found.value, Math.max(1, micros)));
  }

  /** Takes an amount out of a lease, at once when one has room. The lease's `reserved` includes it on return. */
  async #find(micros: number): Promise<Outcome<Lease>> {
    const lease = this.takeNow(micros);
    if (lease) return accept(lease);
    return new Promise((resolve) => {
      this.#waiters.push({ micros, take: (found) => resolve(accept(found)), refuse: resolve });
      void this.#fetch();
    });
  }

  takeNow(micros: number): Lease | null {
    const lease = this.#usable().find((candidate) => free(candidate) >= micros);
    if (!lease) return null;
    lease.reserved += micros;
    this.#fetchAhead();
    return lease;
  }

  takeOrFetch(micros: number): Promise<Outcome<Lease>> {
    return this.#closed ? Promise.resolve(refuse("control_unreachable")) : this.#find(micros);
  }

  #usable(): Lease[] {
    const now = performance.now();
    return this.#leases.filter((lease) => !lease.released && lease.endsAt > now);
  }

  #fetchAhead(): void {
    if (this.#scarce || this.#fetching || this.#closed) return;
    const usable = this.#usable();
    const left = usable.reduce((sum, lease) => sum + Math.max(0, free(lease)), 0);
    const block = usable.at(-1)?.amount ?? 0;
    if (left < block * AHEAD) void this.#fetch(block);
  }

  /** One request serves all that wait; those whom it does not serve cause the next. */
  async #fetch(ahead?: number): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      let once = ahead;
      while (this.#waiters.length > 0 || once !== undefined) {
        if (once === undefined) this.#serve();
        const first = this.#waiters[0];
        if (!first && once === undefined) break;
        const wanted = this.#waiters.reduce((sum, waiter) => sum + waiter.micros, 0);
        const reply = await this.#request({
          wantMicros: Math.max(BLOCK, wanted, (first?.micros ?? 0) * CALLS_PER_BLOCK, once ?? 0),
          minMicros: first?.micros ?? 1,
        });
        once = undefined;
        if (!reply.ok) this.#waiters.shift()?.refuse(reply);
        this.#serve();
      }
    } finally {
      this.#fetching = false;
    }
  }

  async #request(wish: { wantMicros: number; minMicros: number }): Promise<Outcome<void>> {
    const requestId = randomUUID();
    let reply: LeaseReply;
    try {
      reply = await this.#ask({ requestId, ...wish });
      if (reply.outcome === "refused" && (await this.#giveBackIdle()))
        // Crumbs in old leases may together be what is missing.
        reply = await this.#ask({ requestId: randomUUID(), ...wish });
    } catch {
      return refuse("control_unreachable", "No budget could be fetched from the control plane.");
    }
    if (reply.outcome === "refused") {
      this.#scarce = true;
      return refuse(
        "budget_exceeded",
        `The budget of ${reply.scope} is used up: ${reply.spentMicros} of ${reply.limitMicros} micro-dollars are spent, and the rest is less than this call may cost.`,
      );
    }
    this.#scarce = reply.amountMicros < wish.wantMicros;
    this.#leases.push({
      ...{ id: reply.leaseId, amount: reply.amountMicros, spent: 0, reserved: 0, announced: 0, released: false },
      endsAt: performance.now() + Date.parse(reply.expiresAt) - Date.now() - END_MARGIN_MS,
    });
    return accept(undefined);
  }

  /** A request whose answer was lost is asked again under its id: the control plane books it once. */
  async #ask(request: LeaseRequest): Promise<LeaseReply> {
    try {
      return await this.#channel.lease(request);
    } catch {
      return this.#channel.lease(request);
    }
  }

  async #giveBackIdle(): Promise<boolean> {
    const idle = this.#usable().filter((lease) => lease.reserved === 0 && free(lease) > 0);
    for (const lease of idle) lease.released = true;
    return idle.length > 0 && this.flush();
  }

  #serve(): void {
    for (let at = 0; at < this.#waiters.length; ) {
      const waiter = this.#waiters[at]!;
      const lease = this.#usable().find((candidate) => free(candidate) >= waiter.micros);
      if (lease) {
        lease.reserved += waiter.micros;
        this.#waiters.splice(at, 1);
        waiter.take(lease);
      } else at += 1;
    }
  }

  /** Resolves to true once what the parts hold is known to the control plane. */
  async announce(parts: readonly Part[]): Promise<boolean> {
    const behind = () => parts.some(({ lease }) => lease.announced < lease.reserved);
    const until = performance.now() + ANNOUNCE_MS;
    while (behind()) {
      if (performance.now() > until) return false;
      if (!(await this.flush())) await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
    }
    return true;
  }

  settle(call: Omit<CallRecord, "leaseId">, parts: readonly Part[]): void {
    for (const { lease, micros } of parts) lease.reserved -= micros;
    const main = parts[0]!.lease;
    main.spent += call.costMicros;
    // What a call spent beyond its first lease is used up in the next ones here; the control plane charges the first,
    // and gets the others back whole. Until then it holds more in reserve than is needed, never less.
    let beyond = Math.max(0, main.spent - main.amount);
    for (const { lease } of parts.slice(1)) {
      const taken = Math.min(beyond, Math.max(0, free(lease)));
      lease.spent += taken;
      beyond -= taken;
    }
    this.#owed.push({ ...call, leaseId: main.id });
    this.#releaseUsed();
    void this.flush();
  }

  #releaseUsed(): void {
    const now = performance.now();
    for (const lease of this.#leases)
      if (lease.reserved === 0 && (free(lease) <= 0 || lease.endsAt <= now)) lease.released = true;
  }

  #tick(): void {
    this.#releaseUsed();
    const busy = this.#leases.some((lease) => lease.reserved > 0 || lease.released || lease.announced > 0);
    if (busy || this.#owed.length > 0) void this.flush();
  }

  /** Tells the control plane all that changed until now. Calls during a flush share the next one. */
  flush(): Promise<boolean> {
    if (!this.#flushing) {
      this.#flushing = this.#deliver().finally(() => {
        this.#flushing = null;
      });
      return this.#flushing;
    }
    this.#next ??= this.#flushing.then(() => {
      this.#next = null;
      return this.flush();
    });
    return this.#next;
  }

  async #deliver(): Promise<boolean> {
    // A tick's worth of calls goes in one request.
    await Promise.resolve();
    const calls = this.#owed.slice(0, MAX_CALLS);
    const late = this.#owed.length > calls.length;
    const released = this.#leases.filter((lease) => lease.released).slice(0, MAX_CALLS);
    const told = this.#leases
      .filter((lease) => !lease.released && (lease.reserved > 0 || lease.announced > 0))
      .map((lease) => ({ lease, micros: lease.reserved }));
    if (calls.length + released.length + told.length === 0) return true;
    // While a smaller sum is on its way, only that much counts as known.
    for (const { lease, micros } of told) lease.announced = Math.min(lease.announced, micros);
    try {
      await this.#channel.settle({
        calls,
        inFlight: told.map(({ lease, micros }) => ({ leaseId: lease.id, reservedMicros: micros })),
        release: late ? [] : released.map(({ id }) => id),
      });
    } catch {
      return false;
    }
    for (const { lease, micros } of told) lease.announced = micros;
    this.#owed = this.#owed.slice(calls.length);
    if (!late) for (const lease of released) this.#leases.splice(this.#leases.indexOf(lease), 1);
    return late ? this.#deliver() : true;
  }

  /** Gives all leases back after the last call has settled. Bounded by `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ticker);
    for (const waiter of this.#waiters.splice(0))
      waiter.refuse(refuse("control_unreachable", "This workspace is being closed."));
    for (const lease of this.#leases) if (lease.reserved === 0) lease.released = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(true), timeoutMs);
    });
    await Promise.race([late, this.flush()]);
    clearTimeout(timer);
  }
}

const free = (lease: Lease) => lease.amount - lease.spent - lease.reserved;

/** What one call has put aside. Settled exactly once. */
export class Reservation {
  readonly #purse: Purse;
  readonly #parts: Part[];
  #settled = false;

  constructor(purse: Purse, lease: Lease, micros: number) {
    this.#purse = purse;
    this.#parts = [{ lease, micros }];
  }

  /** Sum put aside. */
  get micros(): number {
    return this.#parts.reduce((sum, part) => sum + part.micros, 0);
  }

  /** Resolves to true when the control plane knows of it, false when it could not be told. */
  announced(): Promise<boolean> {
    return this.#purse.announce(this.#parts);
  }

  /** Puts more aside. A refusal leaves what was there. */
  async extend(micros: number): Promise<Outcome<void>> {
    const found = await this.#purse.takeOrFetch(micros);
    if (!found.ok) return found;
    if (this.#settled) {
      found.value.reserved -= micros;
      return accept(undefined);
    }
    const part = this.#parts.find(({ lease }) => lease === found.value);
    if (part) part.micros += micros;
    else this.#parts.push({ lease: found.value, micros });
    return accept(undefined);
  }

  /** Gives back what is above `micros`, since more became known. */
  shrinkTo(micros: number): void {
    let surplus = this.micros - Math.max(1, micros);
    for (const part of this.#parts.toReversed()) {
      const back = Math.min(surplus, part.micros);
      if (back <= 0) break;
      part.micros -= back;
      part.lease.reserved -= back;
      surplus -= back;
    }
  }

  settle(call: Omit<CallRecord, "leaseId">): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#purse.settle(call, this.#parts);
  }
}
