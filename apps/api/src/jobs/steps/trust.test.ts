import { expect, it } from "vitest";
import { secretsOf, withheldLogin } from "./trust.ts";

it("says that a job from outside does without its project's own login, where that is the only one", () => {
  const remote = { kind: "https", host: "git.example", port: 443, url: "https://git.example/a.git" } as never;
  const job = (trust: string) =>
    ({ organizationId: "o", projectId: "p", createdBy: { kind: "user", id: "u" }, trust }) as never;
  const own = ["git:git.example"];
  expect(withheldLogin(job("outside"), remote, own, [])).toContain("not git:git.example either");
  expect(withheldLogin(job("member"), remote, own, [])).toBeNull();
  expect(withheldLogin(job("outside"), remote, own, ["git:git.example:443"])).toBeNull();
  expect(withheldLogin(job("outside"), remote, ["git:other.example"], [])).toBeNull();
});

it("gives a project's own secrets to no job whose words come from outside, or that no person made", () => {
  const job = (change: object) =>
    ({ organizationId: "o", projectId: "p", createdBy: { kind: "user", id: "u" }, trust: null, ...change }) as never;
  const policy = { createdBy: { kind: "policy", id: "auto" } };
  expect(secretsOf(job({}))).toEqual({ organizationId: "o", projectId: "p" });
  for (const change of [{ trust: "outside" }, policy])
    expect(secretsOf(job(change))).toEqual({ organizationId: "o", projectId: null });
});
