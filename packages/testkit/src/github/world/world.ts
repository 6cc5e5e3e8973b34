import { randomBytes } from "node:crypto";
import type { Shape } from "../description.ts";
import type { Account, App, Installation, Repository, Team, Token } from "../model.ts";
import { type Bases, Presenter } from "../present.ts";
import { addAccount } from "./accounts.ts";
import { addApp } from "./apps.ts";

/** One event on its way to whoever listens: the payload without `sender`, `repository` and the like. */
export type Happening = {
  event: string;
  action: string | undefined;
  repository: Repository | undefined;
  /** Only this installation's App hears it. */
  installation: Installation | undefined;
  /** Only this App hears it. */
  app: App | undefined;
  actor: Account;
  parts: Shape;
};

/** What GitHub works out for a pull request between two commits; `reads`: how often it was asked for since. */
type Figures = { mergeable: boolean; commits: number; files: number; plus: number; minus: number; reads: number };

/**
 * A made-up GitHub: what it remembers, and how it tells what happens. The files beside this one change it: every change
 * is a function there, whoever asked for it (the REST or GraphQL interface, git, or a test that plays a person), and
 * announces itself.
 */
export class World {
  /** Where the repositories lie. */
  readonly directory: string;
  readonly bases: Bases;
  /** Milliseconds since the epoch, as the stand-in sees it. */
  readonly now: () => number;
  /** People, organizations and bots by id; so are repositories, Apps and installations. */
  readonly accounts = new Map<number, Account>();
  readonly repositories = new Map<number, Repository>();
  readonly apps = new Map<number, App>();
  readonly installations = new Map<number, Installation>();
  /** By their value. */
  readonly tokens = new Map<string, Token>();
  readonly teams: Team[] = [];
  /** Reads of a changed pull request that find its mergeability not worked out yet. */
  mergeableAfter = 0;
  /** `owner/name` in lower case to the repository that once had that name. */
  readonly formerNames = new Map<string, number>();
  readonly #announce: (happening: Happening) => Promise<void>;
  /** Goes into the addresses of logs, so that nobody guesses one. */
  readonly logSecret = randomBytes(16).toString("hex");
  #lastId = 1000;
  #tail: Promise<unknown> = Promise.resolve();
  /** What was worked out for pull requests, by repository and both commits. */
  readonly figures = new Map<string, Figures>();
  /** Addresses of all who wrote a history, by its newest commit. */
  readonly authors = new Map<string, Set<string>>();
  /** The App behind Actions' own checks, and the bot that signs them. */
  readonly actions: App;

  constructor(input: {
    directory: string;
    bases: Bases;
    now: () => number;
    announce: (happening: Happening) => Promise<void>;
  }) {
    this.directory = input.directory;
    this.bases = input.bases;
    this.now = input.now;
    this.#announce = input.announce;
    const github = addAccount(this, "github", "Organization");
    this.actions = addApp(this, {
      name: "GitHub Actions",
      slug: "github-actions",
      owner: github,
      permissions: { checks: "write", contents: "read", metadata: "read" },
      events: [],
    });
  }

  /** The next id: one row for everything. */
  id(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Now, as GitHub writes times: to the second. */
  time(): string {
    return `${new Date(this.now()).toISOString().slice(0, 19)}Z`;
  }

  /** Runs one change after the other, however many ask at once. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#tail.then(work, work);
    this.#tail = next.catch(() => undefined);
    return next;
  }

  /** What anybody is shown, with addresses as webhooks have them. */
  presenter(): Presenter {
    return new Presenter(this, this.bases);
  }

  /** Tells whoever listens; parts are the payload without what every payload carries. */
  async say(
    event: string,
    action: string | undefined,
    actor: Account,
    repository: Repository | undefined,
    parts: Shape,
    only: { installation?: Installation; app?: App } = {},
  ): Promise<void> {
    await this.#announce({
      event,
      action,
      actor,
      repository,
      parts,
      installation: only.installation,
      app: only.app,
    });
  }

  /** Keeps an event for `/repos/{owner}/{repo}/events`, newest first, as many as GitHub lists. */
  record(repository: Repository, type: string, actor: Account, payload: Shape): void {
    repository.events.unshift({ id: this.id(), type, actor, payload, createdAt: this.time() });
    if (repository.events.length > 300) repository.events.length = 300;
  }
}
