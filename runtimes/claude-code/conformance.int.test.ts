import { runtimeConformance } from "@x1agent/agent/conformance";
import { installedCli, startModelServer } from "@x1agent/testkit";
import { describe } from "vitest";

const cli = await installedCli(import.meta.dirname);

describe.skipIf(cli === null && process.env.CI !== "true")(
  "behind the host (skipped when the CLI is not installed and the package registry is out of reach)",
  () => {
    runtimeConformance({
      runtimeDir: import.meta.dirname,
      ...(cli === null ? {} : { appDir: cli }),
      model: () => startModelServer({ key: "job-token" }),
      otherModel: "claude-haiku-4-5",
    });
  },
);
