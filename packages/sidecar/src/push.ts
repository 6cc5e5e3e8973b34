import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import {
  Fault,
  type GitCredentialReply,
  repositoryGrants,
  type SidecarPolicy,
  type SidecarRepository,
} from "@x1agent/contract";
import { refuse, responseHeaders } from "./http.ts";
import { PacketError, PacketReader } from "./pkt-line.ts";
import {
  type Command,
  compareWithRemote,
  judgePush,
  MAX_HEAD_BYTES,
  type PushGrant,
  type PushHead,
  parseHead,
  refusalReport,
  writeHead,
} from "./push-rules.ts";
import { answerOf, type Remotes, SILENCE_MS } from "./remotes.ts";
import type { Traffic } from "./traffic.ts";

/**
 * Pushes of the workspace's own, where a grant of type repo.push allows them. Stages of one push and their invariants:
 *
 *   listing handed through -> command list read whole -> judged -> remote's own listing compared -> credential for this push
 *   -> list written anew, pack handed on and counted -> report read on its way back -> observed
 *
 * - Before the judgement nothing of the request goes up; one refused command refuses all of them.
 * - What is refused is said in git's own report, so that the one who pushed reads a sentence.
 * - What was pushed is what the remote reported, or what it shows when its report was lost.
 */
type PushDeps = {
  remotes: Remotes;
  traffic: Traffic;
  pushBytes: number;
  policy(): SidecarPolicy | null;
  onPolicy(listener: (policy: SidecarPolicy) => void): void;
  note(type: string, payload: Record<string, unknown>): void;
  use(grantId: string): Promise<boolean>;
  /** The credential of one push of these branches; a Fault where the control plane says no. */
  credential(repository: SidecarRepository, branches: string[]): Promise<GitCredentialReply>;
};

const MAX_PUSHES = 2;
/** Refusals that are put on record: who tries on and on says nothing new. */
const MAX_TOLD = 500;
/** Listings that are longer are not read on. */
const MAX_LISTING = 64 * 1024 ** 2;
const MAX_REPORT = 256 * 1024;
const RESULT = "application/x-git-receive-pack-result";

export class Pushes {
  readonly #deps: PushDeps;
  /** What this workspace made of branches, by repository and ref. */
  readonly #own = new Map<string, Map<string, string>>();
  /** Grants for one use that a push has taken. */
  readonly #spent = new Set<string>();
  readonly #running = new Set<{ repository: SidecarRepository; head: PushHead; end(): void }>();
  #waiting = 0;
  #told = 0;

  constructor(deps: PushDeps) {
    this.#deps = deps;
    deps.onPolicy((policy) => {
      for (const push of this.#running)
        if (judgePush(push.head, this.#facts(policy, push.repository, true)).refused.size > 0) push.end();
    });
  }

  /** Why a push to the repository cannot even begin, or null. */
  barred(policy: SidecarPolicy, repository: SidecarRepository): string | null {
    if (this.#deps.traffic.phase !== "agent") return "Only the agent pushes, not a set-up or a verification.";
    if (!policy.push?.some((open) => open.repository === repository.name))
      return "This remote is for fetching: the platform publishes what was approved.";
    if (this.#grants(policy, repository, false).length === 0)
      return "No grant of type repo.push covers this repository.";
    return null;
  }

  async serve(repository: SidecarRepository, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#waiting >= MAX_PUSHES) return refuse(response, "rate_limited", "Too many pushes at once.");
    this.#waiting += 1;
    try {
      request.setTimeout(SILENCE_MS, () => request.destroy());
      await this.#push(repository, request, response);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #push(repository: SidecarRepository, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces = request[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const { "content-type": type, "content-encoding": encoding } = request.headers;
    const read =
      type === "application/x-git-receive-pack-request" && encoding === undefined
        ? await readHead(pieces)
        : "This is no push of git's as it is.";
    if (typeof read === "string") {
      this.#refused(repository, "", read);
      await this.#drained(pieces);
      return refuse(response, "path_refused", read, { connection: "close" });
    }
    const { head, begun } = read;
    // git asks so whether it is let in, before it sends what is large.
    if (head.commands.length === 0) return answer(response, Buffer.alloc(0), await this.#drained(pieces));
    const no = async (refused: Map<string, string>, unread = false) => {
      for (const [ref, detail] of [...refused].slice(0, 10)) this.#refused(repository, ref, detail);
      answer(response, refusalReport(head, refused), !unread && (await this.#drained(pieces)));
    };
    const all = (detail: string, unread = false) => no(new Map(head.commands.map(({ ref }) => [ref, detail])), unread);

    const policy = this.#deps.policy();
    if (!policy) return all("the control plane is out of reach");
    const judged = judgePush(head, this.#facts(policy, repository, false));
    if (judged.refused.size > 0) return no(judged.refused);
    const length = Number(request.headers["content-length"] ?? 0);
    if (length > this.#deps.pushBytes) return all(`a push has at most ${this.#deps.pushBytes} bytes`, true);
    const pack = await readAtLeast(pieces, begun, 4);
    if (pack.toString("latin1", 0, 4) !== "PACK") return all("it brings no pack");

    try {
      const listed = await this.#listing(repository, head.commands);
      const moved = compareWithRemote(head.commands, listed);
      if (moved.size > 0) return await no(moved);
      const { authorization } = await this.#deps.credential(
        repository,
        head.commands.map(({ ref }) => ref.slice("refs/heads/".length)),
      );
      for (const grant of judged.grants)
        if (grant.once) {
          if (this.#spent.has(grant.id) || !(await this.#deps.use(grant.id)))
            return await all("its grant was for one push, and is used up");
          this.#spent.add(grant.id);
        }
      // What was granted may have been taken back meanwhile.
      const now = this.#deps.policy();
      if (!now || judgePush(head, this.#facts(now, repository, true)).refused.size > 0)
        return await all("its grant was revoked");
      await this.#forward({ repository, head, pieces, pack, authorization, response });
    } catch (error) {
      if (response.headersSent) throw error;
      await all(error instanceof Fault ? error.message : "the remote could not be reached");
    }
  }

  async #forward(push: {
    repository: SidecarRepository;
    head: PushHead;
    pieces: AsyncIterator<Buffer>;
    pack: Buffer;
    authorization: string | null;
    response: ServerResponse;
  }): Promise<void> {
    const { repository, head, pieces, response } = push;
    const { remotes, traffic, pushBytes } = this.#deps;
    const upstream = await remotes.request(repository, "push", repository.url, {
      ...{ path: "git-receive-pack", method: "POST", authorization: push.authorization },
      headers: { "content-type": "application/x-git-receive-pack-request", accept: RESULT },
    });
    let stopped: string | null = null;
    let halt = () => {};
    const halted = new Promise<{ done: true; value: undefined }>((resolve) => {
      halt = () => resolve({ done: true, value: undefined });
    });
    const stop = (why: string) => {
      stopped ??= why;
      upstream.destroy();
      halt();
    };
    const running = { repository, head, end: () => stop("its grant was revoked") };
    const open = { end: () => stop("the phase or its bytes have come to an end") };
    this.#running.add(running);
    traffic.open.add(open);
    response.on("close", () => {
      if (!response.writableFinished) stop("the client went away");
    });
    const answer = answerOf(upstream);
    let answered = false;
    const early = () => {
      answered = true;
      halt();
    };
    answer.then(early, early);
    let bytes = 0;
    try {
      upstream.write(writeHead(head));
      for (let piece = push.pack; ; ) {
        bytes += piece.length;
        if (bytes > pushBytes) stop(`a push has at most ${pushBytes} bytes`);
        else if (!traffic.count(piece.length)) stop("the phase's bytes are used up");
        if (stopped !== null || answered) break;
        if (!(await written(upstream, piece))) break;
        const next = await Promise.race([pieces.next(), halted]);
        if (next.done) break;
        piece = next.value;
      }
      if (stopped === null) upstream.end();
      const incoming = await answer;
      remotes.judge(repository, "push", incoming);
      const report = new ReportReader();
      response.writeHead(incoming.statusCode ?? 502, responseHeaders(incoming.headers));
      for await (const piece of incoming as AsyncIterable<Buffer>) {
        report.add(piece);
        if (!response.write(piece) && !response.destroyed)
          await new Promise<void>((resolve) => response.once("drain", resolve).once("close", resolve));
      }
      response.end();
      this.#pushed(
        repository,
        head.commands.filter(({ ref }) => incoming.statusCode === 200 && report.ok(ref)),
        bytes,
      );
    } catch (error) {
      // All of it may have arrived, and only the report be lost.
      const listed = await this.#listing(repository, head.commands).catch(() => null);
      this.#pushed(
        repository,
        head.commands.filter(({ ref, new: to }) => listed?.get(ref) === to),
        bytes,
      );
      throw stopped === null ? error : new Fault("quota_exceeded", stopped);
    } finally {
      this.#running.delete(running);
      traffic.open.delete(open);
      upstream.destroy();
    }
  }

  #refused(repository: SidecarRepository, ref: string, detail: string): void {
    if (this.#told++ < MAX_TOLD)
      this.#deps.note("git.refused", {
        repository: repository.name,
        ref: ref.slice(0, 300),
        detail: detail.slice(0, 500),
      });
  }

  #pushed(repository: SidecarRepository, commands: readonly Command[], bytes: number): void {
    const own = this.#own.get(repository.name) ?? new Map<string, string>();
    this.#own.set(repository.name, own);
    for (const { ref, old, new: to } of commands) {
      own.set(ref, to);
      this.#deps.note("git.pushed", { repository: repository.name, ref, old, new: to, bytes });
    }
  }

  /** What the remote's own listing says of the refs that the commands name. */
  async #listing(repository: SidecarRepository, commands: readonly Command[]): Promise<Map<string, string>> {
    const upstream = await this.#deps.remotes.request(repository, "push", repository.url, {
      ...{ path: "info/refs?service=git-receive-pack", method: "GET", headers: {} },
    });
    upstream.end();
    const incoming = await answerOf(upstream);
    this.#deps.remotes.judge(repository, "push", incoming);
    if (incoming.statusCode !== 200) {
      incoming.resume();
      throw new Fault("upstream_failed", `the remote answered ${incoming.statusCode} to the question for its branches`);
    }
    const named = new Set(commands.map(({ ref }) => ref));
    const refs = new Map<string, string>();
    const reader = new PacketReader();
    let [size, flushes] = [0, 0];
    for await (const piece of incoming as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > MAX_LISTING) throw new Fault("upstream_failed", "the remote has too many branches");
      reader.add(piece);
      for (let found = reader.next(); found !== null; found = reader.next()) {
        if (found === "flush") flushes += 1;
        else {
          const line = /^([0-9a-f]{40}) ([^\0\n]+)/.exec(found.toString("latin1"));
          if (line?.[2] !== undefined && named.has(line[2])) refs.set(line[2], line[1] ?? "");
        }
      }
    }
    // One after the service's name, one at the end: a listing that broke off says nothing of what is not in it.
    if (flushes < 2) throw new Fault("upstream_failed", "the remote's list of branches broke off");
    return refs;
  }

  #grants(policy: SidecarPolicy, repository: SidecarRepository, spentToo: boolean): PushGrant[] {
    return repositoryGrants(policy.grants, "push", repository).filter(({ id }) => spentToo || !this.#spent.has(id));
  }

  #facts(policy: SidecarPolicy, repository: SidecarRepository, spentToo: boolean) {
    const open = policy.push?.find(({ repository: name }) => name === repository.name);
    const may = open !== undefined && !policy.stopped && this.#deps.traffic.phase === "agent";
    return {
      grants: may ? this.#grants(policy, repository, spentToo) : [],
      protected: open?.protected ?? ["*"],
      own: this.#own.get(repository.name) ?? new Map<string, string>(),
    };
  }

  /** Reads what still comes, as git wants it before an answer; false when it is far too much. */
  async #drained(pieces: AsyncIterator<Buffer>): Promise<boolean> {
    let size = 0;
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
      size += next.value.length;
      if (size > this.#deps.pushBytes) return false;
    }
    return true;
  }
}

/** An answer in git's own form. */
function answer(response: ServerResponse, body: Buffer, more: boolean): void {
  response
    .writeHead(200, { "content-type": RESULT, "cache-control": "no-cache", ...(more ? {} : { connection: "close" }) })
    .end(body);
}

/** The command list, and what came behind it; a sentence where it is none. */
async function readHead(pieces: AsyncIterator<Buffer>): Promise<{ head: PushHead; begun: Buffer } | string> {
  const reader = new PacketReader();
  const packets: Buffer[] = [];
  let size = 0;
  try {
    for (;;) {
      for (let found = reader.next(); found !== null; found = reader.next()) {
        if (found === "flush") {
          const head = parseHead(packets);
          return typeof head === "string" ? head : { head, begun: reader.rest() };
        }
        size += found.length + 4;
        if (size > MAX_HEAD_BYTES) return `The push's list of commands is longer than ${MAX_HEAD_BYTES} bytes.`;
        packets.push(found);
      }
      const next = await pieces.next();
      if (next.done) return "The push ends within its list of commands.";
      reader.add(next.value);
    }
  } catch (error) {
    if (error instanceof PacketError) return error.message;
    throw error;
  }
}

async function readAtLeast(pieces: AsyncIterator<Buffer>, begun: Buffer, bytes: number): Promise<Buffer> {
  let held = begun;
  while (held.length < bytes) {
    const next = await pieces.next();
    if (next.done) break;
    held = Buffer.concat([held, next.value]);
  }
  return held;
}

/** Writes with backpressure; false when the other end has answered or gone, so that nothing more is wanted. */
function written(upstream: ClientRequest, piece: Buffer): Promise<boolean> {
  if (upstream.destroyed) return Promise.resolve(false);
  if (upstream.write(piece)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const done = (more: boolean) => () => {
      upstream.off("drain", drained).off("close", gone).off("response", gone);
      resolve(more);
    };
    const [drained, gone] = [done(true), done(false)];
    upstream.once("drain", drained).once("close", gone).once("response", gone);
  });
}

/** Reads in passing how a push went: the report of status, plain or in the first band of several. */
class ReportReader {
  readonly #outer = new PacketReader();
  readonly #inner = new PacketReader();
  readonly #ok = new Set<string>();
  #size = 0;
  #unpacked = false;
  #banded: boolean | null = null;
  #broken = false;

  add(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#broken || this.#size > MAX_REPORT) return;
    try {
      this.#outer.add(piece);
      for (let found = this.#outer.next(); found !== null; found = this.#outer.next()) {
        if (found === "flush") continue;
        this.#banded ??= (found[0] ?? 0) <= 3;
        if (!this.#banded) this.#line(found);
        else if (found[0] === 1) {
          this.#inner.add(found.subarray(1));
          for (let line = this.#inner.next(); line !== null; line = this.#inner.next())
            if (line !== "flush") this.#line(line);
        }
      }
    } catch {
      this.#broken = true;
    }
  }

  /** Whether the remote said that it took the ref. */
  ok(ref: string): boolean {
    return this.#unpacked && this.#ok.has(ref);
  }

  #line(bytes: Buffer): void {
    const line = bytes.toString("latin1").replace(/\n$/, "");
    if (line === "unpack ok") this.#unpacked = true;
    if (line.startsWith("ok ")) this.#ok.add(line.slice(3));
  }
}
