import { sampleDirectory, sampleIssue, sampleVerify } from "@x1agent/testkit";
import { GithubStandIn } from "@x1agent/testkit/github";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, TestSite } from "../test/browser.ts";

const until = { timeout: 120_000, interval: 200 };

/**
 * The product's first use, whole: a person connects a repository and decides in the browser; a real agent CLI works; the
 * stand-in plays GitHub and its people, without webhooks, as behind a firewall.
 */
describe.skipIf(lacksBrowser)(
  `an issue becomes a merged pull request, in the browser${lacksBrowser ? ` (${lacksBrowser})` : ""}`,
  () => {
    let site: TestSite;
    let github: GithubStandIn;
    beforeAll(async () => {
      site = await TestSite.open({ tickMs: 300, pollMs: 1_000, reconcileMs: 3_600_000, leaseMs: 20_000 });
      github = await GithubStandIn.start();
      for (const login of ["alice", "bob"]) github.user(login);
      github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
    });
    afterAll(async () => {
      await site?.close();
      await github?.close();
    });
    afterEach(() => {
      expect(site.trespasses.splice(0)).toEqual([]);
      expect(github.misfits).toEqual([]);
    });

    /** Looks at the change and approves it, as a person does. */
    async function approve(page: Page): Promise<void> {
      await page.getByRole("button", { name: /^Approve/ }).click({ timeout: 180_000 });
      await page.getByRole("button", { name: /^Confirm/ }).click();
    }

    it.each([
      { runtime: "pi", title: "Pi" },
      { runtime: "claude-code", title: "Claude Code" },
    ])("worked on by $title, reviewed, mended after a failed check, and merged", async ({ runtime, title }) => {
      const { client } = site.service;
      for await (const _ of client.lines("installRuntime", { params: { name: runtime } }));
      const name = `acme/tally-${runtime}`;
      await github.repository(name, { private: true, from: sampleDirectory });
      const [heading = "", ...words] = (await sampleIssue(1)).split("\n");
      const issue = await github
        .as("alice")
        .openIssue(name, { title: heading.replace(/^#\s*/, ""), body: words.join("\n") });
      await client.createProject({
        body: { repository: github.cloneUrl(name), verify: sampleVerify, follow: { quietSeconds: 0 } },
      });

      // Connected once, by a token that the page takes and never shows again.
      const page = await site.signedIn("/settings/connections");
      if ((await client.listForgeConnections({})).items.length === 0) {
        const token = github.personalToken("alice").value;
        await page.getByRole("button", { name: "Connect with a token" }).click();
        await page.getByLabel("Token", { exact: true }).fill(token);
        await page.getByLabel(/address/i).fill(github.url);
        await page.getByRole("button", { name: "Connect", exact: true }).click();
        await page.getByRole("article", { name: "alice", exact: true }).waitFor();
        expect(await page.content()).not.toContain(token);
      }

      // The issue, chosen and started.
      await page.goto(`${site.service.url}/new`);
      await page.getByRole("button", { name: "An issue" }).click();
      await page.getByRole("button", { name: new RegExp(`^${name}`) }).click();
      await page.getByRole("button", { name: new RegExp(`#${issue.number}\\b`) }).click();
      await page.getByRole("article", { name: `Issue ${issue.number}` }).waitFor();
      await page.getByRole("radio", { name: new RegExp(`^${title}`) }).check();
      await page.getByLabel("Budget in dollars").fill("2");
      await page.getByRole("button", { name: "Start job" }).click();
      await page.waitForURL(/\/jobs\/job_/);
      const jobId = new URL(page.url()).pathname.split("/").pop() ?? "";

      // Approved by what was observed; the pull request holds that very commit.
      await approve(page);
      const card = page.getByRole("region", { name: "Issue and pull request" });
      await card.getByText("open", { exact: true }).waitFor({ timeout: 60_000 });
      const first = await site.service.job(jobId);
      const pull = [...github.repo(name).issues.values()].find((one) => one.pull !== undefined);
      if (!pull?.pull) throw new Error("There is no pull request.");
      expect(pull.pull.headSha).toBe(first.publishedCommit);
      expect(pull.body).toContain(`Fixes #${issue.number}`);
      expect(await accessibilityFindings(page)).toEqual([]);

      // A reviewer's remark on a line begins the second round.
      await github.as("bob").commentOnLine(name, pull.number, {
        path: "src/split.ts",
        line: 1,
        body: "While you are here: formatAmount prints negative amounts with the sign behind the dollar.",
      });
      await expect.poll(async () => (await site.service.job(jobId)).state, until).toBe("awaiting_approval");
      await approve(page);
      await expect.poll(async () => (await site.service.job(jobId)).state, until).toBe("succeeded");
      const second = (await site.service.job(jobId)).publishedCommit ?? "";
      expect(await github.head(name, pull.pull.headRef)).toBe(second);
      expect(second).not.toBe(first.publishedCommit);

      // A check of the repository's own fails: its log begins the third.
      await github.check(
        name,
        { pull: pull.number },
        {
          name: "ci",
          conclusion: "failure",
          log: "not ok 3 - parse: thousands separators\n  parseAmount throws on 1,250.50",
        },
      );
      await expect.poll(async () => (await site.service.job(jobId)).state, until).toBe("awaiting_approval");
      await approve(page);
      await expect.poll(async () => (await site.service.job(jobId)).state, until).toBe("succeeded");
      const third = (await site.service.job(jobId)).publishedCommit ?? "";
      expect(await github.head(name, pull.pull.headRef)).toBe(third);

      // Merged by a person there; over here, too.
      await github.as("alice").merge(name, pull.number);
      await card.locator(".state").getByText("merged").waitFor({ timeout: 60_000 });
      await card.getByText(/2 rounds from reviews and checks/).waitFor();
      expect(await accessibilityFindings(page)).toEqual([]);
      expect([...github.repo(name).issues.values()].filter((one) => one.pull !== undefined)).toHaveLength(1);
      expect(await site.service.workspacesOf(jobId)).toEqual([]);
      expect((await site.service.job(jobId)).spentMicros).toBeGreaterThan(0);
    });
  },
);
