import { EnvHttpProxyAgent, fetch as send } from "undici";
import type { NetworkFacts } from "./network.ts";

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
  return ((input: never, init: object = {}) => send(input, { ...init, dispatcher })) as unknown as typeof fetch;
}
