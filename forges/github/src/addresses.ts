import { accept, type Outcome, refuse } from "@x1agent/contract";

export const githubCom = "https://github.com";

/**
 * Where a GitHub answers, by the address that people know: `https://github.com`, or that of an Enterprise Server, whose API is
 * below `/api/v3`. Plain HTTP is for this machine only: tokens go over it. Pure.
 */
export function githubAddresses(baseUrl: string): Outcome<{ apiUrl: string; webUrl: string }> {
  const text = baseUrl
    .trim()
    .replace(/\/+$/, "")
    .replace(/\/api\/v3$/, "");
  const url = URL.canParse(text) ? new URL(text) : null;
  if (
    !url ||
    (url.protocol !== "https:" && url.protocol !== "http:") ||
    url.username ||
    url.password ||
    url.search ||
    url.hash
  )
    return refuse("invalid_request", "The address of a GitHub is like https://github.example.com.");
  if (url.protocol === "http:" && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname))
    return refuse("invalid_request", "A GitHub is reached over https:// only: a token would be readable on the way.");
  if (/^(www\.|api\.)?github\.com$/.test(url.hostname))
    return accept({ apiUrl: "https://api.github.com", webUrl: githubCom });
  const webUrl = `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  return accept({ apiUrl: `${webUrl}/api/v3`, webUrl });
}
