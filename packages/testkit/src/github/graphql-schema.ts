import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { buildASTSchema, type GraphQLSchema, parse } from "graphql";

let known: GraphQLSchema | undefined;

/** GitHub's published GraphQL schema (`@octokit/graphql-schema`), read when it is first asked for and once for a process. */
export function githubSchema(): GraphQLSchema {
  if (known) return known;
  // The file itself: the package's entry would read the same once more, as 5 MB of JSON.
  const folder = dirname(findPackageJSON("@octokit/graphql-schema", import.meta.url) ?? "");
  const document = parse(readFileSync(join(folder, "schema.graphql"), "utf8"), { noLocation: true });
  // Its marks of deprecated fields are not what the specification wants of them; that is no matter here.
  known = buildASTSchema(document, { assumeValid: true, assumeValidSDL: true });
  return known;
}
