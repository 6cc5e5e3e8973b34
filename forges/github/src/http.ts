/** How long one request may take in all, in milliseconds. */
const REQUEST_MS = 20_000;
/** Longest answer that is read, in bytes. */
export const MAX_ANSWER = 8 * 1024 * 1024;
const MAX_REDIRECTS = 3;
/** Logs of a job lie on another host; the forge answers with a short-lived address that carries its own right. */
const logPath = /\/actions\/jobs\/\d+\/logs$/;

/** The answer is longer than anything that is asked for here. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
}

/**
 * A `fetch` for one forge: bounded in time and size. A redirect is followed by hand, and within the forge's own origin only;
 * the log of a job may lie elsewhere and is then fetched without any of our headers. `maxBytes` cuts a log, and refuses
 * any other answer.
 */
export function boundedFetch(send: typeof fetch, apiUrl: string): typeof fetch {
  const own = new URL(apiUrl).origin;
  return async (input, init = {}) => {
    let url = new URL(input instanceof Request ? input.url : input);
    const timeout = AbortSignal.timeout(REQUEST_MS);
    let request: RequestInit = {
      ...init,
      redirect: "manual",
      signal: init.signal ? AbortSignal.any([init.signal, timeout]) : timeout,
    };
    if (url.origin !== own) throw new Error("A request to another host than the forge's was not sent.");
    for (let hop = 0; ; hop += 1) {
      const response = await send(url, request);
      const location = response.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(response.status) || !location) return readWhole(response, url);
      response.body?.cancel().catch(() => {});
      const next = new URL(location, url);
      const method = (request.method ?? "GET").toUpperCase();
      if (hop >= MAX_REDIRECTS) throw new Error("The forge redirects in a circle.");
      if (next.origin === own) {
        if (method !== "GET" && response.status !== 307 && response.status !== 308)
          throw new Error("The forge redirects a request that changes something.");
      } else if (method === "GET" && logPath.test(url.pathname) && next.protocol === url.protocol) {
        // The address is all the right that is needed: no header of ours goes to another host.
        request = { redirect: "manual", signal: request.signal ?? null };
      } else throw new Error("The forge redirects to another host.");
      url = next;
    }
  };
}

async function readWhole(response: Response, url: URL): Promise<Response> {
  if (!response.body || [204, 205, 304].includes(response.status))
    return new Response(null, { status: response.status, headers: response.headers });
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > MAX_ANSWER) {
      // Not awaited: an answer that never ends never ends its cancel either.
      reader.cancel().catch(() => {});
      throw new TooLarge(`The answer to ${url.pathname} has more than ${MAX_ANSWER} bytes.`);
    }
    chunks.push(value);
  }
  const headers = new Headers(response.headers);
  // The body is whole and unpacked by now.
  headers.delete("content-encoding");
  headers.delete("content-length");
  return new Response(Buffer.concat(chunks), { status: response.status, headers });
}
