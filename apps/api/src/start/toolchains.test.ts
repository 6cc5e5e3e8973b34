import { expect, it } from "vitest";
import { findToolchains } from "./toolchains.ts";

it("finds the operator's own toolchains, first on PATH first, and leaves the system's alone", () => {
  const files = new Set([
    "/home/u/.nvm/v24/bin/node",
    "/home/u/.nvm/v24/bin/npm",
    "/usr/bin/node",
    "/usr/bin/python3",
    "/opt/go/bin/go",
    "/p/node_modules/.bin/npm",
    "/bin/cargo",
  ]);
  const exists = (file: string) => files.has(file);
  expect(findToolchains("/home/u/.nvm/v24/bin:/usr/bin:/opt/go/bin:/bin", exists)).toEqual([
    "/home/u/.nvm/v24",
    "/opt/go",
  ]);
  expect(findToolchains("/usr/bin:/home/u/.nvm/v24/bin", exists)).toEqual(["/home/u/.nvm/v24"]);
  expect(findToolchains("/p/node_modules/.bin:relative/bin:", exists)).toEqual([]);
});
