import { describe, expect, it } from "vitest";
import { isPermission, mayWrite, trustOfAuthors } from "./trust.ts";

describe("trust by who wrote", () => {
  it("follows what an account may do, not what it is called", () => {
    expect(["admin", "maintain", "write"].every((one) => mayWrite(one as "admin"))).toBe(true);
    expect(["triage", "read", "none"].some((one) => mayWrite(one as "read"))).toBe(false);
  });

  it("takes no word for a permission that only has the name of something else", () => {
    expect(["admin", "none"].every(isPermission)).toBe(true);
    expect(["constructor", "toString", "__proto__", "owner", ""].some(isPermission)).toBe(false);
  });

  it("is decided by the weakest author, and nobody known is from outside", () => {
    expect(trustOfAuthors(["admin", "write"])).toBe("member");
    expect(trustOfAuthors(["admin", "read"])).toBe("outside");
    expect(trustOfAuthors([])).toBe("outside");
  });
});
