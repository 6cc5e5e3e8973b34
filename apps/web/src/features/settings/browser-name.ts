/** Order matters: most browsers claim to be several. */
const browsers = [
  ["Edge", /Edg(?:e|A|iOS)?\//],
  ["Opera", /OPR\//],
  ["Firefox", /Firefox\/|FxiOS\//],
  ["Chrome", /(?:Headless)?Chrome\/|CriOS\//],
  ["Safari", /Safari\//],
] as const;
const systems = [
  ["iPhone", /iPhone/],
  ["iPad", /iPad/],
  ["Android", /Android/],
  ["Windows", /Windows/],
  ["macOS", /Mac OS X|Macintosh/],
  ["Linux", /Linux/],
] as const;

/** A User-Agent in two words. What a browser says of itself is no proof of anything. Pure. */
export function browserName(agent: string | null): { name: string; phone: boolean } {
  const find = (list: readonly (readonly [string, RegExp])[]) => list.find(([, words]) => words.test(agent ?? ""))?.[0];
  const [browser, system] = [find(browsers), find(systems)];
  const name = browser ? (system ? `${browser} on ${system}` : browser) : (system ?? "Unknown browser");
  return { name, phone: /iPhone|Android.*Mobile/.test(agent ?? "") };
}
