import { LuaError, type Token, tokenize } from './lexer.ts';

/**
 * What keeps a text from being a Lua chunk, or nothing. Follows the grammar of the Lua 5.1 manual (§8) with LuaJIT's
 * `goto`; builds no tree and runs nothing.
 */
export function luaSyntaxError(source: string): string | undefined {
  try {
    new Parser(tokenize(source)).chunk();
    return undefined;
  } catch (error) {
    if (error instanceof LuaError) return error.message;
    // Nesting deeper than the stack: Lua has such a limit too.
    if (error instanceof RangeError) return '[string "..."]: chunk has too many syntax levels';
    throw error;
  }
}

/** Left and right binding powers of the binary operators (manual §2.5.6). */
const BINARY: Readonly<Record<string, readonly [number, number]>> = {
  or: [1, 1],
  and: [2, 2],
  '<': [3, 3],
  '>': [3, 3],
  '<=': [3, 3],
  '>=': [3, 3],
  '~=': [3, 3],
  '==': [3, 3],
  '..': [5, 4],
  '+': [6, 6],
  '-': [6, 6],
  '*': [7, 7],
  '/': [7, 7],
  '%': [7, 7],
  '^': [10, 9],
};

const UNARY_POWER = 8;
const UNARY = new Set(['not', '-', '#']);
const LITERALS = new Set(['nil', 'true', 'false']);
const BLOCK_END = new Set(['end', 'else', 'elseif', 'until']);

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #loops = 0;
  /** Whether `...` stands for something in each function around, the chunk first. */
  readonly #varargs = [true];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  chunk(): void {
    this.#block();
    if (this.#token().kind !== 'end') this.#fail("'<eof>' expected");
  }

  #token(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '<eof>', line: 0 };
  }

  #is(text: string): boolean {
    const token = this.#token();
    return token.text === text && (token.kind === 'keyword' || token.kind === 'symbol');
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#fail(`'${text}' expected`);
  }

  #name(): void {
    if (this.#token().kind !== 'name') this.#fail('<name> expected');
    this.#at++;
  }

  #fail(what: string): never {
    const { line, text } = this.#token();
    throw new LuaError(line, what, text);
  }

  #block(): void {
    for (;;) {
      const { kind, text } = this.#token();
      if (kind === 'end' || (kind === 'keyword' && BLOCK_END.has(text))) return;
      const last = text === 'return' && kind === 'keyword';
      this.#statement();
      this.#accept(';');
      if (last) return;
    }
  }

  #statement(): void {
    const { kind, text } = this.#token();
    const parse = kind === 'keyword' || text === '::' ? this.#statements[text] : undefined;
    if (parse === undefined) {
      this.#assignmentOrCall();
      return;
    }
    if (text === 'break' && this.#loops === 0) this.#fail('no loop to break');
    this.#at++;
    parse();
  }

  /** By the word a statement begins with, which has been read. */
  readonly #statements: Readonly<Record<string, (() => void) | undefined>> = {
    if: () => this.#if(),
    while: () => this.#while(),
    do: () => this.#do(),
    for: () => this.#for(),
    repeat: () => this.#repeat(),
    function: () => this.#namedFunction(),
    local: () => this.#local(),
    return: () => this.#return(),
    goto: () => this.#name(),
    '::': () => this.#label(),
    break: () => undefined,
  };

  #while(): void {
    this.#expression();
    this.#expect('do');
    this.#loop();
    this.#expect('end');
  }

  #do(): void {
    this.#block();
    this.#expect('end');
  }

  #repeat(): void {
    this.#loop();
    this.#expect('until');
    this.#expression();
  }

  #label(): void {
    this.#name();
    this.#expect('::');
  }

  #if(): void {
    do {
      this.#expression();
      this.#expect('then');
      this.#block();
    } while (this.#accept('elseif'));
    if (this.#accept('else')) this.#block();
    this.#expect('end');
  }

  #loop(): void {
    this.#loops++;
    this.#block();
    this.#loops--;
  }

  #for(): void {
    this.#name();
    if (this.#accept('=')) {
      this.#expression();
      this.#expect(',');
      this.#expression();
      if (this.#accept(',')) this.#expression();
    } else {
      while (this.#accept(',')) this.#name();
      this.#expect('in');
      this.#expressions();
    }
    this.#expect('do');
    this.#loop();
    this.#expect('end');
  }

  #namedFunction(): void {
    this.#name();
    while (this.#accept('.')) this.#name();
    if (this.#accept(':')) this.#name();
    this.#functionBody();
  }

  #local(): void {
    if (this.#accept('function')) {
      this.#name();
      this.#functionBody();
      return;
    }
    do this.#name();
    while (this.#accept(','));
    if (this.#accept('=')) this.#expressions();
  }

  #return(): void {
    const { kind, text } = this.#token();
    if (kind === 'end' || text === ';' || (kind === 'keyword' && BLOCK_END.has(text))) return;
    this.#expressions();
  }

  #assignmentOrCall(): void {
    let ends = this.#suffixed();
    if (!this.#is('=') && !this.#is(',')) {
      if (ends !== 'call') this.#fail('syntax error');
      return;
    }
    while (ends === 'place' && this.#accept(',')) ends = this.#suffixed();
    if (ends !== 'place') this.#fail('syntax error');
    this.#expect('=');
    this.#expressions();
  }

  #expressions(): void {
    do this.#expression();
    while (this.#accept(','));
  }

  #expression(power = 0): void {
    const { kind, text } = this.#token();
    if (kind !== 'string' && kind !== 'name' && UNARY.has(text)) {
      this.#at++;
      this.#expression(UNARY_POWER);
    } else this.#simple();
    for (;;) {
      const token = this.#token();
      const operator = token.kind === 'symbol' || token.kind === 'keyword' ? BINARY[token.text] : undefined;
      if (operator === undefined || operator[0] <= power) return;
      this.#at++;
      this.#expression(operator[1]);
    }
  }

  #simple(): void {
    const { kind, text } = this.#token();
    if (kind === 'number' || kind === 'string' || (kind === 'keyword' && LITERALS.has(text))) {
      this.#at++;
      return;
    }
    if (this.#is('...')) {
      if (!this.#varargs.at(-1)) this.#fail("cannot use '...' outside a vararg function");
      this.#at++;
      return;
    }
    if (this.#is('{')) this.#table();
    else if (this.#accept('function')) this.#functionBody();
    else this.#suffixed();
  }

  /** A name or a parenthesised expression with all that follows it; tells what kind of thing it ends as. */
  #suffixed(): 'place' | 'call' | 'value' {
    let ends: 'place' | 'call' | 'value' = 'place';
    if (this.#accept('(')) {
      this.#expression();
      this.#expect(')');
      ends = 'value';
    } else if (this.#token().kind === 'name') this.#at++;
    else this.#fail('unexpected symbol');

    for (;;) {
      if (this.#accept('.')) {
        this.#name();
        ends = 'place';
      } else if (this.#accept('[')) {
        this.#expression();
        this.#expect(']');
        ends = 'place';
      } else if (this.#accept(':')) {
        this.#name();
        this.#arguments();
        ends = 'call';
      } else if (this.#is('(') || this.#is('{') || this.#token().kind === 'string') {
        this.#arguments();
        ends = 'call';
      } else return ends;
    }
  }

  #arguments(): void {
    if (this.#token().kind === 'string') this.#at++;
    else if (this.#is('{')) this.#table();
    else {
      if (!this.#accept('(')) this.#fail('function arguments expected');
      if (this.#accept(')')) return;
      this.#expressions();
      this.#expect(')');
    }
  }

  #table(): void {
    this.#expect('{');
    while (!this.#is('}')) {
      const next = this.#tokens[this.#at + 1];
      if (this.#accept('[')) {
        this.#expression();
        this.#expect(']');
        this.#expect('=');
      } else if (this.#token().kind === 'name' && next?.kind === 'symbol' && next.text === '=') this.#at += 2;
      this.#expression();
      if (!this.#accept(',') && !this.#accept(';')) break;
    }
    this.#expect('}');
  }

  #functionBody(): void {
    let vararg = false;
    this.#expect('(');
    if (!this.#is(')')) {
      do {
        vararg = this.#accept('...');
        if (!vararg) this.#name();
      } while (!vararg && this.#accept(','));
    }
    this.#expect(')');
    const loops = this.#loops;
    this.#loops = 0;
    this.#varargs.push(vararg);
    this.#block();
    this.#varargs.pop();
    this.#loops = loops;
    this.#expect('end');
  }
}
