import { randomBytes } from "node:crypto";

/** Crockford's base 32 without look-alikes, in lower case. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

function encode(value: bigint, length: number): string {
  let text = "";
  for (let rest = value, i = 0; i < length; i += 1, rest >>= 5n) text = alphabet[Number(rest & 31n)] + text;
  return text;
}

/**
 * A short id that sorts by time: `job_` + 9 characters of milliseconds + 11 of randomness (55 bits). Lower case and
 * digits only, so that it is also a branch, file and socket name.
 */
export function newId(prefix: string, now = Date.now()): string {
  const random = randomBytes(8).readBigUInt64BE() & ((1n << 55n) - 1n);
  return `${prefix}_${encode(BigInt(now), 9)}${encode(random, 11)}`;
}
