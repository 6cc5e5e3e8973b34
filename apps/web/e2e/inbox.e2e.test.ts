import { fix } from "@x1agent/api/test";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, layoutFindings, sizes, TestSite } from "../test/browser.ts";

describe.skipIf(lacksBrowser)(`what waits is answered in the inbox${lacksBrowser ? ` (${lacksBrowser})` : ""}`, () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await TestSite.open();
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.trespasses.splice(0)).toEqual([]);
  });

  it("a question of a running agent", async () => {
    // Somebody who has asked for notices looks elsewhere.
    const away = await site.stranger({ permissions: ["notifications"] });
    await away.addInitScript(() => {
      Object.defineProperty(document, "hidden", { get: () => true });
      Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
      const told: unknown[] = [];
      const real = Notification;
      Object.assign(window, {
        told,
        Notification: class extends real {
          constructor(title: string, options?: NotificationOptions) {
            super(title, options);
            told.push(options?.body);
          }
        },
      });
    });
    await away.goto(site.service.signInLink());
    await away.getByText("Nothing waits for you.").waitFor();
    const job = await site.service.create({ goal: `Pick a colour [[ask which colour?]] ${fix}`, ask: true });
    await site.service.reach(job.id, "awaiting_input");
    await expect.poll(() => away.evaluate("told"), { timeout: 60_000 }).toEqual(["1 waiting for you"]);
    expect(await away.title()).toBe("(1) Inbox · x1agent");
    await away.context().close();
    const page = await site.signedIn();
    const item = page.getByRole("listitem", { name: /^Pick a colour/ });
    await item.getByText("which colour?").first().waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await item.getByLabel("Answer").fill("green");
    await item.getByRole("button", { name: "Send answer" }).click();
    await site.service.reach(job.id, "awaiting_approval");
    // The same item, now with what was found instead of the question.
    await item.getByText(/Verification passed, failed before the change/).waitFor();
    await item.getByRole("button", { name: "Decide here" }).click();
    await item.getByRole("button", { name: /^Approve/ }).click();
    await item.getByRole("button", { name: /^Confirm/ }).click();
    await site.service.reach(job.id, "succeeded");
    await expect.poll(() => item.count()).toBe(0);
    await page.getByText("Nothing waits for you.").waitFor();
  });

  it("a budget that was not enough", async () => {
    const job = await site.service.create({
      goal: "Spend it all [[calls 3 parallel]] [[claim-success]]",
      budgetMicros: 1_000,
    });
    await site.service.reach(job.id, "budget_exceeded");
    const page = await site.signedIn();
    const item = page.getByRole("listitem", { name: /^Spend it all/ });
    await item.getByLabel("New budget in dollars").fill("0.0000001");
    await item.getByRole("button", { name: "Raise and go on" }).click();
    await item.getByRole("alert").waitFor();
    await item.getByLabel("New budget in dollars").fill("50");
    await item.getByRole("button", { name: "Raise and go on" }).click();
    await expect.poll(async () => (await site.service.job(job.id)).state, { timeout: 60_000 }).toBe("no_changes");
    expect((await site.service.job(job.id)).budgetMicros).toBe(50_000_000);
  });

  it("a failed job: why, again with changes, or put away", async () => {
    const job = await site.service.create({ goal: `Needs a tool ${fix}`, setup: "echo no such tool >&2; false" });
    await expect.poll(async () => (await site.service.job(job.id)).state, { timeout: 60_000 }).toBe("failed");
    const page = await site.signedIn();
    const item = page.getByRole("listitem", { name: /^Needs a tool/ });
    await item.getByRole("link", { name: "Change and run" }).click();
    await page.getByRole("heading", { level: 1, name: "New job" }).waitFor();
    expect(await page.getByLabel("Goal").inputValue()).toContain("Needs a tool");
    await page.getByLabel("Set-up command").fill("true");
    await page
      .getByRole("complementary", { name: "What will be allowed" })
      .getByText(/a person has approved/)
      .waitFor();
    await page.getByRole("button", { name: "Start job" }).click();
    await page.getByRole("heading", { level: 1, name: /Needs a tool/ }).waitFor();
    await page.goBack();
    await page.goBack();
    await item.getByRole("button", { name: "Dismiss" }).first().click();
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Dismiss" }).count()).toBe(0);
  });

  it("a host that a job at work was refused: allowed for the job or put away, in every browser of the person", async () => {
    const ask = (host: string) => `[[shell curl -s https://${host} || true]]`;
    const job = await site.service.create({
      goal: `Fetch the table ${ask("tables.example")} ${ask("metrics.example")} [[ask go on?]]`,
    });
    await site.service.reach(job.id, "awaiting_input");
    const [page, other] = await Promise.all([site.signedIn(), site.signedIn()]);
    const item = page.getByRole("listitem", { name: /^Refused hosts of Fetch the table/ });
    const host = (name: string) => item.getByRole("listitem", { name });
    await host("tables.example").getByText("once, during the agent's work").waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await host("tables.example").getByRole("button", { name: "Allow for this job" }).click();
    await expect.poll(() => host("tables.example").count()).toBe(0);
    const { items } = await site.service.client.listGrants({ query: { subject: job.id } });
    expect(items.map(({ type, details }) => [type, details.pattern, details.ports, details.phases])).toEqual([
      ["egress", "tables.example", [443], ["agent"]],
    ]);
    await host("metrics.example").getByRole("button", { name: "Put away" }).click();
    for (const seen of [page, other])
      await expect.poll(() => seen.getByRole("listitem", { name: /^Refused hosts/ }).count()).toBe(0);
    await page.reload();
    await page.getByRole("listitem", { name: /^Fetch the table/ }).waitFor();
    expect(await page.getByRole("listitem", { name: /^Refused hosts/ }).count()).toBe(0);
    await site.service.client.cancelJob({ params: { jobId: job.id } });
  });

  it("who may only look is offered nothing that would be refused, and told why", async () => {
    const made = await site.service.client.createToken({ body: { name: "looks", scopes: ["read"] } });
    const [question, change] = await Promise.all([
      site.service.create({ goal: "Look at me [[ask may I?]]", ask: true }),
      site.service.create({ goal: `Look at my change ${fix}` }),
    ]);
    await site.service.reach(question.id, "awaiting_input");
    await site.service.reach(change.id, "awaiting_approval");
    const page = await site.signedIn();
    // The same page, for somebody whose role is to read.
    await page.route("**/api/v1/**", (route) => {
      const { cookie: _, ...headers } = route.request().headers();
      return route.continue({ headers: { ...headers, authorization: `Bearer ${made.token}` } });
    });
    await page.goto(`${site.service.url}/jobs`);
    await page.getByRole("link", { name: /Look at me/ }).waitFor();
    const offers = () => page.locator("main").getByRole("button").or(page.locator("main").getByRole("link"));
    for (const [path, ready, told] of [
      ["/", /Look at me/, "You may not answer agents."],
      ["/new", /New job/, "You may not start jobs."],
      [`/jobs/${change.id}`, /Decision/, "You may not decide on changes."],
      [`/projects/${change.projectId}`, /What its jobs start with/, "You may not change the project."],
      ["/spend", /Budgets/, "You may not set budgets."],
      ["/audit", /Audit/, "You may not see the audit log."],
      ["/permissions", /Permissions/, null],
      ["/runtimes", /Runtimes/, null],
      ["/providers", /Providers/, null],
    ] as const) {
      await page.goto(`${site.service.url}${path}`);
      await page.getByText(ready).first().waitFor();
      if (told) await page.getByText(told).first().waitFor();
      expect(await accessibilityFindings(page), path).toEqual([]);
      const names = await offers().allTextContents();
      const forbidden =
        /^(New job|State a goal|Start job|Approve|Override|Reject|Ask for|Cancel|Interrupt|Send|Save|Try again|Raise|Grant|Revoke|Install|Set budget|Store|Add )/;
      expect(
        names.filter((name) => forbidden.test(name.trim())),
        path,
      ).toEqual([]);
    }
    for (const { id } of [question, change]) await site.service.client.cancelJob({ params: { jobId: id } });
  });

  it.each(Object.entries(sizes))("and is readable on a %s", async (_, viewport) => {
    const job = await site.service.create({ goal: `${"A long title ".repeat(25)} [[ask go on?]]`, ask: true });
    await site.service.reach(job.id, "awaiting_input");
    const page = await site.signedIn("/", { viewport });
    await page
      .getByRole("listitem", { name: /^A long title/ })
      .first()
      .waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    expect(await layoutFindings(page)).toEqual([]);
  });
});
