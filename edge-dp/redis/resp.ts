/**
 * RESP 2, the protocol of Redis: commands are arrays of bulk strings; replies are simple strings, errors, integers, bulk strings
 * and arrays of these.
 */
export type Reply = string | number | null | RedisError | readonly Reply[];

/** What the server answers instead of a result: `WRONGPASS …`, `OOM …`, `NOSCRIPT …`. */
export class RedisError extends Error {
  override readonly name = 'RedisError';

  /** The first word: what kind it is. */
  get kind(): string {
    return this.message.split(' ', 1)[0] ?? '';
  }
}

/** Bytes a reply may have: nothing asked here has long ones. */
const LONGEST = 1 << 20;
/** Arrays within arrays. */
const DEEPEST = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeCommand(words: readonly string[]): Uint8Array {
  let text = `*${words.length}\r\n`;
  for (const word of words) text += `$${encoder.encode(word).length}\r\n${word}\r\n`;
  return encoder.encode(text);
}

/** Puts replies together from parts that break off anywhere. Throws a `TypeError` for what is no RESP. */
export class ReplyReader {
  #bytes = new Uint8Array();
  #at = 0;

  /** The replies that are whole now. */
  read(part: Uint8Array): readonly Reply[] {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = new Uint8Array(rest.length + part.length);
    this.#bytes.set(rest);
    this.#bytes.set(part, rest.length);
    this.#at = 0;
    const replies: Reply[] = [];
    for (;;) {
      const begin = this.#at;
      const reply = this.#reply(0);
      if (reply === undefined) {
        this.#at = begin;
        if (this.#bytes.length - begin > LONGEST) throw new TypeError(`a reply of more than ${LONGEST} bytes`);
        return replies;
      }
      replies.push(reply);
    }
  }

  /** Undefined: it is not all there. */
  #reply(depth: number): Reply | undefined {
    const line = this.#line();
    if (line === undefined) return undefined;
    const rest = line.slice(1);
    switch (line[0]) {
      case '+':
        return rest;
      case '-':
        return new RedisError(rest);
      case ':':
        return integer(rest);
      case '$':
        return this.#bulk(integer(rest));
      case '*':
        if (depth === DEEPEST) throw new TypeError('a reply nested too deep');
        return this.#array(integer(rest), depth + 1);
      default:
        throw new TypeError(`a reply that is no RESP: ${JSON.stringify(line.slice(0, 40))}`);
    }
  }

  #line(): string | undefined {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) return undefined;
    if (this.#bytes[end - 1] !== 13) throw new TypeError('a line that does not end with CRLF');
    const line = decoder.decode(this.#bytes.subarray(this.#at, end - 1));
    this.#at = end + 1;
    return line;
  }

  #bulk(length: number): string | null | undefined {
    if (length === -1) return null;
    if (length < 0 || length > LONGEST) throw new TypeError(`a text of ${length} bytes`);
    const end = this.#at + length;
    if (this.#bytes.length < end + 2) return undefined;
    const text = decoder.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 2;
    return text;
  }

  #array(length: number, depth: number): readonly Reply[] | null | undefined {
    if (length === -1) return null;
    if (length < 0 || length > LONGEST) throw new TypeError(`an array of ${length}`);
    const items: Reply[] = [];
    for (let i = 0; i < length; i++) {
      const item = this.#reply(depth);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  }
}

function integer(text: string): number {
  if (!/^-?\d{1,18}$/.test(text)) throw new TypeError(`no integer: ${JSON.stringify(text.slice(0, 40))}`);
  return Number(text);
}
