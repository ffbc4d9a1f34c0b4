/** What is wrong with a text as JSON, in the words of Kong's JSON library, places counted in bytes. For texts that do not parse. */
export function jsonProblem(text: string): string {
  const scanner = new Scanner(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
  try {
    scanner.document();
  } catch (error) {
    if (error instanceof JsonProblem) return error.message;
    throw error;
  }
  return 'it is no JSON';
}

class JsonProblem extends Error {}

class Unexpected extends JsonProblem {
  constructor(wanted: string, { name, at }: Token) {
    super(`Expected ${wanted} but found ${name} at character ${at + 1}`);
  }
}

interface Token {
  readonly name: string;
  readonly at: number;
}

/** Tables within tables that Kong's library reads. */
const DEEPEST = 1000;

const MARKS: Readonly<Record<string, string>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ':': 'T_COLON',
  ',': 'T_COMMA',
};
const WORD = /true|false|null/y;
const NUMBER = /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})/y;

class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value(this.#next());
    this.#expect('T_END', 'the end', this.#next());
  }

  #value(token: Token): void {
    switch (token.name) {
      case 'T_OBJ_BEGIN':
        this.#deeper(() => this.#members(this.#next()));
        return;
      case 'T_ARR_BEGIN':
        this.#deeper(() => this.#items(this.#next()));
        return;
      case 'T_STRING':
      case 'T_NUMBER':
      case 'T_BOOLEAN':
      case 'T_NULL':
        return;
      default:
        throw new Unexpected('value', token);
    }
  }

  #deeper(read: () => void): void {
    this.#depth++;
    if (this.#depth > DEEPEST)
      throw new JsonProblem(`Found too many nested data structures (${this.#depth}) at character ${this.#at}`);
    read();
    this.#depth--;
  }

  #members(first: Token): void {
    let token = first;
    while (token.name !== 'T_OBJ_END') {
      this.#expect('T_STRING', 'object key string', token);
      this.#expect('T_COLON', 'colon', this.#next());
      this.#value(this.#next());
      token = this.#next();
      if (token.name === 'T_OBJ_END') return;
      this.#expect('T_COMMA', 'comma or object end', token);
      token = this.#next();
      if (token.name === 'T_OBJ_END') throw new Unexpected('object key string', token);
    }
  }

  #items(first: Token): void {
    let token = first;
    while (token.name !== 'T_ARR_END') {
      this.#value(token);
      token = this.#next();
      if (token.name === 'T_ARR_END') return;
      this.#expect('T_COMMA', 'comma or array end', token);
      token = this.#next();
      if (token.name === 'T_ARR_END') throw new Unexpected('value', token);
    }
  }

  #expect(name: string, wanted: string, token: Token): void {
    if (token.name !== name) throw new Unexpected(wanted, token);
  }

  #next(): Token {
    while (/[ \t\r\n]/.test(this.#text.charAt(this.#at))) this.#at++;
    const at = this.#at;
    const char = this.#text.charAt(at);
    if (char === '' || char === '\0') return { name: 'T_END', at };
    const mark = MARKS[char];
    if (mark !== undefined) {
      this.#at++;
      return { name: mark, at };
    }
    if (char === '"') return this.#string(at);
    const word = this.#taken(WORD);
    if (word !== null) return { name: word === 'null' ? 'T_NULL' : 'T_BOOLEAN', at };
    if (!/[-\d]/.test(char)) return { name: 'invalid token', at };
    return { name: this.#taken(NUMBER) === null ? 'invalid number' : 'T_NUMBER', at };
  }

  #string(at: number): Token {
    this.#at++;
    for (;;) {
      const char = this.#text.charAt(this.#at);
      if (char === '"') break;
      if (char === '' || char === '\0') return { name: 'unexpected end of string', at: this.#at };
      if (char !== '\\') this.#at++;
      else if (this.#taken(ESCAPE) === null) {
        const unicode = this.#text.charAt(this.#at + 1) === 'u';
        return { name: unicode ? 'invalid unicode escape code' : 'invalid escape code', at: this.#at };
      }
    }
    this.#at++;
    return { name: 'T_STRING', at };
  }

  /** What the pattern finds here; null: nothing. */
  #taken(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const [found = null] = pattern.exec(this.#text) ?? [];
    this.#at += found?.length ?? 0;
    return found;
  }
}
