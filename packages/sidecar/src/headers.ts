/** Headers of one connection, never of the message; RFC 9110 section 7.6.1. */
const hopByHop = new Set([
  ...["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"],
  ...["te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "expect"],
]);

/** Headers as pairs, in their order and spelling, without those of the connection and those that `drop` names. */
export function endToEnd(raw: readonly string[], drop: (name: string) => boolean): string[] {
  let named: Set<string> | null = null;
  for (let at = 0; at < raw.length; at += 2)
    if (raw[at]!.toLowerCase() === "connection") {
      named ??= new Set();
      for (const name of raw[at + 1]!.toLowerCase().split(",")) named.add(name.trim());
    }
  const kept: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (!hopByHop.has(name) && !named?.has(name) && !drop(name)) kept.push(raw[at]!, raw[at + 1]!);
  }
  return kept;
}
