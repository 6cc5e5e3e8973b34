import { createSignInClient } from "@x1agent/client";

let refusal: string | null = null;
const signIn = createSignInClient({ baseUrl: window.location.origin });

/** Why the link in the address did not sign in; null when there was none or it did. */
export const signInRefusal = (): string | null => refusal;

/**
 * Trades the code in the address's fragment, if there is one, for a session. Runs before anything is shown: the code
 * leaves the address first, and no screen asks for data before the cookie is there. Never throws.
 */
export async function signInByLink(): Promise<void> {
  const code = /^#code=([\w-]{43})$/.exec(window.location.hash)?.[1];
  if (!code) return;
  window.history.replaceState(null, "", window.location.pathname);
  try {
    await signIn.byCode(code);
  } catch (error) {
    refusal = error instanceof Error ? error.message : "The service gave no answer. Is it running?";
  }
}
