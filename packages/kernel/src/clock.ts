/** Time as a value that tests replace. Durations of record come from the database's clock, not from here. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}
export const systemClock: Clock = { now: () => Date.now() };
