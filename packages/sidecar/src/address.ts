import { lookup } from "node:dns/promises";
import type { ErrorCode } from "@x1agent/contract";
import ipaddr from "ipaddr.js";

/** A host as it is compared and connected: lower case, ASCII, without a trailing dot. Null when it is none. */
export function normalizeHost(text: string): string | null {
  if (text.length === 0 || text.length > 253 || /[\s\0%/@\\?#]/.test(text)) return null;
  try {
    // The URL parser does IDNA and folds every numeric notation of IPv4 (hex, octal, one number) to dotted decimal.
    const { hostname } = new URL(`http://${text.includes(":") && !text.startsWith("[") ? `[${text}]` : text}/`);
    return hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "") || null;
  } catch {
    return null;
  }
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The IPv4 address that an IPv6 one carries (mapped, compatible, 6to4, NAT64), or itself. */
function inner(address: Address): Address {
  if (address.kind() === "ipv4") return address;
  const v6 = address as ipaddr.IPv6;
  if (v6.isIPv4MappedAddress()) return v6.toIPv4Address();
  const bytes = v6.toByteArray();
  const v4 = (at: number) => new ipaddr.IPv4(bytes.slice(at, at + 4));
  if (bytes[0] === 0x20 && bytes[1] === 0x02) return v4(2);
  if (v6.match(ipaddr.parseCIDR("64:ff9b::/96") as [ipaddr.IPv6, number])) return v4(12);
  // `::` and `::1` have ranges of their own.
  if (bytes.slice(0, 12).every((byte) => byte === 0) && v6.range() === "unicast") return v4(12);
  return v6;
}

/** Whether an address is on the public internet: everything private, local, shared, reserved or special is not. Pure. */
export function isGlobal(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = inner(ipaddr.parse(text));
  return address.range() === "unicast";
}

export function inRange(text: string, cidr: string): boolean {
  try {
    const address = ipaddr.process(text);
    const [network, bits] = ipaddr.parseCIDR(cidr.includes("/") ? cidr : `${cidr}/${cidr.includes(":") ? 128 : 32}`);
    return address.kind() === network.kind() && address.match(network as never, bits);
  } catch {
    return false;
  }
}

/** Whether who dials `address` may come out at a listener on `own`: every loopback address leads to this machine. Pure. */
function reaches(address: string, own: string): boolean {
  const [to, listener] = [inner(ipaddr.parse(address)), inner(ipaddr.parse(own))];
  const here = (at: Address) => at.range() === "loopback" || at.range() === "unspecified";
  return (here(to) && here(listener)) || to.toString() === listener.toString();
}

/** Which addresses a rule lets be dialled: the public ones, or those of the range that an operator named. */
export type AddressRule = { address?: string | undefined; allowPrivate?: boolean };

/** Pure. */
export const permits = (rule: AddressRule, address: string): boolean =>
  rule.allowPrivate || (rule.address ? inRange(address, rule.address) : isGlobal(address));

export type Resolved = { ok: true; address: string; family: number } | { ok: false; code: ErrorCode; detail: string };
type Forbidden = readonly { address: string; port?: number | undefined }[];
export type Lookup = (host: string) => Promise<{ address: string; family: number }[]>;
const systemLookup: Lookup = (host) => lookup(host, { all: true, verbatim: true });

/**
 * Resolves a name once and picks an address that one of the rules lets be dialled. The caller connects to exactly that address, so that a
 * name that answers differently the second time gains nothing.
 */
export async function resolveAllowed(
  host: string,
  port: number,
  rules: readonly AddressRule[],
  forbidden: Forbidden,
  look: Lookup = systemLookup,
): Promise<Resolved> {
  let addresses: { address: string; family: number }[];
  try {
    addresses = ipaddr.isValid(host)
      ? [{ address: host, family: ipaddr.parse(host).kind() === "ipv4" ? 4 : 6 }]
      : await look(host);
  } catch (error) {
    return {
      ok: false,
      code: "upstream_failed",
      detail: `${host} cannot be resolved (${(error as NodeJS.ErrnoException).code ?? "error"}).`,
    };
  }
  for (const { address, family } of addresses) {
    if (forbidden.some((own) => (own.port === undefined || own.port === port) && reaches(address, own.address)))
      continue;
    if (rules.some((rule) => permits(rule, address))) return { ok: true, address, family };
  }
  return {
    ok: false,
    code: "address_refused",
    detail: `${host} resolves to ${
      addresses
        .map(({ address }) => address)
        .slice(0, 4)
        .join(", ") || "nothing"
    }, which is private, reserved or our own.`,
  };
}
