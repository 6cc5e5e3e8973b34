import { createAssembly } from "./assemble.ts";
import { runService } from "./start/run.ts";

const assembly = createAssembly({
  async startLoop({ log }) {
    log.warn("this build has no job loop: jobs stay queued");
    return { kick: () => undefined, stop: async () => undefined };
  },
});

process.exitCode = await runService(process.argv.slice(2), process.env, assembly);
