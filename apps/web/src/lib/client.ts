import { QueryClient } from "@tanstack/react-query";
import { ApiError, createClient } from "@x1agent/client";

/** The service that served this page; the browser adds the session's cookie by itself. */
export const client = createClient({ baseUrl: window.location.origin });

export const isSignedOut = (error: unknown): boolean => error instanceof ApiError && error.code === "unauthenticated";

/** A refusal is final and shown; only a service that gave no answer is asked again. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: (count, error) => !(error instanceof ApiError) && count < 2, staleTime: 1_000 },
    mutations: { networkMode: "always" },
  },
});
