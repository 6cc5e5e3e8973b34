import { execFile, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { GithubStandIn } from "./index.ts";
import { ended, folder } from "./test/scene.ts";

const run = promisify(execFile);
const lacks = ["gh", "openssl"].filter((one) => spawnSync(one, ["version"]).error);

it.skipIf(lacks.length > 0 && !process.env.CI)(
  `GitHub's own gh${lacks.length > 0 ? ` [skipped: needs ${lacks.join(" and ")}]` : ""} reads issues, opens and readies pull requests`,
  async () => {
    const github = await GithubStandIn.start({ tls: true });
    ended.push(() => github.close());
    github.user("alice");
    await github.repository("alice/tool", { private: true, files: { "README.md": "# tool\n" } });
    await github.as("alice").openIssue("alice/tool", { title: "It is broken", body: "very", labels: ["bug"] });
    await github.as("alice").comment("alice/tool", 1, "a remark");
    await github.as("alice").push("alice/tool", "fix", { "README.md": "# mended\n" });
    const directory = await folder();
    const authority = join(directory, "ca.pem");
    await writeFile(authority, github.caCertificate!);
    const host = new URL(github.url).host;
    const at = `${host}/alice/tool`;
    const gh = async (...args: string[]) => {
      const env = {
        PATH: process.env.PATH,
        HOME: directory,
        GH_CONFIG_DIR: join(directory, "gh"),
        GH_HOST: host,
        GH_ENTERPRISE_TOKEN: github.personalToken("alice").value,
        GH_NO_UPDATE_NOTIFIER: "1",
        SSL_CERT_FILE: authority,
      };
      const { stdout } = await run("gh", args, { env, cwd: directory, timeout: 60_000 });
      return stdout;
    };
    expect(await gh("api", "repos/alice/tool", "--jq", ".full_name")).toBe("alice/tool\n");
    expect(await gh("issue", "view", "1", "-R", at)).toContain("title:\tIt is broken");
    expect(await gh("issue", "view", "1", "-R", at, "--comments")).toContain("a remark");
    expect(await gh("issue", "list", "-R", at, "--json", "number,title,labels")).toContain('"name":"bug"');
    const opened = await gh(
      "pr",
      "create",
      "-R",
      at,
      "--head",
      "fix",
      "--title",
      "Mend",
      "--body",
      "Fixes #1",
      "--draft",
    );
    expect(opened).toBe(`${github.url}/alice/tool/pull/2\n`);
    await gh("pr", "ready", "2", "-R", at);
    await github.check("alice/tool", { pull: 2 }, { name: "ci", conclusion: "success" });
    const seen = JSON.parse(
      await gh("pr", "view", "2", "-R", at, "--json", "title,state,isDraft,mergeable,statusCheckRollup"),
    ) as Record<string, unknown>;
    expect(seen).toMatchObject({
      title: "Mend",
      state: "OPEN",
      isDraft: false,
      mergeable: "MERGEABLE",
      statusCheckRollup: [{ name: "ci", conclusion: "SUCCESS" }],
    });
    expect(await gh("pr", "checks", "2", "-R", at)).toContain("ci\tpass");
    expect(await gh("pr", "diff", "2", "-R", at)).toContain("+# mended");
    await expect(gh("pr", "merge", "2", "-R", at, "--squash")).rejects.toThrow(/mergePullRequest' doesn't exist/);
    expect(github.misfits).toEqual([]);
  },
);
