/**
 * Ends the process when the time (milliseconds) is over, and says what held it until then. With `code`, else with what
 * `process.exitCode` says by then.
 */
export function endWithin(ms: number, code?: number): NodeJS.Timeout {
  return setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(", ");
    process.stderr.write(`The service had not ended after ${ms / 1_000} s and is cut off; still open: ${open}.\n`);
    // An argument that is undefined would be taken for zero.
    process.exit(code ?? process.exitCode);
  }, ms);
}
