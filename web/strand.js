// A strand: a text that grows token by token, and which token wrote which part of it. The text is what the server says;
// tokens, which may be parts of characters, are laid along it by their bytes, and one that fits nowhere is left out.

const FARTHEST = 256;

export class Strand {
  text = "";
  /** Parts of the text in order: {from, to, tokens}; more than one token where one character took several. */
  words = [];
  /** Text up to here has its tokens, as far as any are sent. */
  get known() {
    return this.hasTokens ? this.#at : this.text.length;
  }
  hasTokens = false;
  #at = 0;
  #waiting = [];
  #open = null;
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** Adds text and the tokens that came with it: {token, logprob, bytes, top_logprobs}. */
  push(text, tokens) {
    this.text += text;
    for (const token of tokens) {
      const bytes = token.bytes ? Uint8Array.from(token.bytes) : new TextEncoder().encode(token.token);
      if (bytes.length === 0) continue;
      this.hasTokens = true;
      const piece = this.#decoder.decode(bytes, { stream: true });
      this.#open ??= { piece: "", tokens: [] };
      this.#open.tokens.push(token);
      this.#open.piece += piece;
      if (piece === "") continue;
      this.#waiting.push(this.#open);
      this.#open = null;
    }
    this.#settle();
  }

  #settle() {
    let done = 0;
    for (const { piece, tokens } of this.#waiting) {
      if (this.text.length < this.#at + piece.length) break;
      done += 1;
      const place = this.#find(piece);
      if (!place) continue;
      this.words.push({ ...place, tokens });
      this.#at = place.to;
    }
    this.#waiting.splice(0, done);
  }

  #find(piece) {
    const trimmed = piece.trimStart();
    for (const part of trimmed && trimmed !== piece ? [piece, trimmed] : [piece]) {
      if (this.text.startsWith(part, this.#at)) return { from: this.#at, to: this.#at + part.length };
    }
    const near = this.text.slice(this.#at, this.#at + FARTHEST).indexOf(piece);
    return near < 0 ? null : { from: this.#at + near, to: this.#at + near + piece.length };
  }

  textOf(word) {
    return this.text.slice(this.words[word].from, this.words[word].to);
  }

  /** Index of the first word that ends after `offset`. */
  firstWord(offset) {
    let low = 0;
    let high = this.words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.words[middle].to <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Cuts [from, to) at the edges of words: pieces {from, to, word}, where word is -1 between words. */
  pieces(from, to) {
    const list = [];
    let at = from;
    for (let word = this.firstWord(from); at < to; word += 1) {
      const start = this.words[word]?.from ?? to;
      if (start > at) list.push({ from: at, to: Math.min(start, to), word: -1 });
      at = Math.max(at, start);
      if (at >= to) break;
      const end = Math.min(this.words[word].to, to);
      list.push({ from: at, to: end, word });
      at = end;
    }
    return list;
  }
}
