import { createHash } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { deflateSync } from "node:zlib";

/**
 * Writes bundles that no git would make, object by object: what a lying collect command could send. Objects are ordered
 * as they were added; a delta stands for another object of the same bundle.
 */
export class ForgedBundle {
  readonly #file: string;
  #objects = 0;
  readonly #offsets = new Map<string, number>();
  #at = 12;
  readonly #body: string;

  /** `file` is where the bundle goes; beside it lies its body until `end`. */
  constructor(file: string) {
    this.#file = file;
    this.#body = `${file}.body`;
    writeFileSync(this.#body, "");
  }

  /** Adds an object as it is; returns its id. */
  add(type: "commit" | "tree" | "blob", data: Buffer): string {
    const id = idOf(type, data);
    this.#write(id, { commit: 1, tree: 2, blob: 3 }[type], data.length, Buffer.alloc(0), data);
    return id;
  }

  /** Adds what is `base` with `tail` at its end, as a delta of a few bytes; returns its id. `hash` has taken in `base`. */
  extend(baseId: string, baseSize: number, tail: Buffer, id: string): string {
    const delta = Buffer.concat([
      ...[varint(baseSize), varint(baseSize + tail.length)],
      ...copies(baseSize),
      ...[Buffer.from([tail.length]), tail],
    ]);
    const offset = this.#offsets.get(baseId);
    if (offset === undefined) throw new Error(`no object ${baseId}`);
    this.#write(id, 6, delta.length, negativeOffset(this.#at - offset), delta);
    return id;
  }

  /** A tree of entries in the order of their names. */
  tree(entries: readonly { mode: string; name: string; id: string }[]): string {
    const parts = entries.flatMap(({ mode, name, id }) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(id, "hex")]);
    return this.add("tree", Buffer.concat(parts));
  }

  /** A commit of the tree over the base, and the bundle's end. */
  end(tree: string, base: string): void {
    const who = "t <t@example.com> 0 +0000";
    const tip = this.add(
      "commit",
      Buffer.from(`tree ${tree}\nparent ${base}\nauthor ${who}\ncommitter ${who}\n\nforged\n`),
    );
    const head = Buffer.alloc(12);
    head.write("PACK");
    head.writeUInt32BE(2, 4);
    head.writeUInt32BE(this.#objects, 8);
    const pack = Buffer.concat([head, readFileSync(this.#body)]);
    writeFileSync(this.#file, `# v2 git bundle\n-${base} \n${tip} refs/x1/collected\n\n`);
    appendFileSync(this.#file, pack);
    appendFileSync(this.#file, createHash("sha1").update(pack).digest());
    writeFileSync(this.#body, "");
  }

  #write(id: string, type: number, size: number, extra: Buffer, data: Buffer): void {
    this.#offsets.set(id, this.#at);
    const bytes = Buffer.concat([objectHead(type, size), extra, deflateSync(data, { level: 1 })]);
    appendFileSync(this.#body, bytes);
    this.#at += bytes.length;
    this.#objects += 1;
  }
}

export const idOf = (type: string, ...parts: readonly Buffer[]): string => {
  const hash = createHash("sha1").update(`${type} ${parts.reduce((sum, part) => sum + part.length, 0)}\0`);
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

/** Type and size as gitformat-pack(5) has them: four bits, then seven at a time. */
function objectHead(type: number, size: number): Buffer {
  const bytes: number[] = [];
  let rest = Math.floor(size / 16);
  let byte = (type << 4) | (size % 16);
  while (rest > 0) {
    bytes.push(byte | 0x80);
    byte = rest % 128;
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, byte]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function negativeOffset(value: number): Buffer {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    rest -= 1;
    bytes.unshift((rest % 128) | 0x80);
  }
  return Buffer.from(bytes);
}

/** Instructions that copy the whole base, 16 MB less one at a time. */
function copies(size: number): Buffer[] {
  const most = 0xffffff;
  const found: Buffer[] = [];
  for (let at = 0; at < size; at += most) {
    const length = Math.min(most, size - at);
    const bytes = [0xff];
    for (let n = 0; n < 4; n += 1) bytes.push(Math.floor(at / 256 ** n) % 256);
    for (let n = 0; n < 3; n += 1) bytes.push(Math.floor(length / 256 ** n) % 256);
    found.push(Buffer.from(bytes));
  }
  return found;
}
