import type { GitCredentialReply, SidecarPolicy } from "@x1agent/contract";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Credentials } from "./credentials.ts";

const origin = { name: "origin", url: "https://forge.example:443/acme/app.git" };
const policy = (...grants: SidecarPolicy["grants"]): SidecarPolicy => ({
  ...{ version: 1, phase: "agent", egress: [], stopped: false },
  grants,
});
const read = { id: "g1", type: "repo.read" as const, details: { pattern: "acme/*" }, once: false };
const push = { id: "g2", type: "repo.push" as const, details: { pattern: "x1/*" }, once: false };

function start(life: number | null = 3_600_000) {
  let tell: (policy: SidecarPolicy) => void = () => {};
  const asked: string[] = [];
  let gate: Promise<void> = Promise.resolve();
  const credentials = new Credentials({
    async ask({ purpose }): Promise<GitCredentialReply> {
      asked.push(purpose);
      const number = asked.length;
      await gate;
      return {
        authorization: `Basic ${number}`,
        expiresAt: life === null ? null : new Date(Date.now() + life).toISOString(),
      };
    },
    onPolicy: (listener) => {
      tell = listener;
    },
  });
  return {
    ...{ credentials, asked },
    tell: (told: SidecarPolicy) => tell(told),
    hold(until: Promise<void>) {
      gate = until;
    },
  };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("is asked for once by all who need it, and again shortly before its end", async () => {
  const { credentials, asked } = start();
  const got = await Promise.all([credentials.get(origin, "read"), credentials.get(origin, "read")]);
  expect(got).toEqual(["Basic 1", "Basic 1"]);
  vi.advanceTimersByTime(3_600_000 - 61_000);
  expect(await credentials.get(origin, "read")).toBe("Basic 1");
  vi.advanceTimersByTime(2_000);
  expect(await credentials.get(origin, "read")).toBe("Basic 2");
  expect(asked).toEqual(["read", "read"]);
});

it("is another one for each purpose, and without an end it is asked for again all the same", async () => {
  const { credentials, asked } = start(null);
  await credentials.get(origin, "read");
  expect(await credentials.get(origin, "push")).toBe("Basic 2");
  vi.advanceTimersByTime(5 * 60_000 + 1);
  expect(await credentials.get(origin, "read")).toBe("Basic 3");
  expect(asked).toEqual(["read", "push", "read"]);
});

it("is forgotten with its grant, and only then", async () => {
  const { credentials, tell } = start();
  await credentials.get(origin, "read");
  await credentials.get(origin, "push");
  tell(policy(read));
  expect(await credentials.get(origin, "read")).toBe("Basic 1");
  expect(await credentials.get(origin, "push")).toBe("Basic 3");
  tell({ ...policy(read, push), stopped: true });
  expect(await credentials.get(origin, "read")).toBe("Basic 4");
});

it("that was asked for before a revocation is not kept when it comes after it", async () => {
  const { credentials, tell, hold } = start();
  let open = () => {};
  hold(
    new Promise((resolve) => {
      open = resolve;
    }),
  );
  const first = credentials.get(origin, "push");
  tell(policy(read));
  open();
  expect(await first).toBe("Basic 1");
  expect(await credentials.get(origin, "push")).toBe("Basic 2");
});

it("that the remote refused is asked for anew, and one near its end is used once", async () => {
  const { credentials } = start();
  await credentials.get(origin, "read");
  credentials.forget(origin, "read");
  expect(await credentials.get(origin, "read")).toBe("Basic 2");
  const short = start(30_000);
  expect(await short.credentials.get(origin, "read")).toBe("Basic 1");
  expect(await short.credentials.get(origin, "read")).toBe("Basic 2");
});
