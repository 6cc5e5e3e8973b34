import { expect, it } from "vitest";
import { description } from "./description.ts";

it("knows every webhook that the stand-in sends, and catches a payload that lacks a part", async () => {
  const known = await description();
  const sent: [string, string?][] = [
    ["installation", "created"],
    ["installation", "deleted"],
    ["installation", "suspend"],
    ["installation", "unsuspend"],
    ["installation", "new_permissions_accepted"],
    ["installation_repositories", "added"],
    ["installation_repositories", "removed"],
    ["installation_target", "renamed"],
    ...["opened", "edited", "closed", "reopened", "labeled", "unlabeled", "assigned", "unassigned"].map(
      (action): [string, string] => ["issues", action],
    ),
    ...["created", "edited", "deleted"].flatMap((action): [string, string][] => [
      ["issue_comment", action],
      ["pull_request_review_comment", action],
    ]),
    ...["opened", "edited", "closed", "reopened", "synchronize", "ready_for_review", "converted_to_draft"].map(
      (action): [string, string] => ["pull_request", action],
    ),
    ["pull_request_review", "submitted"],
    ["pull_request_review", "dismissed"],
    ["check_run", "created"],
    ["check_run", "completed"],
    ["check_run", "rerequested"],
    ["check_suite", "requested"],
    ["check_suite", "completed"],
    ["repository", "created"],
    ["repository", "renamed"],
    ["repository", "transferred"],
    ["repository", "deleted"],
    ["repository", "edited"],
    ["create"],
    ["delete"],
    ["push"],
    ["status"],
    ["ping"],
  ];
  expect(sent.filter(([event, action]) => !known.knowsWebhook(event, action))).toEqual([]);
  expect(known.checkWebhook("issues", "opened", { action: "opened", issue: {} })).toMatchObject({
    where: expect.stringContaining("webhook issues-opened"),
    missing: expect.any(String),
  });
});

it("types what a request says, and finds paths of several segments", async () => {
  const known = await description();
  const found = known.match("GET", "/repos/a/b/contents/src%2Fx/y.ts")!;
  expect([found.operation.id, found.parameters.path]).toEqual(["repos/get-content", "src/x/y.ts"]);
  expect(known.match("GET", "/repos/a/b/contents")?.operation.id).toBe("repos/get-content");
  const list = known.operation("issues/list-for-repo");
  const query = new URLSearchParams("per_page=5&unknown=1");
  expect(known.checkRequest(list, { path: { owner: "a", repo: "b" }, query, body: undefined })).toMatchObject({
    values: { owner: "a", per_page: 5, page: 1 },
  });
  const wrong = new URLSearchParams("per_page=many");
  expect(known.checkRequest(list, { path: { owner: "a", repo: "b" }, query: wrong, body: undefined })).toMatchObject({
    where: "per_page",
  });
});
