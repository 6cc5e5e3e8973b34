import { accept, type Outcome, refuse } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { movedTarget } from "./merge.ts";

describe("the look at a branch that was found moved", () => {
  const job = { repository: "https://forge.example/acme/app" };
  const stood = {
    record: { base: "b0", onto: null, commit: "c1", targetBranch: "x1/fix" },
    subject: { expectedOld: "b0" },
  };
  const look = (answer: Outcome<string | null>) =>
    movedTarget({ git: { remoteBranch: async () => answer } }, { job, evidence: stood, credential: null } as never);

  it("finds on what the change is laid", async () => {
    expect(await look(accept("d2"))).toEqual(accept({ onto: null, side: "d2", from: "b0" }));
    for (const same of [null, "b0", "c1"]) expect(await look(accept(same))).toEqual(accept(null));
  });

  it("is waited for where nobody answers, since the approval would be lost, and not where the answer is no", async () => {
    for (const code of ["forge_unavailable", "forge_limited"] as const)
      expect(await look(refuse(code, "nobody there"))).toMatchObject({ ok: false, code });
    expect(await look(refuse("repository_invalid", "no"))).toEqual(accept(null));
  });
});
