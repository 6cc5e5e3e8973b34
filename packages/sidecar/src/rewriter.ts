/**
 * Replaces fixed texts in a stream of bytes, wherever chunks begin and end, and keeps no more of it than one text's length.
 * Bytes are read as Latin-1, so that everything else passes unchanged.
 */
export class Rewriter {
  readonly #texts: ReadonlyMap<string, string>;
  readonly #pattern: RegExp;
  readonly #longest: number;
  #rest = "";

  /** Pairs of what is searched and what stands there afterwards, ASCII both; the longest match wins. */
  constructor(pairs: readonly (readonly [string, string])[]) {
    this.#texts = new Map(pairs);
    const texts = [...this.#texts.keys()].sort((a, b) => b.length - a.length);
    this.#pattern = new RegExp(texts.map((text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|"), "g");
    this.#longest = texts[0]?.length ?? 1;
  }

  push(chunk: Buffer): Buffer {
    const text = this.#rest + chunk.toString("latin1");
    // Before this a match that begins is whole.
    return this.#replace(text, Math.max(0, text.length - this.#longest + 1));
  }

  end(): Buffer {
    return this.#replace(this.#rest, this.#rest.length);
  }

  #replace(text: string, safe: number): Buffer {
    let done = 0;
    let out = "";
    this.#pattern.lastIndex = 0;
    for (let match = this.#pattern.exec(text); match && match.index < safe; match = this.#pattern.exec(text)) {
      out += text.slice(done, match.index) + this.#texts.get(match[0]);
      done = match.index + match[0].length;
    }
    const until = Math.max(done, safe);
    this.#rest = text.slice(until);
    return Buffer.from(out + text.slice(done, until), "latin1");
  }
}
