import { createAssembly } from "./assemble.ts";
import { startJobs } from "./jobs/index.ts";
import { runService } from "./start/run.ts";

const assembly = createAssembly({ startLoop: startJobs });

process.exitCode = await runService(process.argv.slice(2), process.env, assembly);
