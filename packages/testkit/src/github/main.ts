import { parseArgs } from "node:util";
import { sampleDirectory, sampleIssue } from "../sample.ts";
import { GithubStandIn } from "./index.ts";

/**
 * The GitHub stand-in as a program, for a demo and for looking: an organization `acme` with the sample project, its
 * issues and an App, installed. Prints one JSON line and serves until it is ended. Options: --port, --tls, --webhook
 * <url> (the App's, signed with the secret "standin").
 */
const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    webhook: { type: "string" },
    tls: { type: "boolean", default: false },
  },
});

const github = await GithubStandIn.start({ port: Number(values.port), tls: values.tls });
github.user("alice");
github.user("bob");
github.user("outsider");
github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
await github.repository("acme/tally", { from: sampleDirectory, description: "The sample project" });
github.protect("acme/tally", "main");
for (const number of [1, 2, 3] as const) {
  const [title = "", ...body] = (await sampleIssue(number)).split("\n");
  await github.as("bob").openIssue("acme/tally", { title: title.replace(/^#+\s*/, ""), body: body.join("\n").trim() });
}
const app = github.app({
  name: "x1agent",
  owner: "acme",
  ...(values.webhook ? { webhook: { url: values.webhook, secret: "standin" } } : {}),
});
const installation = await github.install(app, "acme");
const shown = {
  url: github.url,
  apiUrl: github.apiUrl,
  repository: "acme/tally",
  cloneUrl: github.cloneUrl("acme/tally"),
  // Made up a moment ago and good for nothing but this process.
  token: github.personalToken("alice").value,
  appId: app.id,
  installationId: installation.id,
  privateKey: app.privateKey,
  ...(github.caCertificate ? { caCertificate: github.caCertificate } : {}),
};
process.stdout.write(`${JSON.stringify(shown)}\n`);

const stop = () =>
  void github.close().then(
    () => process.exit(0),
    (error: Error) => {
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    },
  );
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
