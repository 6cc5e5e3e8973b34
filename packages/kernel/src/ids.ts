import { randomBytes } from "node:crypto";

/** Crockford's base 32 without look-alikes, in lower case. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const RANDOM_BITS = 55n;

let lastTime = 0;
let lastRandom = 0n;

function encode(value: bigint, length: number): string {
  let text = "";
  for (let rest = value, i = 0; i < length; i += 1, rest >>= 5n) text = alphabet[Number(rest & 31n)] + text;
  return text;
}

/**
 * A short id that sorts by time: `job_` + 9 characters of milliseconds + 11 of randomness (55 bits). Lower case and
 * digits only, so that it is also a branch, file and socket name. Ids of one process sort in the order they were made,
 * also within a millisecond: lists are ordered by id.
 */
export function newId(prefix: string, now = Date.now()): string {
  const random = randomBytes(8).readBigUInt64BE();
  if (now > lastTime) {
    lastTime = now;
    // The top bit is left free, so that a millisecond's ids can count up without running over.
    lastRandom = random & ((1n << (RANDOM_BITS - 1n)) - 1n);
  } else lastRandom += 1n + (random & 0xffffffn);
  return `${prefix}_${encode(BigInt(lastTime), 9)}${encode(lastRandom, 11)}`;
}
