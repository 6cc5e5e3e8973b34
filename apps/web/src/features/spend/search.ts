export const spendDays = [1, 7, 30, 90] as const;
export type SpendDays = (typeof spendDays)[number];

/** The report's time as it stands in the address, in days up to now. */
export function readSpendSearch(search: Record<string, unknown>): { days?: SpendDays } {
  const days = spendDays.find((count) => count === Number(search.days));
  return days === undefined ? {} : { days };
}
