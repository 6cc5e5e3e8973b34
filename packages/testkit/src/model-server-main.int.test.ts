import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";

it("takes its key from standard input, says its address, and ends with its parent", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "model-server-main.ts"), "--key-stdin"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.write("the-key\n");
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { url } = JSON.parse(line) as { url: string };
  const status = async (key: string) => {
    const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }] });
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    return (await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body })).status;
  };
  expect(await status("the-key")).toBe(200);
  expect(await status("another")).toBe(401);
  child.stdin.end();
  expect(await once(child, "exit")).toEqual([0, null]);
});
