/** Parses `cat-file --batch` output. */
export function parseBatch(output: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  let at = 0;
  while (at < output.length) {
    const end = output.indexOf(10, at);
    if (end < 0) break;
    const match = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(output.toString("latin1", at, end));
    if (!match) throw new TypeError("unexpected line from cat-file");
    const size = Number(match[3]);
    found.set(match[1]!, output.subarray(end + 1, end + 1 + size));
    at = end + 1 + size + 1;
  }
  return found;
}
