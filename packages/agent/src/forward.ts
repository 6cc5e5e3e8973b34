import { parseArgs } from "node:util";
import { startForwarder } from "./forwarder.ts";

/** Entry of `/x1/agent/forward.mjs`: `--sock <dir> [--ports free]`. Prints one line when it listens, and stays. */
const { values } = parseArgs({ options: { sock: { type: "string" }, ports: { type: "string" } } });
if (!values.sock) {
  process.stderr.write("x1 forward: name the folder of the sidecar's sockets with --sock.\n");
  process.exit(64);
}
// Whoever started us reads one line and closes the pipe.
process.stdout.on("error", () => {});
try {
  const forwarded = await startForwarder({ sockDir: values.sock, free: values.ports === "free" });
  process.stdout.write(`${JSON.stringify({ ports: forwarded.ports })}\n`);
} catch (cause) {
  process.stderr.write(`x1 forward: the ports cannot be opened: ${cause instanceof Error ? cause.message : cause}\n`);
  process.exit(1);
}
