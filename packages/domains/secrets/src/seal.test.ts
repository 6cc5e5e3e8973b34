import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seal, unseal } from "./seal.ts";

const key = randomBytes(32);
const org = { organizationId: "org", projectId: null };

describe("a sealed secret", () => {
  it("opens with its key, organization and name", () =>
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }),
        (value) => unseal(key, org, "name", seal(key, org, "name", value)) === value,
      ),
    ));
  it("opens with nothing else", () => {
    const sealed = seal(key, org, "name", "value");
    expect(() => unseal(randomBytes(32), org, "name", sealed)).toThrow(/master key/);
    expect(() => unseal(key, { ...org, organizationId: "other" }, "name", sealed)).toThrow(/master key/);
    expect(() => unseal(key, org, "other", sealed)).toThrow(/master key/);
    const own = seal(key, { ...org, projectId: "a" }, "name", "value");
    expect(unseal(key, { ...org, projectId: "a" }, "name", own)).toBe("value");
    // A project's opens for that project, not for another one and not for all.
    for (const projectId of ["b", null])
      expect(() => unseal(key, { ...org, projectId }, "name", own)).toThrow(/master key/);
    expect(() => unseal(key, { ...org, projectId: "a" }, "name", sealed)).toThrow(/master key/);
    // Organization and name are told apart, however they are cut.
    expect(() => unseal(key, { ...org, organizationId: "or" }, "gname", sealed)).toThrow(/master key/);
  });
  it("does not open when any bit was changed or its end is missing", () => {
    const sealed = seal(key, org, "name", "value");
    for (let i = 0; i < sealed.length; i += 1) {
      const changed = Buffer.from(sealed);
      changed[i]! ^= 1;
      expect(() => unseal(key, org, "name", changed), `byte ${i}`).toThrow(/master key/);
    }
    for (const length of [0, 1, 40, 61, sealed.length - 1])
      expect(() => unseal(key, org, "name", sealed.subarray(0, length))).toThrow(/master key/);
  });
  it("is another text each time", () => {
    const value = "sk-canary-0123456789";
    const sealed = seal(key, org, "name", value);
    expect(sealed.equals(seal(key, org, "name", value))).toBe(false);
    expect(sealed.includes(value)).toBe(false);
  });
});
