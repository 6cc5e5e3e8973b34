import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { growthFlag } from "./heap.ts";

it("sets a flag that this Node has: one that is unknown would not end the service's start, and change nothing", () => {
  const known = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" }).split(/\s+/);
  expect(known).toContain(growthFlag);
  expect(known).not.toContain(`${growthFlag}-planted`);
});
