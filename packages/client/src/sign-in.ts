import type { PasswordSignIn, SignInMethods, WebAuthnOptions, WebAuthnResponse } from "@x1agent/contract";
import type { z } from "zod";
import { failure } from "./client.ts";
import { UnreachableError } from "./errors.ts";

/**
 * Signing a browser in and out. These paths lie outside the API's table, since they answer with a cookie that no script
 * reads; they take requests from the service's own pages only. Each method throws an `ApiError` with the reason.
 */
export type SignInClient = {
  /** Which ways have been set up. */
  methods(): Promise<z.infer<typeof SignInMethods>>;
  byCode(code: string): Promise<void>;
  byPassword(words: z.infer<typeof PasswordSignIn>): Promise<void>;
  /** Options for `navigator.credentials.get()`. */
  passkeyOptions(): Promise<z.infer<typeof WebAuthnOptions>>;
  byPasskey(response: z.infer<typeof WebAuthnResponse>): Promise<void>;
  signOut(): Promise<void>;
};

/** Makes the client for a page that the service at `baseUrl` served. */
export function createSignInClient(options: { baseUrl: string; fetch?: typeof fetch }): SignInClient {
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);
  async function request(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await send(`${options.baseUrl}/web/session${path}`, {
      method,
      redirect: "error",
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw new UnreachableError(`No answer from ${options.baseUrl}. Is the service running?`, { cause });
    });
    if (!response.ok) throw await failure(response, options.baseUrl);
    return response.json();
  }
  return {
    methods: () => request("GET", "/methods") as ReturnType<SignInClient["methods"]>,
    byCode: async (code) => void (await request("POST", "", { code })),
    byPassword: async (words) => void (await request("POST", "/password", words)),
    passkeyOptions: () => request("POST", "/passkey/options", {}) as ReturnType<SignInClient["passkeyOptions"]>,
    byPasskey: async (response) => void (await request("POST", "/passkey", { response })),
    signOut: async () => void (await request("DELETE", "")),
  };
}
