import { QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, createClient } from "@x1agent/client";

/** The service that served this page; the browser adds the session's cookie by itself. */
export const client = createClient({ baseUrl: window.location.origin });

export const isSignedOut = (error: unknown): boolean => error instanceof ApiError && error.code === "unauthenticated";

/** An answer that asking again would only repeat; a service that is away or in trouble gives none. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof ApiError && error.status < 500 && error.code !== "rate_limited";

/**
 * A refusal is final and shown; only a service that gave no answer is asked again. Whatever is told that nobody is signed
 * in any more makes the frame look, so that a session that was ended elsewhere shows on every open page.
 */
export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError(error, query) {
      if (isSignedOut(error) && query.queryKey[0] !== "me")
        void queryClient.invalidateQueries({ queryKey: ["me"] }, { cancelRefetch: false });
    },
  }),
  defaultOptions: {
    queries: { retry: (count, error) => !(error instanceof ApiError) && count < 2, staleTime: 1_000 },
    mutations: { networkMode: "always" },
  },
});
