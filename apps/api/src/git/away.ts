/** Answers of a server that speak of the request and not of the server; those two of the 4xx that ask to come again are none. */
const said = /returned error: 4(?!08|29)\d\d|HTTP 4(?!08|29)\d\d/i;

/** Words of git, curl, ssh and their libraries where no server was reached, or it broke off. Names that nobody has count: so does a resolver's outage look. */
const gone = new RegExp(
  [
    "could ?n[o']t (resolve|connect)|failed to connect|name or service not known|temporary failure in name resolution",
    "connection (refused|reset|closed|aborted|timed out)|connect to host .* port|(operation|network|handshake) (is )?timed out",
    "no route to host|(network|host) is (unreachable|down)|operation too slow|empty reply|(recv|send) failure|broken pipe",
    "returned error: (5\\d\\d|408|429)|HTTP (5\\d\\d|408|429)|(tunnel failed, response|code) 5\\d\\d|proxy connect aborted",
    "early EOF|unexpected eof|SSL_ERROR_SYSCALL|non-properly terminated|hung up|unexpected disconnect|transfer closed|curl 18 ",
  ].join("|"),
  "i",
);

/**
 * git's words where the far end is away, as opposed to when it says no: the first line that says so, at most 300 characters.
 * Null for everything that waiting does not mend. Pure.
 */
export function awayWords(stderr: string): string | null {
  if (said.test(stderr)) return null;
  const line = stderr.split("\n").find((one) => gone.test(one));
  return line?.trim().slice(0, 300) ?? null;
}

/** Codes of a connection that could not be made or broke; what was refused by a rule of ours has none of them. */
const codes = /^(ECONN\w+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|UND_ERR_\w+)$/;

/** Whether a failed `fetch` found nobody, or no end in time. Pure. */
export function isAway(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; depth += 1, at = at.cause) {
    const { code } = at as { code?: unknown };
    if (at.name === "TimeoutError" || (typeof code === "string" && codes.test(code))) return true;
  }
  return false;
}

/** Whether a status says to come again later. Pure. */
export const isAwayStatus = (status: number): boolean => status >= 500 || status === 408 || status === 429;
