import { describe, expect, it } from "vitest";
import { ownersOf } from "./codeowners.ts";

const file = `
# everything
*       @acme/everyone
/docs/  @writer someone@example.com # no one by mail
*.ts    @typist @second
/free.ts
!x      @nobody
`;

describe("owners of paths", () => {
  it("are those of the last line that matches", () => {
    expect(ownersOf(file, ["README.md"])).toEqual(["acme/everyone"]);
    expect(ownersOf(file, ["docs/a.md"])).toEqual(["writer"]);
    expect(ownersOf(file, ["src/a.ts", "src/b.ts"])).toEqual(["typist", "second"]);
  });

  it("may be nobody", () => {
    expect(ownersOf(file, ["free.ts"])).toEqual([]);
    expect(ownersOf("", ["a"])).toEqual([]);
    expect(ownersOf(file, ["../../etc/passwd", "/abs"])).toEqual([]);
  });
});
