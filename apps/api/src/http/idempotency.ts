import { type Refusal, refuse } from "@x1agent/contract";
import type { Tx } from "@x1agent/kernel";

/** A request that shall take effect once: the same key with the same hash is the same request. */
export type IdempotentRequest = { organizationId: string; key: string; hash: string };
/** What is remembered of a finished request. */
export type StoredAnswer = { status: number; contentType: string; body: string };

/** Where keys are kept. Each call but `keep` is one transaction of its own. */
export type IdempotencyStore = {
  /**
   * Takes the key (`mine`), or tells what is known of it: the stored answer, that another request works on it, or that
   * it came with another hash. A key taken longer ago than any request runs is taken over.
   */
  take(
    request: IdempotentRequest,
  ): Promise<{ kind: "mine" } | { kind: "answered"; answer: StoredAnswer } | { kind: "running" } | { kind: "other" }>;
  finish(request: IdempotentRequest, answer: StoredAnswer): Promise<void>;
  /** The same in the transaction that has the effect: whoever dies after it has answered, and no repeat does it again. */
  keep(tx: Tx, request: IdempotentRequest, answer: StoredAnswer): Promise<void>;
  /** Forgets a key whose request failed by our fault, so that the caller may repeat. */
  forget(request: IdempotentRequest): Promise<void>;
};

export type Idempotency = {
  once(
    request: IdempotentRequest,
    /** `keep` stores the answer in the transaction of the effect. */
    run: (keep: (tx: Tx, answer: StoredAnswer) => Promise<void>) => Promise<Response>,
    respond: { refuse(refusal: Refusal): Response; replay(answer: StoredAnswer): Response },
  ): Promise<Response>;
};

/** Runs a request at most once per key; repeats get the stored answer, marked `idempotency-replayed`. */
export function createIdempotency(store: IdempotencyStore): Idempotency {
  return {
    async once(request, run, respond) {
      const known = await store.take(request);
      switch (known.kind) {
        case "other":
          return respond.refuse(refuse("idempotency_mismatch"));
        case "running":
          return respond.refuse(
            refuse("conflict", "A request with this Idempotency-Key is being worked on; repeat in a moment."),
          );
        case "answered":
          return respond.replay(known.answer);
        case "mine": {
          const response = await run((tx, answer) => store.keep(tx, request, answer));
          if (response.status >= 500) {
            await store.forget(request);
            return response;
          }
          const body = await response.clone().text();
          await store.finish(request, {
            status: response.status,
            contentType: response.headers.get("content-type") ?? "application/json",
            body,
          });
          return response;
        }
      }
    },
  };
}
