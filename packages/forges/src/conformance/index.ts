import { describe, expect, it } from "vitest";
import type { Forge, ForgeRepository } from "../port.ts";

/** What a suite run needs of the place that plays the forge. Names are the forge's own. */
export type ForgeScene = {
  /** Through a connection that may do everything the product needs. */
  forge: Forge;
  /** One whose credential the forge does not accept. */
  revoked: Forge;
  /** `owner/name` of a repository with a default branch `main`, a branch `protected` that is protected, and `change` with another commit. */
  fullName: string;
  /** Number of an issue by `member`, labelled `bug`, with one comment by `outsider`. */
  issue: number;
  member: string;
  outsider: string;
  /** Commit at the head of `change`. */
  commit: string;
  /** Renames the repository at the forge; answers with its new `owner/name`. */
  rename(): Promise<string>;
  /** The next request ends in the way named. */
  fail(how: "unavailable" | "limited"): void;
};

/** What every adapter of the port must hold, whatever the forge. */
export function forgeConformance(name: string, scene: () => ForgeScene): void {
  const value = <T>(outcome: { ok: true; value: T } | { ok: false; code: string; detail: string }): T => {
    if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
    return outcome.value;
  };
  const repository = async (): Promise<ForgeRepository> =>
    value(await scene().forge.getRepository({ fullName: scene().fullName }));

  describe(`${name} as a forge`, () => {
    it("says who it is, and is refused when it is nobody any more", async () => {
      expect(value(await scene().forge.identify())).toMatchObject({ state: "active", missing: [] });
      expect(await scene().revoked.identify()).toMatchObject({ ok: false, code: "forge_unauthorized" });
    });

    it("finds repositories by name, by id and in a list", async () => {
      const { forge, fullName } = scene();
      const found = await repository();
      expect(found).toMatchObject({ fullName, defaultBranch: "main", archived: false, mayPush: true });
      expect(found.cloneUrl).toMatch(/^https?:\/\/[^@]+\.git$/);
      expect(value(await forge.getRepository({ id: found.id }))).toEqual(found);
      const short = fullName.split("/")[1] ?? "";
      expect(value(await forge.listRepositories({ limit: 50, text: short })).items.map(({ id }) => id)).toContain(
        found.id,
      );
      expect(await forge.getRepository({ fullName: `${fullName}-not-there` })).toMatchObject({
        code: "forge_not_found",
      });
      expect(await forge.getRepository({ id: "999999999" })).toMatchObject({ code: "forge_not_found" });
    });

    it("knows branches, and which are protected", async () => {
      const { forge, commit } = scene();
      const at = await repository();
      expect(value(await forge.getBranch(at, "change"))).toEqual({ name: "change", commit, protected: false });
      expect(value(await forge.getBranch(at, "protected"))).toMatchObject({ protected: true });
      expect(value(await forge.getBranch(at, "not-there"))).toBeNull();
    });

    it("reads issues by words, labels and pages, and never a pull request among them", async () => {
      const { forge, issue, member } = scene();
      const at = await repository();
      const all = value(await forge.listIssues(at, { limit: 100 }));
      expect(all.items.find(({ number }) => number === issue)).toMatchObject({
        author: member,
        state: "open",
        labels: ["bug"],
      });
      expect(
        value(await forge.listIssues(at, { limit: 10, labels: ["bug"] })).items.map(({ number }) => number),
      ).toEqual([issue]);
      expect(value(await forge.listIssues(at, { limit: 10, labels: ["no-such"] })).items).toEqual([]);
      const first = value(await forge.listIssues(at, { limit: 1, state: "all" }));
      expect(first.items.length).toBeLessThanOrEqual(1);
      const title = all.items.find(({ number }) => number === issue)?.title ?? "";
      expect(value(await forge.listIssues(at, { limit: 10, text: title })).items.map(({ number }) => number)).toContain(
        issue,
      );
    });

    it("reads an issue with its comments, oldest first", async () => {
      const { forge, issue, member, outsider } = scene();
      const thread = value(await forge.getIssue(await repository(), issue));
      expect(thread).toMatchObject({ issue: { number: issue, author: member }, truncated: false });
      expect(thread.comments.map(({ author }) => author)).toEqual([outsider]);
      expect(await forge.getIssue(await repository(), 99_999)).toMatchObject({ code: "forge_not_found" });
    });

    it("tells what an account may do now; somebody unknown may do nothing", async () => {
      const { forge, member, outsider } = scene();
      const at = await repository();
      expect(["admin", "maintain", "write"]).toContain(value(await forge.getPermission(at, member)));
      expect(["none", "read"]).toContain(value(await forge.getPermission(at, outsider)));
      expect(value(await forge.getPermission(at, "nobody-of-this-name"))).toBe("none");
    });

    it("gives a header for git, and no address with a credential in it", async () => {
      const { forge } = scene();
      const { authorization } = value(await forge.gitCredential(await repository(), "read"));
      expect(authorization).toMatch(/^(Basic|Bearer) [\x21-\x7e]+$/);
    });

    it("opens one pull request for a branch, however often it is asked", async () => {
      const { forge, commit, member } = scene();
      const at = await repository();
      const asked = {
        head: "change",
        base: "main",
        title: "A change",
        body: "Its text.",
        draft: false,
        labels: ["bug"],
      };
      const made = value(await forge.openPullRequest(at, { ...asked, reviewers: [member, "nobody-of-this-name"] }));
      expect(made).toMatchObject({ state: "open", head: { branch: "change", commit, repositoryId: at.id } });
      expect(made.notes.join(" ")).toContain("nobody-of-this-name");
      const again = value(await forge.openPullRequest(at, { ...asked, title: "Another title", reviewers: [] }));
      expect(again).toMatchObject({ number: made.number, title: "Another title" });
      expect(value(await forge.findPullRequests(at, "change", "open")).map(({ number }) => number)).toEqual([
        made.number,
      ]);
      expect(value(await forge.findPullRequests(at, "not-there", "all"))).toEqual([]);
      expect(value(await forge.getPullRequest(at, made.number))).toMatchObject({ number: made.number, state: "open" });
      expect(await forge.openPullRequest(at, { ...asked, head: "not-there", reviewers: [] })).toMatchObject({
        code: "forge_invalid",
      });
    });

    it("says something once for each key, and changes what it said", async () => {
      const { forge, issue } = scene();
      const at = await repository();
      const first = value(await forge.putComment(at, issue, { key: "one", body: "It begins." }));
      expect(value(await forge.putComment(at, issue, { key: "one", body: "It is done." }))).toEqual(first);
      value(await forge.putComment(at, issue, { key: "two", body: "Something else." }));
      const bodies = value(await forge.getIssue(at, issue)).comments.map(({ body }) => body);
      expect(bodies.filter((body) => body.startsWith("It is done."))).toHaveLength(1);
      expect(bodies.filter((body) => body.startsWith("It begins."))).toHaveLength(0);
    });

    it("has one check for each key and commit, which is no check of others", async () => {
      const { forge, commit } = scene();
      const at = await repository();
      const check = { name: "x1agent", key: "job-1", commit, title: "Runs", summary: "It runs.", detailsUrl: null };
      const annotations = Array.from({ length: 60 }, (_, n) => ({
        ...{ path: "README.md", line: n + 1, level: "notice" as const, message: `${n}` },
      }));
      const begun = value(
        await forge.putCheck(at, { ...check, state: "in_progress", conclusion: null, annotations: [] }),
      );
      const ended = value(
        await forge.putCheck(at, { ...check, state: "completed", conclusion: "success", annotations }),
      );
      expect(ended.id).toBe(begun.id);
      expect(value(await forge.listChecks(at, commit))).toEqual([]);
    });

    it("says that it is away, or limited, as what passes", async () => {
      const { forge, fail, fullName } = scene();
      fail("limited");
      expect(await forge.getRepository({ fullName })).toMatchObject({
        code: "forge_limited",
        detail: expect.stringContaining("until"),
      });
      fail("unavailable");
      expect(await forge.getRepository({ fullName })).toMatchObject({ code: "forge_unavailable" });
      expect(await forge.getRepository({ fullName })).toMatchObject({ ok: true });
      expect(forge.limits()).toMatchObject({ limit: expect.any(Number), remaining: expect.any(Number) });
    });

    it("finds a renamed repository by its id", async () => {
      const { forge, rename } = scene();
      const before = await repository();
      const fullName = await rename();
      expect(value(await forge.getRepository({ id: before.id }))).toMatchObject({ id: before.id, fullName });
    });
  });
}
