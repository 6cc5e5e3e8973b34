/** Reads an amount in dollars, such as `12.50` or `$12`, as cents. */
export function parseAmount(text: string): number {
  const match = /^\$?(\d+)(?:\.(\d{2}))?$/.exec(text.trim());
  if (!match) throw new SyntaxError(`not an amount: ${text}`);
  return Number(match[1]) * 100 + Number(match[2] ?? 0);
}
