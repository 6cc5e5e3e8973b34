import { createHash, randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { permissionsOfToken, permits, principalOf, tokenCovers } from "./access.ts";
import { Refused, type Repository } from "./model.ts";
import type { Page } from "./server.ts";
import { repositoryByName } from "./world/repositories.ts";
import type { World } from "./world/world.ts";

/**
 * Git LFS as GitHub plays it: the batch API below a repository's git address, with the credential that git has, and content at
 * links that carry their own right. What is uploaded is held against its name, and there once it was verified.
 */
export class LfsStore {
  readonly #world: World;
  readonly #objects = new Map<string, Buffer>();
  /** Uploaded and not yet verified. */
  readonly #pending = new Map<string, Buffer>();
  /** Right to upload or verify one object, as its links carry it. */
  readonly #right = `RemoteAuth ${randomUUID()}`;
  constructor(world: World) {
    this.#world = world;
  }

  /** Keeps content for a repository; gives the text of its pointer file. */
  keep(repository: Repository, content: Buffer): string {
    const oid = createHash("sha256").update(content).digest("hex");
    this.#objects.set(`${repository.id}/${oid}`, content);
    return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
  }

  /** Content of a repository by its SHA-256; undefined where it is not, or was not verified. */
  get(repository: Repository, oid: string): Buffer | undefined {
    return this.#objects.get(`${repository.id}/${oid}`);
  }

  /** SHA-256 of all content that a repository has. */
  oids(repository: Repository): string[] {
    const of = `${repository.id}/`;
    return [...this.#objects.keys()].filter((key) => key.startsWith(of)).map((key) => key.slice(of.length));
  }

  readonly page: Page = async (request, response, url) => {
    const content = /^\/lfs-content\/(\d+\/[0-9a-f]{64})$/.exec(url.pathname)?.[1];
    if (content && request.method === "PUT") {
      await this.#put(request, response, content);
      return true;
    }
    const verified = /^\/lfs-verify\/(\d+\/[0-9a-f]{64})$/.exec(url.pathname)?.[1];
    if (verified && request.method === "POST") {
      await this.#verify(request, response, verified);
      return true;
    }
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

  async #put(request: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
    const body = await read(request);
    const oid = createHash("sha256").update(body).digest("hex");
    const right = request.headers.authorization === this.#right;
    const sized = request.headers["content-length"] === String(body.length);
    if (right && sized && key.endsWith(`/${oid}`)) this.#pending.set(key, body);
    response.writeHead(!right ? 403 : !sized ? 411 : key.endsWith(`/${oid}`) ? 200 : 422).end();
  }

  async #verify(request: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
    const { oid, size } = JSON.parse((await read(request)).toString()) as { oid: string; size: number };
    const found = this.#pending.get(key);
    const right = request.headers.authorization === this.#right;
    const whole = right && found?.length === size && key.endsWith(`/${oid}`);
    if (found && whole) this.#objects.set(key, found);
    response.writeHead(whole ? 200 : right ? 422 : 403).end();
  }

  async #batch(request: IncomingMessage, response: ServerResponse, owner: string, name: string): Promise<void> {
    const say = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/vnd.git-lfs+json" }).end(JSON.stringify(body));
    const body = await read(request);
    const repository = repositoryByName(this.#world, owner, name)?.repository;
    if (!repository || !this.#may(request, repository, "read")) return void say(404, { message: "Not Found" });
    const { operation, objects } = JSON.parse(body.toString()) as {
      operation: string;
      objects: { oid: string; size: number }[];
    };
    const uploading = operation === "upload";
    if (uploading && !this.#may(request, repository, "write"))
      return void say(403, { message: "You must have push access to upload." });
    const { web } = this.#world.bases;
    const link = (kind: string, oid: string) => ({
      ...{ href: `${web}/${kind}/${repository.id}/${oid}`, expires_in: 3600 },
      ...(uploading ? { header: { Authorization: this.#right } } : {}),
    });
    say(200, {
      transfer: "basic",
      objects: objects.map(({ oid, size }) => {
        const there = this.#objects.has(`${repository.id}/${oid}`);
        if (uploading)
          return there
            ? { oid, size }
            : { oid, size, actions: { upload: link("lfs-content", oid), verify: link("lfs-verify", oid) } };
        return there
          ? { oid, size, authenticated: true, actions: { download: link("lfs-content", oid) } }
          : { oid, size, error: { code: 404, message: "Object does not exist on the server" } };
      }),
    });
  }

  #may(request: IncomingMessage, repository: Repository, access: "read" | "write"): boolean {
    if (!repository.private && access === "read") return true;
    try {
      const principal = principalOf(this.#world, request.headers.authorization);
      return (
        principal.kind === "token" &&
        tokenCovers(principal.token, repository) &&
        permits(permissionsOfToken(principal.token), `contents:${access}`)
      );
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    }
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}
