import type { ServerResponse } from "node:http";
import type {
  Actor,
  Outcome,
  RouteBody,
  RouteName,
  RouteParams,
  RouteQuery,
  RouteResponse,
  Routes,
} from "@x1agent/contract";
import type { Tx } from "@x1agent/kernel";

/** Who calls: what a token stands for. */
export type Principal = {
  actor: Actor;
  organizationId: string;
  organization: string;
  role: string;
  scopes: readonly string[];
  /** What was shown to be let in: an API token, or a browser's session and when it was opened (ISO). */
  via: { kind: "token"; id: string } | { kind: "session"; id: string; since: string };
};

/** One authenticated, validated request, as a handler sees it. */
export type Call<N extends RouteName> = {
  params: RouteParams<N>;
  query: RouteQuery<N>;
  body: RouteBody<N>;
  /** Absent on public routes only. */
  principal: Routes[N]["scope"] extends null ? null : Principal;
  /** Id of the request: in the answer's header, in problems and in the log. */
  requestId: string;
  idempotencyKey: string | null;
  /** Of a request with such a key: writes its answer down in the transaction of its effect. */
  kept?: (tx: Tx, value: object) => Promise<void>;
  /** Origin of the page that asks, which is ours; null outside browsers. */
  origin: string | null;
  /** Whether the token still stands for somebody: asked again while a stream is open. */
  stillValid(): Promise<boolean>;
  /** SSE: number after which to go on, from Last-Event-ID. */
  lastEventId: number | null;
};

/** What a handler hands back on success, by the kind of its route. */
export type Answer<N extends RouteName> = Routes[N]["kind"] extends "sse"
  ? (out: ServerResponse) => void
  : Routes[N]["kind"] extends "text"
    ? string | AsyncIterable<string>
    : Routes[N]["kind"] extends "bytes"
      ? Uint8Array
      : RouteResponse<N>;
/** A handler: a checklist that ends in an answer or a refusal; what breaks is thrown. */
export type Handler<N extends RouteName> = (call: Call<N>) => Promise<Outcome<Answer<N>>>;
/** A handler for every route of the contract; leaving one out does not compile. */
export type Handlers = { [N in RouteName]: Handler<N> };
