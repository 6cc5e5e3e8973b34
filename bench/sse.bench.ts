import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { type Bench, cpuMicros, type Figure, interleave, type Part, startPart } from "./lib.ts";

const parts = join(import.meta.dirname, "parts");
const nextLine = async (lines: Interface): Promise<string> =>
  ((await once(lines, "line", { signal: AbortSignal.timeout(90_000) })) as [string])[0];

type Side = { server: Part; readers: Part; told: Interface; heard: Interface };

async function open(kind: "ours" | "bare", subscribers: number): Promise<Side> {
  const server = await startPart([join(parts, "fan-out.ts"), kind]);
  const readers = await startPart([join(parts, "subscribers.ts"), String(server.ready.port), String(subscribers)]);
  return {
    server,
    readers,
    told: createInterface({ input: server.child.stdout! }),
    heard: createInterface({ input: readers.child.stdout! }),
  };
}

/** One burst after another; what it cost the server. */
async function round(side: Side, subscribers: number, count: number, times: number): Promise<Record<string, number>> {
  const wanted = subscribers * count * times;
  const cpu = cpuMicros(side.server.pid);
  const heard = nextLine(side.heard);
  side.readers.child.stdin?.write(`${wanted}\n`);
  const told = nextLine(side.told);
  side.server.child.stdin?.write(`${count} ${times}\n`);
  const seen = JSON.parse(await heard) as { deliveries: number; lastMs: number; lateMs: number };
  await told;
  if (seen.deliveries < wanted * 0.99) throw new Error(`${seen.deliveries} of ${wanted} deliveries arrived.`);
  return { cpu: (cpuMicros(side.server.pid) - cpu) / wanted, rate: wanted / (seen.lastMs / 1_000), late: seen.lateMs };
}

export const bench: Bench = {
  about:
    "fan-out of job events to many subscribers. limit: a plain node:http server that writes each frame to each response.",
  async run({ quick }) {
    const figures: Figure[] = [];
    for (const subscribers of quick ? [100] : [1_000]) {
      const ours = await open("ours", subscribers);
      const bare = await open("bare", subscribers);
      const rounds = quick ? 1 : 5;
      try {
        const paced = await interleave(rounds, {
          ours: () => round(ours, subscribers, 1, quick ? 5 : 60),
          bare: () => round(bare, subscribers, 1, quick ? 5 : 60),
        });
        const burst = await interleave(rounds, {
          ours: () => round(ours, subscribers, quick ? 50 : 200, 1),
          bare: () => round(bare, subscribers, quick ? 50 : 200, 1),
        });
        const name = `${subscribers} subscribers`;
        figures.push(
          { figure: `CPU per delivery, ${name} x 20/s`, unit: "us", ours: paced.ours.cpu!, limit: paced.bare.cpu! },
          { figure: `delay p99, ${name} x 20/s`, unit: "ms", ours: paced.ours.late!, limit: paced.bare.late! },
          { figure: `CPU per delivery, ${name}, bursts`, unit: "us", ours: burst.ours.cpu!, limit: burst.bare.cpu! },
          { figure: `deliveries a second, ${name}`, unit: "1/s", ours: burst.ours.rate!, limit: burst.bare.rate! },
        );
      } finally {
        for (const side of [ours, bare]) {
          await side.readers.stop();
          await side.server.stop();
        }
      }
    }
    return figures;
  },
};
