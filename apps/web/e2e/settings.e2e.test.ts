import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fix } from "@x1agent/api/test";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessibilityFindings, lacksBrowser, layoutFindings, sizes, TestSite } from "../test/browser.ts";

const x1 = join(import.meta.dirname, "../../cli/bin/x1.mjs");
/** Runs the command line while the service goes on answering in this process. */
const run = (args: string[], env: Record<string, string | undefined> = {}) =>
  new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [x1, ...args], { env: { PATH: process.env.PATH, ...env } }, (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
    );
  });
const lacks = lacksBrowser ? ` (${lacksBrowser})` : "";
/** Text that would do harm or hide something, were it taken for anything but text. */
const hostile = "<img src=x onerror=alert(1)>\u202egnp";
const shown = "<img src=x onerror=alert(1)>⟨U+202E⟩gnp";
const screens = [
  ["/settings/account", "Settings"],
  ["/settings/people", "Settings"],
  ["/settings/tokens", "Settings"],
  ["/settings/installation", "Settings"],
  ["/settings/storage", "Settings"],
  ["/providers", "Providers"],
  ["/permissions?all=true", "Permissions"],
  ["/audit", "Audit"],
] as const;

describe.skipIf(lacksBrowser)(`sign-in, keys, permissions, audit and settings${lacks}`, () => {
  let site: TestSite;
  let project: string;
  beforeAll(async () => {
    site = await TestSite.open();
    const job = await site.service.create({ goal: `For the ledger ${fix}` });
    project = job.projectId;
    await site.service.reach(job.id, "awaiting_approval");
    await site.service.client.createGrant({
      body: {
        subject: { kind: "project", id: project },
        type: "egress",
        details: { pattern: "feed.example.org" },
        scope: "persistent",
        reason: hostile,
      },
    });
    await site.service.client.createToken({ body: { name: hostile.slice(0, 32), scopes: ["read"] } });
  });
  afterAll(() => site?.close());
  const used: Page[] = [];
  afterEach(async () => {
    // A page that stays open goes on asking.
    for (const page of used.splice(0)) await page.context().close();
    expect(site.trespasses.splice(0)).toEqual([]);
  });
  type Options = Parameters<TestSite["stranger"]>[0];
  const signedIn = async (path = "/", options: Options = {}) => {
    const page = await site.signedIn(path, options);
    used.push(page);
    return page;
  };
  const stranger = async (options: Options = {}) => {
    const page = await site.stranger(options);
    used.push(page);
    return page;
  };
  const open = async (page: Page, path: string) => page.goto(`${site.service.url}${path}`);
  const dialog = (page: Page) => page.getByRole("dialog");
  /** What is asked before something is taken away. */
  const asked = (page: Page) => page.getByRole("alertdialog");
  /** Says yes to it, and waits until it is done: what lies behind a dialog has no role until it is closed. */
  const confirm = async (page: Page, name: string | RegExp) => {
    await asked(page).getByRole("button", { name, exact: true }).click();
    await asked(page).waitFor({ state: "detached" });
  };
  const signOut = async (page: Page) => {
    await page.getByRole("button", { name: /^Your account:/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
  };
  const setPassword = async (page: Page, password: string) => {
    await page.getByRole("button", { name: /^(Set a password|Change)$/ }).click();
    await dialog(page).getByLabel("New password").fill(password);
    await dialog(page).getByRole("button", { name: "Set password" }).click();
    await dialog(page).waitFor({ state: "detached" });
  };
  const removePassword = async (page: Page) => {
    const panel = page.getByRole("region", { name: "Password" });
    await panel.getByRole("button", { name: "Remove" }).click();
    await dialog(page).getByRole("button", { name: "Remove password" }).click();
    await dialog(page).waitFor({ state: "detached" });
  };

  it("a password is set and signs in; a wrong one is told so, and slowed down", async () => {
    const page = await signedIn("/settings/account");
    await page.getByLabel("Sign-in name").fill("ada");
    await page.getByRole("button", { name: "Save" }).click();
    await setPassword(page, "a horse of my own");
    await page.getByText("You sign in as").waitFor();
    await signOut(page);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    const enter = async (password: string) => {
      await page.getByLabel("Name").fill("Ada");
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
    };
    for (let guess = 0; guess < 5; guess += 1) {
      const answer = page.waitForResponse(/session\/password/);
      await enter(`a wrong horse ${guess}`);
      expect((await answer).status()).toBe(401);
      await page.getByText("The name or the password is wrong.").waitFor();
    }
    await enter("a horse of my own");
    await page.getByText(/Too many tries: wait \d+ seconds/).waitFor();
    // A link goes on working, so that nobody is kept out by another's guesses.
    await page.goto("about:blank");
    await page.goto(site.service.signInLink());
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    await open(page, "/settings/account");
    await removePassword(page);
    const { items } = await site.service.client.listAudit({ query: { action: "session.refused", limit: 1_000 } });
    expect(items.length).toBeGreaterThan(0);
    expect(JSON.stringify(items)).not.toContain("wrong horse");
  });

  it("a passkey is made and signs in, at a name", async () => {
    const local = site.service.url.replace("127.0.0.1", "localhost");
    const atLocalhost = (trespass: string) => trespass.startsWith(`asked ${local}/`);
    const page = await signedIn("/settings/account");
    await page.getByText("Passkeys belong to a name").waitFor();
    const { path } = await site.service.client.createSignInLink();
    await page.goto(`${local}${path}`);
    const debug = await page.context().newCDPSession(page);
    await debug.send("WebAuthn.enable");
    await debug.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        ...{ protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true },
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    await page.goto(`${local}/settings/account`);
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await dialog(page).getByLabel("Name").fill("Virtual");
    await dialog(page).getByRole("button", { name: "Continue" }).click();
    await page.getByText("never used").waitFor();
    await signOut(page);
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    await page.goto(`${local}/settings/account`);
    await page.getByText("signed in by passkey").waitFor();
    await page.getByRole("button", { name: "Remove Virtual" }).click();
    await confirm(page, "Remove Virtual");
    expect((await site.service.client.getAccount()).passkeys).toEqual([]);
    expect(site.trespasses.filter((trespass) => !atLocalhost(trespass))).toEqual([]);
    site.trespasses.splice(0);
  });

  it("a browser that was signed out in another one says so where it is", async () => {
    const [page, other] = [await signedIn("/settings/account"), await signedIn("/providers")];
    await other.getByRole("heading", { level: 1, name: "Providers" }).waitFor();
    await page.getByRole("button", { name: "Sign out all others" }).click();
    await confirm(page, /^Sign out/);
    await other.getByText("This browser was signed out").waitFor({ timeout: 40_000 });
    expect(new URL(other.url()).pathname).toBe("/providers");
    await page.getByText("this browser", { exact: true }).waitFor();
  });

  it("`x1 sign-in` prints a link that works once", async () => {
    const { token } = await site.service.client.createToken({
      body: { name: "cli", scopes: ["read", "write", "approve", "admin"] },
    });
    const env = { X1_URL: site.service.url, X1_TOKEN: token };
    const printed = await run(["sign-in"], env);
    expect([printed.status, printed.stderr]).toEqual([0, ""]);
    const page = await stranger();
    await page.goto(printed.stdout.trim());
    await page.getByRole("navigation", { name: "Main" }).waitFor();
    expect(page.url()).not.toContain("code=");
    const late = await stranger();
    await late.goto(printed.stdout.trim());
    await late.getByText("This link was used or is older than five minutes").waitFor();
    const { token: lesser } = await site.service.client.createToken({ body: { name: "less", scopes: ["admin"] } });
    const refused = await run(["sign-in"], { ...env, X1_TOKEN: lesser });
    expect(refused.stderr).toContain("every scope");
  });

  it("a reviewer is added, signs in by their link, may approve and may not start; the last owner stays", async () => {
    const page = await signedIn("/settings/people");
    await page.getByRole("button", { name: "Add a person" }).click();
    await dialog(page).getByLabel("Name", { exact: true }).fill("Grace");
    await dialog(page).getByLabel("Sign-in name").fill("grace@example.org");
    await dialog(page)
      .getByRole("radio", { name: /^reviewer/ })
      .check();
    await dialog(page).getByRole("button", { name: "Add and make a link" }).click();
    const link = (await page.locator(".token-once code").textContent()) ?? "";
    const hers = await stranger();
    await hers.goto(link);
    await hers.getByRole("navigation", { name: "Main" }).waitFor();
    const start = () =>
      hers.evaluate(async () => {
        const body = JSON.stringify({ goal: "x", repository: "/tmp/x" });
        const headers = { "content-type": "application/json" };
        return (await fetch("/api/v1/jobs", { method: "POST", headers, body })).status;
      });
    expect(await start()).toBe(403);
    expect(await hers.getByRole("link", { name: "New job" }).count()).toBe(0);
    await hers.getByRole("link", { name: /For the ledger/ }).click();
    await hers.getByRole("button", { name: /^Approve/ }).click();
    await hers.getByRole("button", { name: /^Confirm/ }).click();
    await hers.getByRole("region", { name: "State" }).getByText("succeeded").waitFor({ timeout: 60_000 });
    // By name, whoever looks.
    await hers
      .getByRole("region", { name: "Story" })
      .getByText(/approved by Grace/)
      .waitFor();
    // Only owners and admins change anything here.
    await open(hers, "/settings/people");
    await hers.getByRole("row", { name: /Grace \(you\)/ }).waitFor();
    expect(await hers.getByRole("combobox").count()).toBe(0);
    await page.getByLabel("Role of Grace").selectOption("viewer");
    await expect
      .poll(async () => (await site.service.client.listMembers({})).items.map(({ name, role }) => `${name} ${role}`))
      .toContain("Grace viewer");
    await page
      .getByRole("row", { name: /\(you\)/ })
      .getByRole("combobox")
      .selectOption("viewer");
    await page.getByText("This is the last owner: make another one first.").waitFor();
    expect(await accessibilityFindings(page)).toEqual([]);
    await page.getByRole("button", { name: "Remove Grace" }).click();
    await confirm(page, "Remove");
    await page.getByRole("row", { name: /Grace/ }).waitFor({ state: "detached" });
    await hers.reload();
    await hers.getByRole("heading", { name: "Sign in" }).waitFor();
    const { items } = await site.service.client.listAudit({ query: { action: "member." } });
    expect(items.map(({ action }) => action)).toEqual(
      ["added", "invited", "role_changed", "removed"].map((what) => `member.${what}`),
    );
  });

  it("a token is shown once, works, and is revoked", async () => {
    const page = await signedIn("/settings/tokens");
    await page.getByRole("button", { name: "New token" }).click();
    await dialog(page).getByLabel("Name").fill("pipeline");
    await dialog(page).getByRole("button", { name: "Make token" }).click();
    const token = (await page.locator(".token-once code").textContent()) ?? "";
    const ask = () =>
      fetch(`${site.service.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } }).then(
        ({ status }) => status,
      );
    expect(await ask()).toBe(200);
    await page.getByRole("button", { name: "I have kept it" }).click();
    await page.reload();
    await page.getByRole("row", { name: /pipeline/ }).waitFor();
    expect(await page.content()).not.toContain(token);
    await page.getByText(shown.slice(0, 20)).first().waitFor();
    await page.getByRole("button", { name: "Revoke pipeline" }).click();
    await confirm(page, "Revoke token");
    await page.getByRole("row", { name: /pipeline/ }).waitFor({ state: "detached" });
    expect(await ask()).toBe(401);
  });

  it("a key goes in and never comes out; a test call says whether it works", async () => {
    const key = "sk-browser-canary-0123456789-zzzz";
    const page = await signedIn("/providers");
    const answers: string[] = [];
    page.on(
      "response",
      (response) =>
        void response.text().then(
          (text) => answers.push(text),
          () => undefined,
        ),
    );
    const entry = page.getByRole("listitem", { name: "openai" });
    await entry.getByRole("button", { name: "Store a key" }).click();
    await dialog(page).getByLabel("API key").fill(key);
    await dialog(page).getByRole("button", { name: "Store key" }).click();
    await entry.getByText("…zzzz").waitFor();
    await entry.getByRole("button", { name: "Change address" }).click();
    await dialog(page).getByLabel("Base URL").fill(site.service.model.url);
    await dialog(page).getByLabel("private or loopback").check();
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await dialog(page).waitFor({ state: "detached" });
    await entry.getByRole("button", { name: "Test" }).click();
    await entry.getByText("The key is refused.").waitFor();
    const good = page.getByRole("listitem", { name: "anthropic" });
    await good.getByRole("button", { name: "Test" }).click();
    await good.getByText("It works.").waitFor();
    expect(answers.join("\n")).toContain("zzzz");
    expect(answers.join("\n")).not.toContain(key);
    expect(await page.content()).not.toContain(key);
    await entry.getByRole("button", { name: "Forget key" }).click();
    await confirm(page, "Forget key");
    await entry.getByText("no key", { exact: true }).waitFor();
    await page.getByRole("button", { name: "State a price" }).click();
    await dialog(page).getByLabel("Provider").selectOption("openai");
    await dialog(page).getByLabel("Model").fill("house/large-1");
    await dialog(page).getByLabel("Input").fill("0.25");
    await dialog(page).getByLabel("Output").fill("1.25");
    await dialog(page).getByLabel("Source").fill("our contract");
    await dialog(page).getByRole("button", { name: "State price" }).click();
    await dialog(page).waitFor({ state: "detached" });
    const stated = page.getByRole("row", { name: /house\/large-1/ });
    expect(await stated.textContent()).toMatch(/stated here.*\$0\.25\$1\.25\$0\.25\$0\.25our contract/);
    await stated.getByRole("button", { name: "Forget the price of openai/house/large-1" }).click();
    await confirm(page, "Forget price");
    await stated.waitFor({ state: "detached" });
    await page.getByLabel("Filter models").fill("no-such-model");
    await page.getByText("No priced model fits.").waitFor();
  });

  it("a permission is granted by keyboard, and revoked under a running job that then lacks it", async () => {
    const job = await site.service.create({ goal: "Ask [[sleep 1]] [[ask Go on?]] [[calls 1]]", ask: true });
    await site.service.reach(job.id, "awaiting_input");
    const page = await signedIn();
    await page.keyboard.press("g");
    await page.keyboard.press("e");
    await page.getByRole("heading", { level: 1, name: "Permissions" }).waitFor();
    await page.getByRole("button", { name: "Grant", exact: true }).focus();
    await page.keyboard.press("Enter");
    await dialog(page).getByRole("textbox", { name: "Host" }).focus();
    await page.keyboard.type("registry.example.org");
    await page.keyboard.press("Enter");
    await dialog(page).waitFor({ state: "detached" });
    // The focus is where it was before the dialog.
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe("Grant");
    const granted = page.getByRole("row", { name: /registry\.example\.org/ });
    await granted.waitFor();
    expect(await granted.textContent()).toContain("in set-up, agent");
    await page.getByText(shown).waitFor();
    await page.getByLabel("Filter permissions").fill("models anthropic");
    await page.getByRole("button", { name: /^Revoke: Every job may call models of Anthropic/ }).click();
    await asked(page)
      .getByText(/running jobs? loses? it at once/)
      .waitFor();
    await confirm(page, "Revoke");
    await page.getByText("No permission fits the filter.").waitFor();
    await page.getByLabel("with revoked and used up").check();
    await page.getByText("revoked", { exact: true }).waitFor();
    // The sidecar has it from the control channel; the next call of the agent is refused.
    const { openQuestions } = await site.service.reach(job.id, "awaiting_input");
    const [question] = openQuestions;
    await site.service.client.answerQuestion({
      params: { jobId: job.id },
      body: { requestId: question?.requestId ?? "", optionId: question?.options[0]?.optionId ?? "" },
    });
    await expect
      .poll(async () => (await site.service.events(job.id, "model.refused")).map(({ payload }) => payload.code), {
        timeout: 60_000,
      })
      .toContain("not_granted");
    const told = await site.service.events(job.id, "grant.changed");
    expect(told.map(({ payload }) => [payload.type, payload.change])).toContainEqual(["ai.anthropic", "revoked"]);
    await site.service.client.createGrant({
      body: { subject: { kind: "project", id: project }, type: "ai.anthropic", scope: "persistent", reason: "again" },
    });
  });

  it("the audit log is verified, searched, and exported as a file that verifies by itself", async () => {
    const page = await signedIn("/audit");
    await page.getByText(/Chain intact, \d+ entries/).waitFor();
    await page.getByLabel("Search the audit log").fill("secret.set anthropic");
    const list = page.getByRole("list", { name: "Audit log" });
    await expect.poll(() => list.getByRole("listitem").count()).toBe(1);
    await list.locator("summary").click();
    await list.getByText("Before it").waitFor();
    await page.reload();
    await expect.poll(() => list.getByRole("listitem").count()).toBe(1);
    await page.getByLabel("Search the audit log").blur();
    for (const key of ["j", "Enter", "Enter", "k"]) await page.keyboard.press(key);
    expect(await page.evaluate(() => document.activeElement?.textContent)).toContain("secret.set");
    await list.getByText("Before it").waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await list.getByText("Before it").waitFor();
    await page.getByLabel("Search the audit log").fill("nothing has these words");
    await page.getByRole("button", { name: "Show all" }).click();
    await expect.poll(() => list.getByRole("listitem").count()).toBeGreaterThan(10);
    // Two exports race with nothing: entries that come meanwhile are at the end, and the chain holds.
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export" }).click(),
    ]);
    const folder = mkdtempSync(join(tmpdir(), "x1-audit-"));
    const file = join(folder, "audit.jsonl");
    await download.saveAs(file);
    const verdict = await run(["audit", "verify", file]);
    rmSync(folder, { recursive: true });
    expect([verdict.status, verdict.stdout]).toEqual([0, expect.stringContaining("intact")]);
    await page.route("**/audit/verify", (route) =>
      route.fulfill({ json: { intact: false, entries: 6, head: "0".repeat(64), brokenAt: 7 } }),
    );
    await page.getByRole("button", { name: "Verify" }).click();
    await page.getByRole("alert").getByText("Chain broken at entry 7.").waitFor();
  });

  it("the installation is told, and the diagnostics are a file", async () => {
    const page = await signedIn("/settings/installation");
    await page.getByText("Master key", { exact: true }).waitFor();
    await page.getByRole("listitem").filter({ hasText: "database" }).getByLabel("fine").waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Diagnostics" }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^x1agent-diagnostics-[\d-]+\.json$/);
    await open(page, "/settings/storage");
    await page.getByText(/x1 backup --data/).waitFor();
    await page.getByRole("button", { name: "Show what would be freed" }).click();
    await page.getByRole("table", { name: "What would be freed" }).waitFor();
  });

  it("every screen has a look for waiting, nothing, refused, broken and away", async () => {
    const page = await signedIn();
    const problem = (status: number, code: string) => ({
      status,
      contentType: "application/problem+json",
      body: JSON.stringify({
        type: "x",
        title: "No",
        status,
        code,
        detail: `It is ${code}.`,
        hint: "",
        instance: "req_7",
      }),
    });
    const lists = /\/api\/v1\/(grants|audit\?|tokens|members|sessions|providers|prices|installation|account)/;
    for (const [path, heading] of screens) {
      const gate = Promise.withResolvers<void>();
      await page.route(lists, async (route) => {
        await gate.promise;
        await route.fulfill(problem(403, "forbidden"));
      });
      await open(page, path);
      await page.getByRole("heading", { level: 1, name: heading }).waitFor();
      await page.getByRole("status", { name: "Loading" }).first().waitFor();
      gate.resolve();
      await page
        .getByText(/^You may not see/)
        .first()
        .waitFor();
      await page.unroute(lists);
      await page.route(lists, (route) => route.fulfill(problem(500, "internal")));
      await page.reload();
      await page.getByText("req_7").first().waitFor();
      await page.getByRole("button", { name: "Try again" }).first().waitFor();
      await page.unroute(lists);
    }
    const nothing = { items: [], cursor: null };
    await page.route(/\/api\/v1\/(grants|audit\?|tokens|prices)/, (route) => route.fulfill({ json: nothing }));
    for (const [path, sentence] of [
      ["/settings/tokens", "No token yet."],
      ["/permissions", "Nothing is granted"],
      ["/audit", "Nothing has happened yet."],
      ["/providers", "No priced model fits."],
    ] as const) {
      await open(page, path);
      await page.getByText(sentence).waitFor();
    }
    await page.unrouteAll();
    await open(page, "/permissions");
    await page.getByRole("table").waitFor();
    await page.context().setOffline(true);
    await page.getByRole("alert").filter({ hasText: "Offline" }).waitFor();
    await page.getByRole("table").waitFor();
    await page
      .getByRole("button", { name: /^Revoke/ })
      .first()
      .click();
    await asked(page).getByRole("button", { name: "Revoke", exact: true }).click();
    await asked(page)
      .getByText(/No answer/)
      .waitFor();
    await page.context().setOffline(false);
  });

  it("no script that stands in the page itself is run", async () => {
    const page = await stranger();
    await page.goto(site.service.url);
    await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.head.append(script);
    });
    expect(await page.evaluate(() => "ran" in window)).toBe(false);
    expect(site.trespasses.splice(0)).toEqual([expect.stringContaining("Content Security Policy")]);
  });

  it.each(Object.entries(sizes))("pass axe on a %s, light and dark", async (_, viewport) => {
    for (const colorScheme of viewport === sizes.desk ? (["light", "dark"] as const) : (["light"] as const)) {
      const page = await signedIn("/", { viewport, colorScheme });
      for (const [path, heading] of screens) {
        await open(page, path);
        await page.getByRole("heading", { level: 1, name: heading }).waitFor();
        await page.getByRole("status", { name: "Loading" }).first().waitFor({ state: "detached" });
        expect(await accessibilityFindings(page), `${path} ${colorScheme}`).toEqual([]);
        expect(await layoutFindings(page), path).toEqual([]);
      }
      await page.context().close();
      const nobody = await stranger({ viewport, colorScheme });
      await nobody.goto(site.service.url);
      await nobody.getByRole("heading", { name: "Sign in" }).waitFor();
      expect(await accessibilityFindings(nobody), "sign-in").toEqual([]);
      await nobody.context().close();
    }
  });
});
