import { createAssembly } from "./assemble.ts";
import { startJobs } from "./jobs/index.ts";
import { endWithin } from "./start/end.ts";
import { keepHeapSmall } from "./start/heap.ts";
import { runService } from "./start/run.ts";

/** How long the process lives on when all is done: a child or connection that nobody awaits would hold it for good. */
const LINGER_MS = 2_000;

keepHeapSmall();

const assembly = createAssembly({ startLoop: startJobs });

process.exitCode = await runService(process.argv.slice(2), process.env, assembly);
endWithin(LINGER_MS).unref();
