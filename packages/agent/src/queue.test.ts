import { expect, it } from "vitest";
import { MessageQueue } from "./queue.ts";

const message = (id: string, content = "text") => ({ id, content, mode: "queue" as const });

it("is bounded in number and in bytes, and room comes back", () => {
  const queue = new MessageQueue({ messages: 2, bytes: 10 });
  expect(queue.push(message("a", "12345")).ok).toBe(true);
  expect(queue.push(message("b", "123456"))).toMatchObject({ ok: false, code: "queue_full" });
  expect(queue.push(message("b", "12345")).ok).toBe(true);
  expect(queue.push(message("c", ""))).toMatchObject({ ok: false, code: "queue_full" });
  expect(queue.shift()?.id).toBe("a");
  expect(queue.push(message("c", "12345"), "first").ok).toBe(true);
  expect([queue.shift()?.id, queue.shift()?.id, queue.shift()]).toEqual(["c", "b", null]);
});

it("knows an id again after delivery, and refuses it with another content", () => {
  const queue = new MessageQueue();
  expect(queue.repeated(message("a"))).toEqual({ ok: true, value: false });
  queue.remember(message("a"));
  expect(queue.repeated(message("a"))).toEqual({ ok: true, value: true });
  expect(queue.repeated(message("a", "other"))).toMatchObject({ ok: false, code: "idempotency_mismatch" });
});

it("remembers a bounded number of ids, and forgets the oldest", () => {
  const queue = new MessageQueue();
  for (let count = 0; count <= 10_000; count += 1) queue.remember(message(`${count}`));
  const known = (id: string) => queue.repeated(message(id));
  expect([known("0"), known("1"), known("10000")].map((told) => told.ok && told.value)).toEqual([false, true, true]);
});
