/**
 * Secrets by their form, for words that leave for a forge. It finds what is written plainly, in base64, in hexadecimal, or with
 * characters in between that nobody sees; it is the last look at an honest mistake, and no wall: whoever wants to hide a secret
 * in words can. That an agent has none to hide is what the rest of the product is for.
 */
const forms: readonly (readonly [name: string, form: RegExp])[] = [
  [
    "a private key",
    /-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----|$)/g,
  ],
  // https://github.blog/engineering/behind-githubs-new-authentication-token-formats
  ["a GitHub token", /\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{30,255})/g],
  ["a GitLab token", /\bgl(?:pat|ptt|dt|rt|cbt)-[A-Za-z0-9_-]{20,200}/g],
  ["a model provider's key", /\bsk-[A-Za-z0-9_-]{20,250}/g],
  ["a Google key", /\bAIza[A-Za-z0-9_-]{35}/g],
  ["an AWS key", /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g],
  ["a Slack token", /\bxox[abeoprs]-[A-Za-z0-9-]{10,250}/g],
  ["a Stripe key", /\b[rs]k_live_[A-Za-z0-9]{16,250}/g],
  ["a registry's token", /\b(?:npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{50,500})/g],
  ["a token of this service", /\bx1_[A-Za-z0-9_-]{24,200}/g],
  ["a signed token", /\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}/g],
  ["a password in an address", /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@]{0,200}:[^\s/@]{3,200}@/gi],
];
const encoded = /[A-Za-z0-9+/_-]{32,8000}={0,2}/g;

/** Longest text that is looked through, in characters; none that is sent is longer. */
const MAX = 262_144;

/** The text without what has the form of a secret, and what that was, each once. Pure. */
export function withholdSecrets(given: string): { text: string; withheld: string[] } {
  const withheld = new Set<string>();
  const cut = (name: string): string => {
    withheld.add(name);
    return `[withheld: ${name}]`;
  };
  const plainly = (text: string): string =>
    forms.reduce((rest, [name, form]) => rest.replace(form, () => cut(name)), text);
  const whole = given.slice(0, MAX);
  // Characters without a picture part a secret for a program and not for a reader.
  const joined = whole.replaceAll(/\p{Cf}/gu, "");
  const text = plainly(whole === joined || plainly(joined) === joined ? whole : joined).replace(encoded, (run) => {
    const name = decodings(run).flatMap((inner) => forms.find(([, form]) => inner.search(form) >= 0)?.[0] ?? [])[0];
    return name === undefined ? run : cut(`${name}, encoded`);
  });
  return { text, withheld: [...withheld] };
}

/** What a run of letters could stand for. */
function decodings(run: string): string[] {
  const found: string[] = [];
  if (/^(?:[0-9a-f]{2})+$/i.test(run))
    found.push(run.replaceAll(/../g, (pair) => String.fromCharCode(Number.parseInt(pair, 16))));
  const bare = run.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  // What stands before it need not belong to it: each of the four beginnings is tried.
  for (let skip = 0; skip < 4; skip += 1) {
    const part = bare.slice(skip);
    const usable = part.slice(0, part.length - (part.length % 4 === 1 ? 1 : 0));
    try {
      found.push(atob(usable));
    } catch {
      // Not base64.
    }
  }
  return found;
}

/** A sentence about what was withheld; null where nothing was. Pure. */
export const withheldSentence = (withheld: readonly string[]): string | null =>
  withheld.length === 0 ? null : `Withheld by the platform, since it has the form of a secret: ${withheld.join("; ")}.`;
