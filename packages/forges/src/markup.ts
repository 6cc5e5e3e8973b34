/**
 * Words of somebody on the forge, as an agent may read them. What a person does not see when they read the rendered text must
 * not reach the agent either; it is taken out and counted, so that people are shown that it was there. Stages:
 *
 *   1. characters that show nothing or turn the direction: zero-width, bidirectional, tags, variation selectors, controls
 *   2. HTML comments, also unclosed ones, and everything inside of an element that browsers hide
 *   3. collapsed details, images' addresses and texts, links whose address is not their text
 *
 * Invariant: what comes out holds no character of stage 1 and no `<!--`.
 */
export type Hidden = { kind: HiddenKind; count: number /** The first of them, cut. */; sample: string };
export const hiddenKinds = ["characters", "comment", "collapsed", "image", "link", "html"] as const;
export type HiddenKind = (typeof hiddenKinds)[number];

const SAMPLE = 200;

/**
 * Format characters and their like: they show nothing. Tab and line break are text; a joiner between letters of some scripts,
 * and of emoji, is lost as well: the words stay readable.
 */
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800]/gu;
const kept = new Set(["\n", "\t"]);

/** Takes out what is hidden. Pure; linear in the length of the text. */
export function stripHidden(text: string): { text: string; hidden: Hidden[] } {
  const found = new Map<HiddenKind, Hidden>();
  const note = (kind: HiddenKind, what: string) => {
    const present = found.get(kind);
    if (present) present.count += 1;
    else found.set(kind, { kind, count: 1, sample: visibleSample(what) });
  };

  let out = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n");
  // What emoji are put together with hides nothing.
  out = out.replace(/([\p{Extended_Pictographic}\p{Emoji_Modifier}])[\ufe0f\u200d]{1,2}/gu, "$1");
  out = out.replace(invisible, (character) => {
    if (kept.has(character)) return character;
    note("characters", character);
    return "";
  });
  // To the end of the text where it is not closed, as browsers read it.
  out = withoutComments(out, (what) => note("comment", what));
  out = out.replace(/<(details)\b[^<>]{0,1000}>/gi, (tag) => {
    note("collapsed", tag);
    return "[collapsed on the page:] ";
  });
  out = out.replace(/!\[[^[\]\n]{0,1000}\](?:\([^()\n]{0,2000}\)|\[[^[\]\n]{0,200}\])/g, (whole) => {
    note("image", whole);
    return "[image]";
  });
  out = out.replace(/<(?:img|picture|source|video|audio|svg|object|embed|iframe)\b[^<>]{0,2000}>/gi, (whole) => {
    note("image", whole);
    return "[image]";
  });
  out = out.replace(
    /\[([^[\]\n]{1,1000})\]\([ \t]{0,10}<?([^\s()<>]{1,2000})>?[^()\n]{0,500}\)/g,
    (whole, label: string, address: string) => {
      if (label.trim() === address.trim()) return address;
      note("link", whole);
      return `${label} (${shortAddress(address)})`;
    },
  );
  // Reference definitions are never shown, and comments are written that way too: `[//]: # (hidden)`.
  out = out.replace(/^ {0,3}\[[^[\]\n]{1,1000}\]:[^\n]*$/gm, (whole) => {
    note("link", whole);
    return "";
  });
  out = out.replace(/<\/?[a-z][^<>]{0,2000}>/gi, (whole) => {
    if (!/[\s=]/.test(whole.replace(/^<\/?[a-z0-9-]+\s*/i, "").replace(/\/?>$/, ""))) {
      const plain =
        /^<\/?(?:summary|details|b|i|em|strong|code|pre|p|br|hr|kbd|sub|sup|ul|ol|li|table|tr|td|th|h[1-6]|blockquote|del|ins|s)\s*\/?>$/i;
      if (plain.test(whole)) return "";
    }
    note("html", whole);
    return "";
  });
  // Taking tags out may have put together what was apart.
  out = withoutComments(out, (what) => note("comment", what));
  return { text: out, hidden: hiddenKinds.flatMap((kind) => found.get(kind) ?? []) };
}

/** Again until none is left: taking one out may make one. */
function withoutComments(text: string, onCut: (what: string) => void): string {
  let out = text;
  for (let again = true; again; ) {
    again = false;
    out = cutBetween(out, "<!--", "-->", (what) => {
      again = true;
      onCut(what);
    });
  }
  return out;
}

function cutBetween(text: string, open: string, close: string, onCut: (what: string) => void): string {
  let out = "";
  let at = 0;
  for (;;) {
    const start = text.indexOf(open, at);
    if (start < 0) return out + text.slice(at);
    const end = text.indexOf(close, start + open.length);
    onCut(text.slice(start, end < 0 ? undefined : end + close.length));
    out += text.slice(at, start);
    if (end < 0) return out;
    at = end + close.length;
  }
}

/** An address without what could carry words or data in it. */
function shortAddress(address: string): string {
  if (!URL.canParse(address)) return address.slice(0, 200).replace(/[?#].*$/s, "");
  const { protocol, origin, pathname } = new URL(address);
  return protocol === "https:" || protocol === "http:" ? `${origin}${pathname}`.slice(0, 300) : protocol;
}

/** What was hidden, so that people can see it: every odd character by its number. */
function visibleSample(text: string): string {
  const cut = [...text.slice(0, SAMPLE * 4)].slice(0, SAMPLE);
  return cut
    .map((character) =>
      character.replace(invisible, (odd) => (kept.has(odd) ? " " : `\\u{${(odd.codePointAt(0) ?? 0).toString(16)}}`)),
    )
    .join("");
}
