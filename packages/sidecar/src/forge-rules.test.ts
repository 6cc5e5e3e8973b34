import type { SidecarForge } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { graphqlBase, MAX_COMMENT, parseComment, parseForgeCall, withoutTokens } from "./forge-rules.ts";

const forge: SidecarForge = {
  ...{ kind: "github", repository: "origin", api: "https://api.forge.example", fullName: "acme/app" },
  conversations: [7, 12],
};
const ask = (target: string, method = "GET", accept?: string) => parseForgeCall(forge, method, target, accept);

describe("what is read of a forge", () => {
  it.each([
    ...[
      "",
      "/issues",
      "/issues/7",
      "/issues/9",
      "/issues/7/comments?per_page=100&page=2",
      "/pulls?state=open&head=acme:x1/a",
    ],
    ...["/pulls/12/files", "/pulls/12/reviews/3/comments", "/commits/x1%2Fa/check-runs", "/commits/abc123/status"],
    ...[
      "/contents",
      "/contents/docs/a%20b/c.md?ref=main",
      "/contents/.github/workflows/ci.yml",
      "/contents/caf%C3%A9.txt",
    ],
    ...[
      "/compare/main...x1%2Fa",
      "/branches/release%2F1",
      "/check-runs/55/annotations",
      "/issues?labels=bug,help%20wanted",
    ],
  ])("has /repos/acme/app%s", (rest) => {
    const call = ask(`/github/repos/acme/app${rest}`);
    expect(call).toMatchObject({ purpose: "forge.read" });
    if ("path" in call)
      expect(decodeURIComponent(call.path.replaceAll("+", " "))).toBe(decodeURIComponent(`/repos/acme/app${rest}`));
  });

  it.each([
    // Another repository, or something that is none.
    ...[
      "/repos/acme/other",
      "/repos/acme/app2",
      "/repos/acme/app.git",
      "/repos/acme",
      "/user",
      "/user/repos",
      "/gists",
    ],
    ...[
      "/orgs/acme",
      "/search/code?q=x",
      "/repositories/1",
      "/notifications",
      "/installation/repositories",
      "/rate_limit",
      "/",
    ],
    // The same in another spelling.
    ...["/REPOS/acme/app", "/repos/ACME/app", "/repos/acme/App/issues", "/repos/acme/app/Issues", "//repos/acme/app"],
    ...[
      "/repos//acme/app",
      "/repos/acme/app//issues",
      "/repos/acme/app/",
      "/./repos/acme/app",
      "/repos/acme/app/issues/",
    ],
    ...[
      "/repos/acme/%61pp",
      "/repos/acme%2Fapp",
      "/repos/acme/app/%69ssues",
      "\\repos\\acme\\app",
      "/repos/acme/app;x",
    ],
    // Out of the repository.
    ...["/repos/../user", "/repos/acme/app/..", "/repos/acme/app/../other", "/repos/acme/app/contents/../../other"],
    ...[
      "/repos/acme/app/%2e%2e/other",
      "/repos/acme/app/contents/%2e%2e/%2e%2e/other",
      "/repos/acme/app/contents/..%2fother",
    ],
    ...[
      "/repos/acme/app/contents/%252e%252e/x",
      "/repos/acme/app/contents/a%00b",
      "/repos/acme/app/contents/a%5c..%5cb",
    ],
    ...[
      "/repos/acme/app/contents/.",
      "/repos/acme/app/contents/a//b",
      "/repos/acme/app/contents/a%3Fb",
      "/repos/acme/app/contents/%ff",
    ],
    ...[
      "/repos/acme/app/commits/..%2F..%2Fother",
      "/repos/acme/app/commits/../../other",
      "/repos/acme/app/commits/%2Fx",
      "/repos/acme/app/commits/a..b",
    ],
    ...["/repos/acme/app/compare/main...acme:other:main", "/repos/acme/app/compare/main"],
    // Of the repository, and not served.
    ...[
      "/repos/acme/app/keys",
      "/repos/acme/app/hooks",
      "/repos/acme/app/actions/secrets",
      "/repos/acme/app/collaborators",
    ],
    ...[
      "/repos/acme/app/zipball/main",
      "/repos/acme/app/tarball",
      "/repos/acme/app/forks",
      "/repos/acme/app/traffic/clones",
    ],
    ...[
      "/repos/acme/app/issues/0",
      "/repos/acme/app/issues/-1",
      "/repos/acme/app/issues/7x",
      "/repos/acme/app/issues/7/lock",
    ],
    // Queries.
    ...[
      "/repos/acme/app?access_token=x",
      "/repos/acme/app/issues?page=1&page=2",
      "/repos/acme/app/issues?per_page=1000",
    ],
    ...[
      "/repos/acme/app/issues?_method=DELETE",
      "/repos/acme/app/issues?state=a%0ab",
      "/repos/acme/app?a?b",
      "/repos/acme/app/issues?constructor=1",
    ],
    ...[`/repos/acme/app/contents/${"a/".repeat(1_100)}a`, "/graphql?query=x", "/graphql/", "/api/graphql", "/GraphQL"],
    "/repos/acme/app/issues/7/timeline",
  ])("has no %s", (path) => {
    for (const method of ["GET", "POST"])
      expect(ask(`/github${path}`, method), method).toMatchObject({ code: "path_refused" });
  });

  it.each(["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "Post"])("has no method %s", (method) => {
    for (const path of ["/repos/acme/app", "/repos/acme/app/contents/README.md", "/repos/acme/app/issues/7/comments"])
      expect(ask(`/github${path}`, method)).toMatchObject({ code: "path_refused" });
  });

  it("takes GraphQL at one address, whose other one is the forge's own", () => {
    expect(ask("/github/graphql", "POST")).toEqual({ purpose: "forge.read", graphql: true });
    expect(ask("/github/graphql", "GET")).toMatchObject({ code: "path_refused" });
    expect(graphqlBase("https://api.github.com")).toBe("https://api.github.com");
    expect(graphqlBase("https://forge.example/api/v3")).toBe("https://forge.example/api");
  });

  it("is asked for in forms of a list only", () => {
    expect(ask("/github/repos/acme/app/pulls/12", "GET", "application/vnd.github.diff")).toMatchObject({
      accept: "application/vnd.github.diff",
    });
    expect(ask("/github/repos/acme/app/pulls/12", "GET", "text/html\r\nx: y")).toMatchObject({
      accept: "application/vnd.github+json",
    });
  });
});

describe("what is said on a forge", () => {
  it("is a comment on the job's own issue and pull request", () => {
    expect(ask("/github/repos/acme/app/issues/7/comments", "POST")).toMatchObject({
      purpose: "forge.comment",
      number: 7,
    });
    expect(ask("/github/repos/acme/app/pulls/12/comments/99/replies", "POST")).toMatchObject({
      purpose: "forge.comment",
      number: 12,
    });
  });
  it.each([
    ...[
      "/issues/8/comments",
      "/pulls/7000/comments/1/replies",
      "/issues/7/comments?x=1",
      "/issues",
      "/issues/7",
      "/issues/7/labels",
    ],
    ...[
      "/issues/7/assignees",
      "/pulls",
      "/pulls/12/reviews",
      "/pulls/12/merge",
      "/git/refs",
      "/contents/a",
      "/dispatches",
    ],
    ...["/issues/comments/1", "/statuses/abc", "/check-runs", "/releases", "/forks", "/merges"],
  ])("is nothing by POST %s", (rest) => {
    expect(ask(`/github/repos/acme/app${rest}`, "POST")).toMatchObject({ code: "path_refused" });
  });
  it("has a text and nothing else", () => {
    expect(parseComment(Buffer.from('{"body":"Done."}'))).toEqual({ text: "Done." });
    expect(parseComment(Buffer.from(JSON.stringify({ body: "x".repeat(MAX_COMMENT) })))).toHaveProperty("text");
    for (const [body, code] of [
      [JSON.stringify({ body: "x".repeat(MAX_COMMENT + 1) }), "body_too_large"],
      ['{"body":"a","labels":["x"]}', "field_refused"],
      ['{"body":"a","__proto__":1}', "field_refused"],
      ['{"body":" "}', "invalid_request"],
      ['{"body":["a"]}', "invalid_request"],
      ['["body"]', "invalid_request"],
      ["body=a", "invalid_request"],
      ['{"body":"\xff"}', "invalid_request"],
      ["", "invalid_request"],
    ] as const)
      expect(parseComment(Buffer.from(body, "latin1")), body.slice(0, 50)).toMatchObject({ code });
  });
});

it("a forge's answer is freed of what is a credential itself", () => {
  expect(
    withoutTokens({
      temp_clone_token: "AAAA",
      id: 1,
      list: [
        { download_url: "https://raw.forge.example/a/b?token=AAAA", html_url: "https://forge.example/a?tab=readme" },
      ],
      body: "see https://example.com/?token=x for more",
      none: null,
    }),
  ).toEqual({
    id: 1,
    list: [{ download_url: "https://raw.forge.example/a/b", html_url: "https://forge.example/a?tab=readme" }],
    body: "see https://example.com/?token=x for more",
    none: null,
  });
});
