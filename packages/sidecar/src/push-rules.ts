import { type GrantDetails, matchesPattern } from "@x1agent/contract";
import { flush, packet } from "./pkt-line.ts";

/**
 * What a push asks for, and whether it may: decided from the command list alone, before a byte of it goes up. The list is
 * not handed on as it came but written anew from what was understood, so that nobody behind can read it differently.
 */
export type Command = { old: string; new: string; ref: string };
export type PushHead = { commands: Command[]; shallow: string[]; capabilities: string[] };
/** A grant of type repo.push as far as a push depends on it. */
export type PushGrant = { id: string; details: GrantDetails; once: boolean };

/** Lists that are longer are refused unread. */
export const MAX_HEAD_BYTES = 64 * 1024;
const MAX_COMMANDS = 50;
export const ZERO = "0".repeat(40);

/** What of a client's words is handed on. Push options, certificates and other hash functions are not among them. */
const capability = /^(?:report-status(?:-v2)?|side-band-64k|atomic|ofs-delta|quiet|object-format=sha1)$/;
/** What says who asks, and is replaced by our own name. */
const introduction = /^(?:agent|session-id)=/;

/** Reads the packets before the first flush. A string says why they are no push that is served. Pure. */
export function parseHead(packets: readonly Buffer[]): PushHead | string {
  const head: PushHead = { commands: [], shallow: [], capabilities: [] };
  for (const bytes of packets) {
    const line = bytes.toString("latin1").replace(/\n$/, "");
    const shallow = /^shallow ([0-9a-f]{40})$/.exec(line);
    if (shallow?.[1] && head.commands.length === 0) {
      head.shallow.push(shallow[1]);
      continue;
    }
    if (line.startsWith("push-cert")) return "Signed pushes are not served.";
    const [command = "", said, ...more] = line.split("\0");
    if (more.length > 0 || (said !== undefined && head.commands.length > 0))
      return "A command of the push holds a zero byte.";
    const parts = /^([0-9a-f]{40}) ([0-9a-f]{40}) (.+)$/s.exec(command);
    if (!parts) return "A command of the push is malformed.";
    head.commands.push({ old: parts[1] ?? "", new: parts[2] ?? "", ref: parts[3] ?? "" });
    if (head.commands.length > MAX_COMMANDS) return `A push moves at most ${MAX_COMMANDS} branches.`;
    for (const word of (said ?? "").split(" ").filter((word) => word !== "" && !introduction.test(word))) {
      if (word === "push-options") return "Push options are not served.";
      if (!capability.test(word)) return `The push asks for ${JSON.stringify(word.slice(0, 50))}, which is not served.`;
      head.capabilities.push(word);
    }
  }
  if (head.commands.length > 0 && !head.capabilities.some((word) => word.startsWith("report-status")))
    return "The push does not ask how it went.";
  return head;
}

/** The command list as it goes up. Pure. */
export function writeHead({ commands, shallow, capabilities }: PushHead): Buffer {
  const said = [...capabilities, "agent=x1agent"].join(" ");
  return Buffer.concat([
    ...shallow.map((id) => packet(`shallow ${id}`)),
    ...commands.map(({ old, new: to, ref }, index) => packet(`${old} ${to} ${ref}${index === 0 ? `\0 ${said}` : ""}`)),
    flush,
  ]);
}

/** Letters that cannot be taken for others, and no form that git or a file system reads in a second way. Pure. */
export function isPlainBranch(ref: string): boolean {
  const name = ref.slice("refs/heads/".length);
  return (
    ref.startsWith("refs/heads/") &&
    name.length <= 200 &&
    /^[\w+=,.@/-]+$/.test(name) &&
    !/\.\.|\/\/|@\{|^[-/]|\/$|^@$/.test(name) &&
    name.split("/").every((part) => !/^[.-]|\.$|\.lock$/i.test(part) && part !== "")
  );
}

/** A protected branch's pattern covers at least what its forge means by it, in any case of letters. Pure. */
function isProtected(branch: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    matchesPattern(pattern.replaceAll(/\\.|\[[^\]]*\]?|\?|\*+/g, "*").toLowerCase(), branch.toLowerCase()),
  );
}

/** What the judgement stands on. */
export type PushFacts = {
  grants: readonly PushGrant[];
  /** Branches that are never pushed to. */
  protected: readonly string[];
  /** What this workspace itself made of a branch, by ref. */
  own: ReadonlyMap<string, string>;
};

/**
 * One sentence per command that is refused, by ref; empty when all may go. `grants` are those that a push of all commands uses.
 * Whether a move keeps what was there cannot be told without the objects, so that without `force` only branches are moved
 * that do not exist yet or that this workspace made itself. Pure.
 */
export function judgePush(
  { commands }: PushHead,
  facts: PushFacts,
): { refused: Map<string, string>; grants: PushGrant[] } {
  const refused = new Map<string, string>();
  const used = new Set<PushGrant>();
  const seen = new Set<string>();
  for (const { old, new: to, ref } of commands) {
    const no = (why: string) => void refused.set(ref, why);
    const branch = ref.slice("refs/heads/".length);
    if (!isPlainBranch(ref)) {
      no(
        ref.startsWith("refs/tags/")
          ? "tags are not pushed from here"
          : "only plainly named branches are pushed from here",
      );
      continue;
    }
    if (seen.has(ref.toLowerCase())) no("the push names it twice");
    seen.add(ref.toLowerCase());
    const matching = facts.grants.filter(({ details }) => matchesPattern(details.pattern, branch));
    if (to === ZERO) no("branches are not deleted from here");
    else if (isProtected(branch, facts.protected)) no("this branch is protected");
    else if (matching.length === 0) no("no grant covers this branch");
    else {
      const free = old === ZERO || facts.own.get(ref) === old;
      const able = matching.filter(({ details }) => free || details.force === true);
      const chosen = able.find(({ once }) => !once) ?? able.find((grant) => used.has(grant)) ?? able[0];
      if (chosen) used.add(chosen);
      else no("it exists already and was not made here; a grant with force moves it");
    }
  }
  return { refused, grants: [...used] };
}

/** Which commands do not start from what the remote holds, by ref, as sentences. Pure. */
export function compareWithRemote(
  commands: readonly Command[],
  refs: ReadonlyMap<string, string>,
): Map<string, string> {
  const refused = new Map<string, string>();
  for (const { old, ref } of commands)
    if ((refs.get(ref) ?? ZERO) !== old) refused.set(ref, "it is not what the push says it is; fetch first");
  return refused;
}

/** git's own answer to a push: nothing was done, for these reasons. Pure. */
export function refusalReport({ commands, capabilities }: PushHead, refused: ReadonlyMap<string, string>): Buffer {
  const shown = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 400);
  const report = Buffer.concat([
    packet("unpack ok\n"),
    ...commands.map(({ ref }) =>
      packet(`ng ${shown(ref)} ${shown(refused.get(ref) ?? "another branch of this push was refused")}\n`),
    ),
    flush,
  ]);
  if (!capabilities.includes("side-band-64k")) return report;
  return Buffer.concat([packet(Buffer.concat([Buffer.from([1]), report])), flush]);
}
