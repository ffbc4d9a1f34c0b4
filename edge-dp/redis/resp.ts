import { concatBytes } from '../../shared/bytes.ts';

/**
 * RESP 2, the protocol of Redis: commands are arrays of bulk strings; replies are simple strings, errors, integers, bulk strings
 * and arrays of these. Bulk strings are bytes where they are no UTF-8 and are asked for so.
 */
export type Reply = string | Uint8Array | number | null | RedisError | readonly Reply[];

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
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function encodeCommand(words: readonly (string | Uint8Array)[]): Uint8Array {
  if (!words.every((word) => typeof word === 'string')) return encodeBytes(words);
  let text = `*${words.length}\r\n`;
  for (const word of words) text += `$${encoder.encode(word).length}\r\n${word}\r\n`;
  return encoder.encode(text);
}

function encodeBytes(words: readonly (string | Uint8Array)[]): Uint8Array {
  const parts = words.map((word) => (typeof word === 'string' ? encoder.encode(word) : word));
  const line = (text: string): Uint8Array => encoder.encode(text);
  return concatBytes([
    line(`*${words.length}\r\n`),
    ...parts.flatMap((part) => [line(`$${part.length}\r\n`), part, line('\r\n')]),
  ]);
}

/** Puts replies together from parts that break off anywhere. Throws a `TypeError` for what is no RESP. */
export class ReplyReader {
  readonly #exact: boolean;
  #bytes = new Uint8Array();
  #at = 0;

  /** `exact`: what is no UTF-8 stays bytes. */
  constructor(exact = false) {
    this.#exact = exact;
  }

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

  #bulk(length: number): string | Uint8Array | null | undefined {
    if (length === -1) return null;
    if (length < 0 || length > LONGEST) throw new TypeError(`a text of ${length} bytes`);
    const end = this.#at + length;
    if (this.#bytes.length < end + 2) return undefined;
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end + 2;
    return this.#exact ? textOrBytes(bytes) : decoder.decode(bytes);
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

function textOrBytes(bytes: Uint8Array): string | Uint8Array {
  try {
    return strict.decode(bytes);
  } catch {
    return bytes.slice();
  }
}

function integer(text: string): number {
  if (!/^-?\d{1,18}$/.test(text)) throw new TypeError(`no integer: ${JSON.stringify(text.slice(0, 40))}`);
  return Number(text);
}
