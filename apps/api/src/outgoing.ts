import { lookup } from "node:dns";
import { Agent, type Dispatcher, EnvHttpProxyAgent, fetch as send } from "undici";
import { isPublic, type NetworkFacts } from "./network.ts";

/**
 * A `fetch` that goes out as the operator wants: through the proxy, and trusting the authorities that this machine trusts.
 * Addresses of this machine and what `NO_PROXY` names are reached directly.
 */
export function outgoingFetch(network: NetworkFacts, env: Readonly<Record<string, string | undefined>>): typeof fetch {
  const { upstreamProxy, ca } = network;
  const noProxy = ["localhost", "127.0.0.1", "::1", env.NO_PROXY ?? env.no_proxy ?? ""].filter(Boolean).join(",");
  const dispatcher = new EnvHttpProxyAgent({
    // An empty address is none, whatever the environment says: the operator's own option decides.
    httpProxy: upstreamProxy ?? "",
    httpsProxy: upstreamProxy ?? "",
    noProxy,
    ...(ca ? { connect: { ca }, requestTls: { ca } } : {}),
  });
  return fetchBy(dispatcher);
}

/**
 * A `fetch` for addresses that a stranger named: a name that leads to this machine or into a private network is not dialled,
 * whatever it answers the second time. Behind an operator's proxy that proxy resolves names, and decides: names that others
 * go around it with (`NO_PROXY`) are the inside's, and no stranger's to use.
 */
export function publicFetch(network: NetworkFacts): typeof fetch {
  if (network.upstreamProxy) return outgoingFetch(network, {});
  const dispatcher = new Agent({
    connect: {
      ...(network.ca ? { ca: network.ca } : {}),
      lookup(hostname, options, done) {
        lookup(hostname, { ...options, all: true }, (error, found) => {
          const addresses = error ? [] : found.filter(({ address }) => isPublic(address));
          const [first] = addresses;
          if (error) done(error, "", 4);
          else if (!first) done(new Error(`${hostname} has no public address.`), "", 4);
          else if (options.all) (done as (error: null, found: typeof addresses) => void)(null, addresses);
          else done(null, first.address, first.family);
        });
      },
    },
  });
  return fetchBy(dispatcher);
}

/** undici's own types of requests are not the platform's, though what they say is. */
const fetchBy = (dispatcher: Dispatcher): typeof fetch =>
  ((input: never, init: object = {}) => send(input, { ...init, dispatcher })) as unknown as typeof fetch;
