import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fix } from "@x1agent/api/test";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, layoutFindings, sizes, TestSite } from "../test/browser.ts";

describe.skipIf(lacksBrowser)(`lists and settings${lacksBrowser ? ` (${lacksBrowser})` : ""}`, () => {
  let site: TestSite;
  let published: string;
  let waiting: string;
  beforeAll(async () => {
    site = await TestSite.open();
    const { service } = site;
    // With a report, here and at the base: a policy approves nothing whose tests tell of nothing.
    const verify = "echo 1..1; if bash check.sh; then echo ok 1; else echo not ok 1; exit 1; fi";
    const first = await service.create({ goal: `Mend the addition ${fix}`, verify });
    const second = await service.create({ goal: `Compare roundings [[calls 4 parallel]] ${fix}`, verify });
    const job = await service.reach(first.id, "awaiting_approval");
    await service.client.decide({
      params: { jobId: first.id },
      body: { decision: "approve", digest: job.approvalDigest ?? "" },
    });
    await service.reach(first.id, "succeeded");
    await service.reach(second.id, "awaiting_approval");
    published = first.id;
    waiting = second.id;
  });
  afterAll(() => site?.close());
  afterEach(() => {
    expect(site.trespasses.splice(0)).toEqual([]);
  });

  it("the tab says how many wait, on every page", async () => {
    const page = await site.signedIn("/runtimes");
    await page.getByRole("heading", { level: 1, name: "Runtimes" }).waitFor();
    await expect.poll(() => page.title()).toBe("(1) Runtimes · x1agent");
    expect(await page.locator('link[rel="icon"]').getAttribute("href")).toBe("/icon-waiting.svg");
  });

  it("a runtime is tested on demand: what was measured and when, and why it failed", async () => {
    const page = await site.signedIn("/runtimes");
    const tested = page.getByRole("region", { name: /^Self-test of/ }).first();
    const patient = { timeout: 60_000 };
    await tested.getByText("not yet").waitFor();
    await tested.getByRole("button", { name: "Test now" }).click();
    await tested.getByText("passed", { exact: true }).waitFor(patient);
    await tested.getByText(/^\d+ MB/).waitFor();
    await page.reload();
    await tested.getByText("passed", { exact: true }).waitFor();
    const [{ test, path } = {}] = (await site.service.client.listRuntimes()).items.filter(({ test }) => test);
    expect(test).toMatchObject({ ok: true, detail: null });
    expect(test?.memory?.bytes).toBeGreaterThan(20e6);
    // A CLI that is there and does not start.
    const adapter = join(path ?? "", "adapter.mjs");
    const whole = await readFile(adapter, "utf8");
    await writeFile(adapter, "throw new Error('broken on purpose')");
    try {
      await tested.getByRole("button", { name: "Test now" }).click();
      await tested.getByText("failed", { exact: true }).waitFor(patient);
    } finally {
      await writeFile(adapter, whole);
    }
    expect(await tested.getByText("MB").count()).toBe(0);
    expect(await accessibilityFindings(page)).toEqual([]);
    await expect.poll(() => site.service.driver.list(), patient).toEqual([]);
  });

  it("jobs are filtered by what stands in the address", async () => {
    const page = await site.signedIn("/jobs?show=published");
    const list = page.getByRole("list", { name: "Jobs" });
    await list.getByRole("link").first().waitFor();
    expect(await list.getByRole("link").count()).toBe(1);
    await page.getByLabel("State").selectOption("");
    await page.getByRole("searchbox").fill("roundings compare");
    await expect.poll(() => list.getByRole("link").allTextContents()).toEqual([expect.stringContaining("Compare")]);
    expect(page.url()).toContain("q=roundings");
    await page.reload();
    await expect.poll(() => list.getByRole("link").count()).toBe(1);
    await page.getByRole("searchbox").fill("nothing like it");
    await page.getByRole("link", { name: "Show all jobs" }).click();
    await expect.poll(() => list.getByRole("link").count()).toBe(2);
  });

  it("chosen jobs are cancelled after a word about what will happen", async () => {
    const jobs = [
      await site.service.create({ goal: "First to stop [[sleep 60]]" }),
      await site.service.create({ goal: "Second to stop [[sleep 60]]" }),
    ];
    const page = await site.signedIn("/jobs?q=to+stop");
    await page.getByLabel("Choose First to stop").check();
    // By keyboard: the newest job stands first.
    await page.keyboard.press("Tab");
    await page.getByRole("link", { name: /Second to stop/ }).focus();
    await page.keyboard.press("x");
    await page.getByRole("button", { name: "Cancel 2 unfinished jobs" }).click();
    await page.getByRole("button", { name: /^Confirm: stop 2/ }).click();
    for (const { id } of jobs) await site.service.reach(id, "cancelled");
  });

  it("the palette goes to a page and to a job by their words", async () => {
    const page = await site.signedIn();
    await page.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").getByRole("combobox").fill("spend");
    expect(await accessibilityFindings(page)).toEqual([]);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Spend" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").getByRole("combobox").fill("mend addition");
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/jobs/${published}`);
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    await page.getByRole("heading", { level: 1, name: "Projects" }).waitFor();
  });

  it("a dialog holds the focus, keeps the page behind it still, and gives the focus back", async () => {
    const page = await site.signedIn(`/jobs/${waiting}`);
    const cancel = page.getByRole("button", { name: "Cancel job" });
    const asked = page.getByRole("alertdialog", { name: "Cancel this job" });
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    const held = () =>
      page.evaluate(() => [
        document.body.ownerDocument.querySelector("#root")?.matches("[inert]"),
        getComputedStyle(document.body).overflowY,
      ]);
    await cancel.focus();
    await page.keyboard.press("Enter");
    // What is asked is read out, and a hasty Enter does nothing.
    await expect.poll(focused).toBe("Let it go on");
    const description = await asked.getAttribute("aria-describedby");
    expect(await page.locator(`[id="${description}"]`).textContent()).toMatch(/ends now, whatever it is doing/);
    expect(await held()).toEqual([true, "hidden"]);
    const round = [];
    for (let press = 0; press < 3; press += 1) {
      await page.keyboard.press("Tab");
      round.push(
        await page.evaluate(
          () => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent,
        ),
      );
    }
    expect(round).toEqual(["Cancel the job", "Close", "Let it go on"]);
    expect(await accessibilityFindings(page)).toEqual([]);
    // A press beside it is no answer, and keys mean nothing behind it.
    await page.mouse.click(4, 4);
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    expect(await asked.count()).toBe(1);
    await page.keyboard.press("Escape");
    await asked.waitFor({ state: "detached" });
    await expect.poll(focused).toBe("Cancel job");
    expect(await held()).toEqual([false, "visible"]);
  });

  it("menus, tabs and tooltips are walked by keyboard", async () => {
    const page = await site.signedIn(`/jobs/${waiting}`);
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim());
    const tab = (name: string) => page.getByRole("tab", { name, selected: true });
    await tab("Story").focus();
    await page.keyboard.press("End");
    await tab("Evidence").waitFor();
    await page.keyboard.press("ArrowRight");
    await tab("Story").waitFor();
    await page.keyboard.press("ArrowRight");
    await tab("Changes").waitFor();
    expect(await focused()).toBe("Changes");
    await page.getByRole("tabpanel", { name: "Changes" }).waitFor();
    // A ring is for who walks by keyboard, not for who pressed.
    const ring = (name: string) => tab(name).evaluate((button) => getComputedStyle(button).outlineStyle);
    expect(await ring("Changes")).toBe("solid");
    await page.getByRole("tab", { name: "Tests" }).click();
    expect(await ring("Tests")).toBe("none");
    const account = page.getByRole("button", { name: /^Your account:/ });
    await account.focus();
    await page.keyboard.press("Enter");
    await expect.poll(focused).toBe("Your account");
    // Letters find an item, and mean nothing to the page behind.
    await page.keyboard.press("s");
    await expect.poll(focused).toBe("Sign out");
    expect(await accessibilityFindings(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("menu").waitFor({ state: "detached" });
    await expect.poll(() => account.evaluate((one) => one === document.activeElement)).toBe(true);
    await page.getByRole("link", { name: "Runtimes" }).focus();
    await page.getByRole("tooltip", { name: "Runtimes g r" }).waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("tooltip").waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "What they can do" }).press("Enter");
    const told = page.getByRole("dialog", { name: "Capabilities" });
    await told.getByText("goes on after its process was killed").waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await told.waitFor({ state: "detached" });
    await expect.poll(focused).toBe("What they can do");
  });

  it("no style gets in but the app's files and what carries the page's own nonce", async () => {
    const page = await site.signedIn();
    const tried = (nonce: string | null) =>
      page.evaluate((given) => {
        const style = document.createElement("style");
        style.textContent = "body { --planted: yes }";
        if (given !== null) style.setAttribute("nonce", given);
        document.head.append(style);
        const got = getComputedStyle(document.body).getPropertyValue("--planted");
        style.remove();
        return got;
      }, nonce);
    const nonce = () =>
      page.evaluate(() => {
        const meta = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]');
        return { known: meta?.nonce ?? "", seen: meta?.getAttribute("nonce") };
      });
    const before = await nonce();
    expect(before).toEqual({ known: expect.stringMatching(/^[A-Za-z0-9+/]{22}==$/), seen: "" });
    expect(await tried(before.known)).toBe("yes");
    expect(site.trespasses).toEqual([]);
    expect(await tried(null)).toBe("");
    const attributes = await page.evaluate(() => {
      const box = document.createElement("div");
      box.innerHTML = '<b style="--planted: yes"></b>';
      box.append(document.createElement("i"));
      document.body.append(box);
      box.lastElementChild?.setAttribute("style", "--planted: yes");
      const got = [...box.children].map((one) => getComputedStyle(one).getPropertyValue("--planted"));
      box.remove();
      return got;
    });
    expect(attributes).toEqual(["", ""]);
    await page.reload();
    expect((await nonce()).known).not.toBe(before.known);
    expect(await tried(before.known)).toBe("");
    const refused = site.trespasses.splice(0);
    expect(refused).toHaveLength(4);
    for (const told of refused) expect(told).toMatch(/inline style.*Content Security Policy/);
  });

  it("spend shows what was metered, and gives it as CSV", async () => {
    const page = await site.signedIn("/spend");
    await page.getByText("Per published change").waitFor();
    await page.getByRole("link", { name: "Compare roundings" }).waitFor();
    await page.getByRole("button", { name: "As table" }).click();
    const cost = (await site.service.job(waiting)).spentMicros;
    expect(cost).toBeGreaterThan(0);
    await page.getByRole("cell", { name: new Date().toISOString().slice(0, 10) }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "CSV" }).click(),
    ]);
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toContain(`${waiting},"Compare roundings`);
    await page.getByLabel("At most, in dollars").fill("12.50");
    await page.getByRole("button", { name: "Set budget" }).click();
    await page.getByText("of $12.50 a day").waitFor();
  });

  it("a project's commands are tried as they stand in the form, heard while they run, and stopped", async () => {
    const projectId = (await site.service.client.listProjects({})).items[0]?.id ?? "";
    const page = await site.signedIn(`/projects/${projectId}`);
    const form = page.getByRole("form", { name: "Settings" });
    const trial = form.getByRole("region", { name: "Trial of the commands" });
    const state = trial.getByRole("status");
    const tryIt = form.getByRole("button", { name: "Try the commands now" });
    const patient = { timeout: 60_000 };
    await form.getByLabel(/^Set-up command/).fill('echo set up; echo "to the other stream" >&2');
    await form.getByLabel(/^Verify command/).fill("echo begun; sleep 600");
    await tryIt.click();
    await trial.getByRole("log").getByText("begun").waitFor(patient);
    await trial.getByRole("log").getByText("to the other stream").waitFor();
    await state.getByText("Verifying").waitFor();
    // A page that is loaded again goes on with it.
    await page.reload();
    await trial.getByRole("log").getByText("begun").waitFor(patient);
    await state.getByText("Verifying").waitFor();
    // One at a time.
    await expect(
      site.service.client.startTrial({ params: { projectId }, body: { verify: "true" } }),
    ).rejects.toMatchObject({ code: "conflict" });
    await trial.getByRole("button", { name: "Stop" }).click();
    await state.getByText("cancelled").waitFor(patient);
    await expect.poll(() => site.service.driver.list(), patient).toEqual([]);
    // The base's own state: the sample's check fails there.
    await form.getByLabel(/^Set-up command/).fill("curl -s https://refused.example || true");
    await form.getByLabel(/^Verify command/).fill("bash check.sh || { echo wrong sum; exit 3; }");
    await tryIt.click();
    await state.getByText("failed").waitFor(patient);
    await trial.getByText("ended with 3").waitFor();
    await trial.getByText("Refused hosts: refused.example").waitFor();
    await trial.getByRole("log").getByText("wrong sum").waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await form.getByLabel(/^Set-up command/).fill("");
    await form.getByLabel(/^Verify command/).fill("true");
    await tryIt.click();
    await state.getByText("passed").waitFor(patient);
    // Nothing of it was saved, and the audit knows who did what.
    expect(await site.service.client.getProject({ params: { projectId } })).toMatchObject({ setup: null });
    const { items } = await site.service.client.listAudit({ query: { action: "project.trial" } });
    expect(items.map(({ action }) => action.slice("project.trial_".length))).toEqual(
      [1, 2, 3].flatMap(() => ["started", "ended"]),
    );
    expect(items.map(({ data }) => data.state).filter(Boolean)).toEqual(["cancelled", "failed", "passed"]);
    // One that its service left alone says so.
    await form.getByLabel(/^Verify command/).fill("echo begun; sleep 600");
    await tryIt.click();
    await trial.getByRole("log").getByText("begun").waitFor(patient);
    await site.service.stop();
    await site.service.start();
    await trial.getByText(/^It was cut off/).waitFor(patient);
  });

  it("a project tells its secrets, which are only ever written, and how its jobs are isolated", async () => {
    const { client } = site.service;
    const projectId = (await client.listProjects({})).items[0]?.id ?? "";
    const had = (await client.getJob({ params: { jobId: waiting } })).attempts[0]?.isolation ?? null;
    const page = await site.signedIn();
    // The doctor looks at a machine, which may be busy.
    await page.route("**/api/v1/doctor", (route) => route.fulfill({ json: { ok: true, checks: [], isolation: had } }));
    await page.goto(`${site.service.url}/projects/${projectId}`);
    const dialog = page.getByRole("dialog");
    const secrets = page.getByRole("region", { name: "Secrets" });
    await secrets.getByText("git signs in nowhere").waitFor();
    await secrets.getByRole("listitem", { name: "anthropic" }).getByLabel("set", { exact: true }).waitFor();
    await secrets.getByRole("button", { name: "Add a registry's login" }).click();
    const name = "registry:packages.example:8443";
    const add = async (value: string, whose: string) => {
      await dialog.getByLabel("Host").fill("Packages.example:8443");
      await dialog.getByLabel("Token, or user:password").fill(value);
      await dialog.getByLabel(whose).check();
      await dialog.getByRole("button", { name: "Store" }).click();
    };
    await add("canary-of-a-registry-abcd", "Every project of the organization");
    const shared = secrets.getByRole("listitem", { name: `${name}, the organization's` });
    await shared.getByText("ends in abcd, never used").waitFor();
    await secrets.getByRole("button", { name: "Add a registry's login" }).click();
    await add("canary-of-a-project-efgh", "This project alone");
    const login = secrets.getByRole("listitem", { name: `${name}, this project's own` });
    await login.getByText("ends in efgh, never used").waitFor();
    await shared.getByText("the project's own goes before it").waitFor();
    expect(await page.content()).not.toMatch(/canary-of-a-(registry|project)/);
    await login.getByRole("button", { name: "Replace" }).click();
    await dialog.getByLabel("Token, or user:password").fill("another-canary-wxyz");
    await dialog.getByRole("button", { name: "Store" }).click();
    await login.getByText("ends in wxyz").waitFor();
    const asked = page.getByRole("alertdialog");
    const remove = async () => {
      await asked.getByRole("button", { name: "Remove login" }).click();
      // What lies behind a dialog has no role until it is closed.
      await asked.waitFor({ state: "detached" });
    };
    const own = async () =>
      (await client.listProjectSecrets({ params: { projectId } })).items.map(({ name, lastFour }) => [name, lastFour]);
    expect(await own()).toEqual([[name, "wxyz"]]);
    for (const one of [login, shared]) {
      await one.getByRole("button", { name: "Remove" }).click();
      await remove();
      await one.waitFor({ state: "detached" });
    }
    expect(await own()).toEqual([]);
    expect((await client.listSecrets()).items.map((secret) => secret.name)).not.toContain(name);
    const key = () => secrets.getByRole("listitem", { name: "anthropic, this project's own" });
    await secrets.getByRole("button", { name: "Set for this project: anthropic" }).click();
    await dialog.getByLabel("Key").fill("key-of-one-project-4242");
    await dialog.getByRole("button", { name: "Store" }).click();
    await key().getByText("ends in 4242, never used").waitFor();
    // The provider knows the organization's key and not this one: a job of the project calls with its own.
    const { id } = await site.service.create({ goal: "Call with it [[calls 1]] [[claim-success]]" });
    await expect.poll(async () => (await site.service.job(id)).state, { timeout: 60_000 }).toBe("failed");
    await page.reload();
    await key().getByText("ends in 4242, used").waitFor();
    await key().getByRole("button", { name: "Test" }).click();
    await key().getByRole("status").getByText("refuses the key").waitFor();
    await key().getByRole("button", { name: "Remove" }).click();
    await remove();
    await key().waitFor({ state: "detached" });
    const isolation = page.getByRole("region", { name: "Isolation" });
    await isolation.getByText("Its jobs need at least namespaces.").waitFor();
    await isolation.getByText("This installation gives namespaces").waitFor();
    await isolation.getByText(/^What it had: \d+ by the kernel/).click();
    await isolation.getByText(`${had?.facts[0]?.name}:`).last().waitFor();
    // Who may not see them is not asked to try.
    const reviewer = { ...(await client.me()), role: "reviewer", scopes: ["read", "approve"] };
    await page.route("**/api/v1/me", (route) => route.fulfill({ json: reviewer }));
    await page.route("**/api/v1/doctor", (route) =>
      route.fulfill({ json: { ok: false, checks: [], isolation: null } }),
    );
    await page.reload();
    await isolation.getByText("cannot isolate: no job of the project starts here").waitFor();
    await secrets.getByText("You may not see or change stored logins.").waitFor();
    expect(await secrets.getByRole("button").count()).toBe(0);
  });

  it("a project's settings are kept, and its policy is tried on past jobs before it counts", async () => {
    const { items } = await site.service.client.listProjects({});
    const page = await site.signedIn(`/projects/${items[0]?.id}`);
    await page.getByLabel("Name", { exact: true }).fill("Arithmetic");
    await page.getByLabel(/^Verify command/).fill("bash check.sh");
    await page.getByRole("form", { name: "Settings" }).getByRole("button", { name: "Save" }).click();
    await page.getByText(/^Saved\. Running/).waitFor();
    await page.getByLabel(/The policy, when/).check();
    await page.getByRole("button", { name: "Try on past jobs" }).click();
    await page.getByText("Would have approved 2 of 2").waitFor();
    await page.getByLabel(/^Every changed path/).fill("docs/**");
    await page.getByRole("button", { name: "Try on past jobs" }).click();
    await page.getByText("Would have approved 0 of 2").waitFor();
    await page.getByText("add.mjs is outside the policy's paths.").first().waitFor();
    await page.getByRole("button", { name: "Save policy" }).click();
    await page.getByText(/^Saved\. It counts/).waitFor();
    expect(await site.service.client.getProject({ params: { projectId: items[0]?.id ?? "" } })).toMatchObject({
      name: "Arithmetic",
      verify: "bash check.sh",
      approval: { mode: "auto", paths: ["docs/**"] },
    });
  });

  it.each(Object.entries(sizes))("pass axe on a %s (a desk also in the dark)", async (_, viewport) => {
    // Without motion: a colour on its way from light to dark is neither.
    const page = await site.signedIn("/", { viewport, reducedMotion: "reduce" });
    const { items } = await site.service.client.listProjects({});
    for (const path of ["/", "/jobs", "/new", "/projects", `/projects/${items[0]?.id}`, "/runtimes", "/spend"]) {
      await page.goto(`${site.service.url}${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.waitForLoadState("networkidle").catch(() => undefined);
      expect(await accessibilityFindings(page), path).toEqual([]);
      if (viewport === sizes.desk) {
        await page.emulateMedia({ colorScheme: "dark" });
        expect(await accessibilityFindings(page), `${path} dark`).toEqual([]);
        await page.emulateMedia({ colorScheme: "light" });
      }
      // Nothing is wider than the screen.
      expect(await layoutFindings(page), path).toEqual([]);
    }
  });
});
