import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";

/** One built file, held in memory: the shell is small, and no request can name a path on disk. */
export type WebFile = { body: Uint8Array<ArrayBuffer>; type: string; cache: string };
/** Built files by path in the URL, such as `/assets/index-1a2b.js`; empty when nothing was built. */
export type WebFiles = ReadonlyMap<string, WebFile>;

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** Everything from our own origin, nothing inline, framed by nobody. */
export const webPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Where `apps/web/index.html` leaves room for the nonce of one answer. */
const room = "{nonce}";

/**
 * One answer's page and the policy that belongs to it. The policy lets in style elements with a nonce that nobody could
 * have known before: 128 random bits, made for this answer. Scripts, style attributes and every other style element are
 * refused as everywhere: the nonce stands in `style-src` only.
 */
export function freshPage(page: WebFile): { body: string; policy: string } {
  const nonce = randomBytes(16).toString("base64");
  return {
    body: new TextDecoder().decode(page.body).replace(room, nonce),
    policy: webPolicy.replace("style-src 'self'", `style-src 'self' 'nonce-${nonce}'`),
  };
}

/** Reads the built web app; a folder that is not there gives an empty map. */
export async function readWebFiles(folder: string): Promise<WebFiles> {
  const files = new Map<string, WebFile>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const type = types[extname(entry.name)];
    if (!entry.isFile() || !type) continue;
    const path = join(entry.parentPath, entry.name);
    const url = `/${relative(folder, path).split(sep).join("/")}`;
    // File names below assets/ carry a hash of their content.
    const cache = url.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-store";
    files.set(url, { body: new Uint8Array(await readFile(path)), type, cache });
  }
  return files;
}
