import ignore from "ignore";

/** Where a CODEOWNERS file may lie, first found first. */
export const codeownersPaths = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"] as const;

const MAX_LINES = 5_000;

/**
 * Who owns the changed paths, by a CODEOWNERS file: logins, and teams as `org/team`, without `@`. The last line that matches a
 * path decides, as the forge has it; addresses of e-mail are left out, since nobody can be asked by them. Pure.
 */
export function ownersOf(codeowners: string, paths: readonly string[]): string[] {
  const rules = codeowners
    .split("\n")
    .slice(0, MAX_LINES)
    .flatMap((line) => {
      const [pattern, ...owners] = line
        .replace(/(^|\s)#.*$/, "")
        .trim()
        .split(/\s+/);
      // `!` and character ranges are no part of the format: such a line is skipped, as the forge does.
      if (!pattern || /^!|\[/.test(pattern)) return [];
      return [{ matcher: ignore().add(pattern), owners: owners.filter((one) => /^@[\w.-]+(\/[\w.-]+)?$/.test(one)) }];
    });
  const found = new Set<string>();
  for (const path of paths) {
    // A path that is no plain relative one is nothing a pattern could be about.
    if (!ignore.isPathValid(path)) continue;
    const rule = rules.findLast(({ matcher }) => matcher.ignores(path));
    for (const owner of rule?.owners ?? []) found.add(owner.slice(1));
  }
  return [...found];
}
