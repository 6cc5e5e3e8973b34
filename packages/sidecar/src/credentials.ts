import {
  type GitCredentialReply,
  type GitCredentialRequest,
  type GitPurpose,
  repositoryGrants,
  type SidecarPolicy,
  type SidecarRepository,
} from "@x1agent/contract";

/** A credential is not used in the last minute of its life: an operation takes a while. */
const MARGIN_MS = 60_000;
/** One without an end is asked for anew after this time, so that a changed secret arrives. */
const KEEP_MS = 5 * 60_000;

type Held = { repository: SidecarRepository; purpose: GitPurpose; authorization: string | null; until: number };

/**
 * The credentials of a workspace's repositories, asked for when they are first needed and held in memory only. Invariants:
 * none outlives the grant that it was asked for, one that was asked for before a revocation and came after it is not kept,
 * and those who wait for the same one share one question.
 */
export class Credentials {
  readonly #ask: (ask: GitCredentialRequest) => Promise<GitCredentialReply>;
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<string | null>>();
  /** Grows with each policy: an answer from before is for its asker only. */
  #policies = 0;

  constructor(deps: {
    ask(ask: GitCredentialRequest): Promise<GitCredentialReply>;
    onPolicy(listener: (policy: SidecarPolicy) => void): void;
  }) {
    this.#ask = (ask) => deps.ask(ask);
    deps.onPolicy(({ grants, stopped }) => {
      this.#policies += 1;
      for (const [key, { repository, purpose }] of this.#held)
        if (stopped || repositoryGrants(grants, purpose, repository).length === 0) this.#held.delete(key);
    });
  }

  /** Value of the `authorization` header, or null where the remote takes none. Rejects with a Fault when it is refused. */
  async get(repository: SidecarRepository, purpose: GitPurpose): Promise<string | null> {
    const key = `${purpose} ${repository.name}`;
    const held = this.#held.get(key);
    if (held && held.until > Date.now()) return held.authorization;
    const asking = this.#asking.get(key);
    if (asking) return asking;
    const asked = this.#fetch(key, repository, purpose).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  /** The remote did not accept it. */
  forget(repository: SidecarRepository, purpose: GitPurpose): void {
    this.#held.delete(`${purpose} ${repository.name}`);
  }

  async #fetch(key: string, repository: SidecarRepository, purpose: GitPurpose): Promise<string | null> {
    const policies = this.#policies;
    const { authorization, expiresAt } = await this.#ask({ repository: repository.name, purpose });
    const now = Date.now();
    const until = expiresAt === null ? now + KEEP_MS : Date.parse(expiresAt) - MARGIN_MS;
    if (policies === this.#policies && until > now) this.#held.set(key, { repository, purpose, authorization, until });
    return authorization;
  }
}
