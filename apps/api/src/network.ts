import { lookup } from "node:dns/promises";
import { getCACertificates } from "node:tls";
import { Fault } from "@x1agent/contract";
import ipaddr from "ipaddr.js";

/** An address that no sidecar ever dials, whatever an operator allows: ours. */
export type Forbidden = { address: string; port: number };

/** What sidecars are told of the machine's network. */
export type NetworkFacts = {
  /** `http://[user:password@]host:port`, through which egress goes out; its credential never enters a workspace. */
  upstreamProxy: string | undefined;
  /** PEM: the authorities that this machine trusts, when they are more than Node's own. */
  ca: string | undefined;
};

/** The operator's way out: `X1_UPSTREAM_PROXY`, else what the machine's other programs use. Only proxies spoken to over HTTP. */
export function upstreamProxyOf(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const text = env.X1_UPSTREAM_PROXY || env.HTTPS_PROXY || env.https_proxy;
  if (!text) return undefined;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "http:" || url.hostname === "")
    throw new Fault(
      "invalid_request",
      "The upstream proxy (X1_UPSTREAM_PROXY or HTTPS_PROXY) must be an address like http://proxy.example:3128.",
    );
  return url.href;
}

/** The machine's and `NODE_EXTRA_CA_CERTS`' authorities beside Node's own; undefined when there are no others. */
export function machineAuthorities(): string | undefined {
  const bundled = new Set(getCACertificates("bundled"));
  const all = new Set([...bundled, ...getCACertificates("default"), ...getCACertificates("system")]);
  return all.size > bundled.size ? [...all].join("\n") : undefined;
}

/** The service's own listeners: its API, and the database server where there is one. */
export async function ownListeners(url: string, databaseUrl: string | undefined): Promise<Forbidden[]> {
  const listeners = [endpoint(url, 80)];
  // A socket's folder, or an address that only the database library understands, is no TCP listener.
  if (databaseUrl && URL.canParse(databaseUrl)) listeners.push(endpoint(databaseUrl, 5432));
  const found = await Promise.all(
    listeners.map(async ({ host, port }) => {
      if (host === "") return [];
      const addresses = await lookup(host, { all: true }).catch(() => [{ address: host }]);
      return addresses.map(({ address }) => ({ address, port }));
    }),
  );
  return found.flat();
}

function endpoint(text: string, usual: number): { host: string; port: number } {
  const url = new URL(text);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port) || usual };
}

/** Whether an address is on the public internet, also when IPv6 carries an IPv4 one. Pure. */
export function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "unicast";
}
