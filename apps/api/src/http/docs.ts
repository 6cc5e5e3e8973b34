import { createHash } from "node:crypto";
import { errorCodes } from "@x1agent/contract";
import { openApi } from "./openapi.ts";

type Json = Record<string, unknown>;
type Operation = {
  operationId: string;
  summary: string;
  tags: string[];
  "x-scope"?: string;
  parameters: { name: string; in: string; required: boolean; schema: Json }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; content: Record<string, Json> }>;
};

const style = `:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 16%,transparent);--quiet:color-mix(in srgb,currentColor 62%,transparent)}
body{font:14px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:24px 16px 64px}
h1{font-size:22px;margin:0}h2{font-size:15px;margin:40px 0 8px;text-transform:capitalize}
code,pre{font:13px/1.5 ui-monospace,monospace}pre{overflow:auto;padding:12px;border:1px solid var(--line);border-radius:6px;max-height:28rem}
details{border-top:1px solid var(--line)}summary{cursor:pointer;padding:8px 0;display:flex;gap:12px;align-items:baseline;flex-wrap:wrap}
summary b{font:600 12px ui-monospace,monospace;min-width:4rem}summary span{color:var(--quiet);margin-left:auto;text-align:right}
table{border-collapse:collapse;width:100%;margin:8px 0 16px}td,th{border-top:1px solid var(--line);padding:4px 12px 4px 0;text-align:left;vertical-align:top}
p.quiet,td.quiet{color:var(--quiet)}h3{font-size:13px;margin:12px 0 4px}`;

let cached: { html: string; csp: string } | undefined;

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (found) => `&#${found.codePointAt(0)};`);

/** The reference page: one static document without scripts or outside assets, made from the OpenAPI document. */
export function docsPage(): { html: string; csp: string } {
  cached ??= build();
  return cached;
}

function build(): { html: string; csp: string } {
  const document = openApi() as {
    info: { version: string; description: string };
    paths: Record<string, Record<string, Operation>>;
  };
  const groups = new Map<string, string[]>();
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(methods)) {
      const group = operation.tags[0] ?? "service";
      groups.set(group, [...(groups.get(group) ?? []), operationHtml(method, path, operation)]);
    }
  const sections = [...groups]
    .map(([name, operations]) => `<h2>${escapeHtml(name)}</h2>${operations.join("")}`)
    .join("");
  const codes = Object.entries(errorCodes)
    .map(
      ([code, entry]) =>
        `<tr><td><code>${code}</code></td><td>${entry.status}</td><td>${escapeHtml(entry.title)}</td><td class="quiet">${escapeHtml(entry.hint)}</td></tr>`,
    )
    .join("");
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>x1agent API</title><style>${style}</style></head><body>
<h1>x1agent API</h1><p class="quiet">Contract ${escapeHtml(document.info.version)}. ${escapeHtml(document.info.description)} The same as data: <a href="/openapi.json">/openapi.json</a>.</p>
${sections}
<h2>Error codes</h2><p class="quiet">Every failure is <code>application/problem+json</code> with one of these codes.</p><table><tr><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr>${codes}</table></body></html>`;
  const hash = createHash("sha256").update(style).digest("base64");
  return { html, csp: `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'; base-uri 'none'` };
}

function operationHtml(method: string, path: string, operation: Operation): string {
  const scope = operation["x-scope"];
  const parameters = operation.parameters
    .map(
      (p) =>
        `<tr><td><code>${escapeHtml(p.name)}</code></td><td>${p.in}${p.required ? ", required" : ""}</td><td class="quiet"><code>${escapeHtml(JSON.stringify(p.schema))}</code></td></tr>`,
    )
    .join("");
  const body = operation.requestBody?.content["application/json"]?.schema;
  const answers = Object.entries(operation.responses)
    .map(([status, r]) => `<tr><td>${status}</td><td>${escapeHtml(r.description)}</td></tr>`)
    .join("");
  const done = Object.entries(operation.responses).find(([status]) => status.startsWith("2"))?.[1];
  return `<details id="${operation.operationId}"><summary><b>${method.toUpperCase()}</b><code>${escapeHtml(path)}</code><span>${escapeHtml(operation.summary)}</span></summary>
<p class="quiet">${scope ? `Scope <code>${scope}</code>.` : "Public."} Client method <code>${operation.operationId}</code>.</p>
${parameters ? `<h3>Parameters</h3><table>${parameters}</table>` : ""}
${body ? `<h3>Body</h3><pre>${escapeHtml(JSON.stringify(body, null, 2))}</pre>` : ""}
<h3>Answers</h3><table>${answers}</table>
${done ? `<pre>${escapeHtml(JSON.stringify(Object.values(done.content)[0]?.schema ?? {}, null, 2))}</pre>` : ""}</details>`;
}
