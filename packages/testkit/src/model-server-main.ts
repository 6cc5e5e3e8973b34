import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startModelServer } from "./model-server.ts";
import { Scenario, solverScenario, wrongFirstScenario } from "./scenario.ts";

/**
 * The scripted model server as a program: prints `{"url","port"}` as one JSON line and serves until it is ended or its
 * standard input closes. Options: --port, --key-stdin (first line of standard input is the key), --wrong-first,
 * --scenario <file>.
 */
const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    "key-stdin": { type: "boolean", default: false },
    "wrong-first": { type: "boolean", default: false },
    scenario: { type: "string" },
  },
});

let key: string | undefined;
if (values["key-stdin"]) {
  key = await new Promise<string>((resolve) => {
    let text = "";
    process.stdin.setEncoding("utf8");
    process.stdin.on("data", (part: string) => {
      text += part;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")).trim());
    });
  });
}
const scenario = values.scenario
  ? Scenario.parse(JSON.parse(readFileSync(values.scenario, "utf8")))
  : values["wrong-first"]
    ? wrongFirstScenario
    : solverScenario;
const server = await startModelServer({ port: Number(values.port), scenario, ...(key ? { key } : {}) });
process.stdout.write(`${JSON.stringify({ url: server.url, port: server.port })}\n`);

const stop = () => void server.close().then(() => process.exit(0));
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
if (values["key-stdin"]) process.stdin.once("end", stop);
