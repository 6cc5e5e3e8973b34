import { createSignInClient } from "@x1agent/client";

export const signInClient = createSignInClient({ baseUrl: window.location.origin });

let refusal: string | null = null;
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
    await signInClient.byCode(code);
  } catch (error) {
    refusal = error instanceof Error ? error.message : "The service gave no answer. Is it running?";
  }
}

/** Whether this browser can use passkeys on this page: a name over https, or localhost. */
export const passkeysWork = (): boolean =>
  window.isSecureContext &&
  !/^\[|^[\d.]+$/.test(window.location.hostname) &&
  typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === "function";

/** The same page at a name that passkeys can belong to; null where there is none that leads here. */
export const pageByName = (): string | null =>
  /^(127\.[\d.]+|\[::1\])$/.test(window.location.hostname)
    ? `${window.location.protocol}//localhost${window.location.port ? `:${window.location.port}` : ""}`
    : null;
