/** Longest packet, its own four digits included (gitprotocol-common). */
const MAX_PACKET = 65_520;

/** What arrived is no packet of git's. */
export class PacketError extends Error {}

/**
 * Takes packets out of bytes that arrive in pieces of any size. What is held is less than one packet and the last piece;
 * a piece is copied once.
 */
export class PacketReader {
  #pieces: Buffer[] = [];
  #size = 0;
  #need = 4;

  add(piece: Buffer): void {
    if (piece.length > 0) this.#pieces.push(piece);
    this.#size += piece.length;
  }

  /** The next packet's content, `flush`, or null while it is not here as a whole. Throws PacketError. */
  next(): Buffer | "flush" | null {
    if (this.#size < this.#need) return null;
    const held = this.#whole();
    const digits = held.toString("latin1", 0, 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new PacketError("A packet does not begin with its length.");
    const length = Number.parseInt(digits, 16);
    if (length === 0) {
      this.#keep(held.subarray(4));
      return "flush";
    }
    // 1 and 2 divide and end messages of another version of the protocol, 3 is nothing, 4 says nothing.
    if (length <= 4 || length > MAX_PACKET) throw new PacketError(`A packet says that it has ${length} bytes.`);
    this.#need = length;
    if (held.length < length) return null;
    this.#keep(held.subarray(length));
    return held.subarray(4, length);
  }

  /** Takes what came after the last packet. */
  rest(): Buffer {
    const held = this.#whole();
    this.#keep(Buffer.alloc(0));
    return held;
  }

  #whole(): Buffer {
    const held = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
    this.#pieces = [held];
    return held;
  }

  #keep(rest: Buffer): void {
    this.#pieces = rest.length > 0 ? [rest] : [];
    this.#size = rest.length;
    this.#need = 4;
  }
}

/** One packet. */
export function packet(content: string | Buffer): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content, "utf8") : content;
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, "0")), bytes]);
}

export const flush = Buffer.from("0000");
