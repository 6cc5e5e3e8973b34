/**
 * Many readers of one event stream over bare sockets: `subscribers.ts <port> <count>`. Prints `{"subscribed":n}` once all
 * have their head, and after each line on standard input (how many deliveries to wait for) `{deliveries, lastMs, lateMs}`:
 * how many came, milliseconds until the last, and the 99th percentile of the delay of each chunk's first event.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";

const [port, count] = process.argv.slice(2).map(Number);
let subscribed = 0;
let deliveries = 0;
let last = 0;
let delays: number[] = [];
const needle = Buffer.from("\ndata: ");
const stamp = Buffer.from('"ts":"');

for (let at = 0; at < (count ?? 1); at += 1) {
  const socket = connect(port ?? 0, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  let head = true;
  socket.on("data", (chunk) => {
    if (head) {
      if (!chunk.includes("retry")) return;
      head = false;
      subscribed += 1;
      if (subscribed === count) console.log(JSON.stringify({ subscribed }));
      return;
    }
    // A needle cut in two by a chunk's end is missed; the count of a round says whether that happened.
    for (let from = chunk.indexOf(needle); from !== -1; from = chunk.indexOf(needle, from + 1)) deliveries += 1;
    last = performance.now();
    const ts = chunk.indexOf(stamp);
    if (ts !== -1 && delays.length < 200_000)
      delays.push(Date.now() - Date.parse(chunk.toString("latin1", ts + 6, ts + 30)));
  });
  socket.on("error", () => process.exit(1));
}
createInterface({ input: process.stdin }).on("line", async (line) => {
  const begin = performance.now();
  deliveries = 0;
  delays = [];
  const wanted = Number(line);
  while (deliveries < wanted * 0.999 && performance.now() - begin < 60_000)
    await new Promise((resolve) => setTimeout(resolve, 5));
  delays.sort((a, b) => a - b);
  console.log(
    JSON.stringify({ deliveries, lastMs: last - begin, lateMs: delays[Math.floor(delays.length * 0.99)] ?? 0 }),
  );
});
process.once("SIGTERM", () => process.exit(0));
