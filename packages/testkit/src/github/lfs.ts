import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { permissionsOfToken, permits, principalOf, tokenCovers } from "./access.ts";
import { Refused, type Repository } from "./model.ts";
import type { Page } from "./server.ts";
import { repositoryByName } from "./world/repositories.ts";
import type { World } from "./world/world.ts";

/**
 * Git LFS as GitHub plays it for downloads: the batch API below a repository's git address, with the credential that git has,
 * and content at links that carry their own right. Uploads are not played.
 */
export class LfsStore {
  readonly #world: World;
  readonly #objects = new Map<string, Buffer>();
  constructor(world: World) {
    this.#world = world;
  }

  /** Keeps content for a repository; gives the text of its pointer file. */
  keep(repository: Repository, content: Buffer): string {
    const oid = createHash("sha256").update(content).digest("hex");
    this.#objects.set(`${repository.id}/${oid}`, content);
    return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
  }

  readonly page: Page = async (request, response, url) => {
    const content = /^\/lfs-content\/(\d+\/[0-9a-f]{64})$/.exec(url.pathname)?.[1];
    if (content) {
      const found = this.#objects.get(content);
      response.writeHead(found ? 200 : 404, { "content-type": "application/octet-stream" }).end(found);
      return true;
    }
    const at = /^\/([\w.-]+)\/([\w.-]+?)(?:\.git)?\/info\/lfs\/objects\/batch$/.exec(url.pathname);
    if (!at || request.method !== "POST") return false;
    await this.#batch(request, response, at[1] ?? "", at[2] ?? "");
    return true;
  };

  async #batch(request: IncomingMessage, response: ServerResponse, owner: string, name: string): Promise<void> {
    const say = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/vnd.git-lfs+json" }).end(JSON.stringify(body));
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const repository = repositoryByName(this.#world, owner, name)?.repository;
    if (!repository || !this.#mayRead(request, repository)) return void say(404, { message: "Not Found" });
    const { operation, objects } = JSON.parse(Buffer.concat(parts).toString()) as {
      operation: string;
      objects: { oid: string; size: number }[];
    };
    if (operation !== "download") return void say(403, { message: "Uploads are not played." });
    say(200, {
      transfer: "basic",
      objects: objects.map(({ oid, size }) =>
        this.#objects.has(`${repository.id}/${oid}`)
          ? {
              ...{ oid, size, authenticated: true },
              actions: {
                download: { href: `${this.#world.bases.web}/lfs-content/${repository.id}/${oid}`, expires_in: 3600 },
              },
            }
          : { oid, size, error: { code: 404, message: "Object does not exist on the server" } },
      ),
    });
  }

  #mayRead(request: IncomingMessage, repository: Repository): boolean {
    if (!repository.private) return true;
    try {
      const principal = principalOf(this.#world, request.headers.authorization);
      return (
        principal.kind === "token" &&
        tokenCovers(principal.token, repository) &&
        permits(permissionsOfToken(principal.token), "contents:read")
      );
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    }
  }
}
