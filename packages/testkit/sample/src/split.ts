/** Splits an amount in cents among a number of people. */
export function splitAmount(cents: number, people: number): number[] {
  if (!Number.isInteger(people) || people < 1) throw new RangeError("people must be a whole number of at least 1");
  const share = Math.floor(cents / people);
  return Array.from({ length: people }, () => share);
}
