import { setNonce } from "get-nonce";

/**
 * Gives the nonce of this page to what writes style elements: the lock on scrolling behind a dialog or a menu. The policy
 * refuses every other style element. Read from the property: the browser empties the attribute, so that no style can.
 */
export function allowStyles(): void {
  const meta = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]');
  if (meta?.nonce) setNonce(meta.nonce);
}
