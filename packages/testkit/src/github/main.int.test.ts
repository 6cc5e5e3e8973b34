import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { client } from "./test/scene.ts";

it("starts by hand with the sample project, says its address and a token, and ends when told", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { apiUrl, token } = JSON.parse(line) as { apiUrl: string; token: string };
  const github = { apiUrl } as Parameters<typeof client>[0];
  const { data } = await client(github, token).rest.issues.listForRepo({ owner: "acme", repo: "tally" });
  expect(data).toHaveLength(3);
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});
