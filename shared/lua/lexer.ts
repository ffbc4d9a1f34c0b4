/** Tokens of Lua 5.1 with what LuaJIT adds: `goto`, labels, `\x` and `\z` escapes, integer suffixes. */

export interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'symbol' | 'keyword' | 'end';
  readonly text: string;
  readonly line: number;
}

/** Thrown where the text is no Lua; the message begins with the line. */
export class LuaError extends Error {
  constructor(line: number, what: string, near: string) {
    super(`[string "..."]:${line}: ${what} near '${near}'`);
  }
}

const KEYWORDS = new Set(
  'and break do else elseif end false for function goto if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
);

const SPACE = /[ \t\r\n\v\f]+/y;
const NAME = /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*/y;
const NUMBER =
  /(?:0[xX](?:[\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:[uU]?[lL][lL]|[iI])?/y;
const SYMBOL = /\.\.\.|\.\.|==|~=|<=|>=|::|[+\-*/%^#<>=(){}[\];:,.]/y;
const LONG_OPEN = /\[(=*)\[/y;
const SHORT_STRING = /(["'])(?:\\z\s*|\\x[\da-fA-F]{2}|\\\d{1,3}|\\\r\n|\\[^xz\d]|(?!\1)[^\\\r\n])*\1/y;

/** The tokens of a source, ended by one of kind `end`. Throws `LuaError`. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = source.startsWith('#') ? Math.max(source.indexOf('\n'), 0) : 0;
  let line = 1;

  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const advance = (text: string): void => {
    at += text.length;
    line += text.split('\n').length - 1;
  };
  const longBracket = (): string | undefined => {
    const open = take(LONG_OPEN);
    if (open === undefined) return undefined;
    const close = source.indexOf(open.replaceAll('[', ']'), at + open.length);
    if (close < 0) throw new LuaError(line, 'unfinished long string', '<eof>');
    return source.slice(at, close + open.length);
  };
  const push = (kind: Token['kind'], text: string): void => {
    tokens.push({ kind, text, line });
    advance(text);
  };

  while (at < source.length) {
    const space = take(SPACE);
    if (space !== undefined) {
      advance(space);
      continue;
    }
    if (source.startsWith('--', at)) {
      advance('--');
      const comment = longBracket() ?? take(/[^\n]*/y) ?? '';
      advance(comment);
      continue;
    }
    const name = take(NAME);
    if (name !== undefined) {
      push(KEYWORDS.has(name) ? 'keyword' : 'name', name);
      continue;
    }
    const number = /[.\d]/.test(source[at] ?? '') ? take(NUMBER) : undefined;
    if (number !== undefined) {
      const malformed = /^[\w.]/.test(source.slice(at + number.length)) && !source.startsWith('..', at + number.length);
      if (malformed) throw new LuaError(line, 'malformed number', number);
      push('number', number);
      continue;
    }
    const quoted = longBracket() ?? take(SHORT_STRING);
    if (quoted !== undefined) {
      push('string', quoted);
      continue;
    }
    const symbol = take(SYMBOL);
    if (symbol !== undefined) {
      push('symbol', symbol);
      continue;
    }
    const char = source[at] ?? '';
    throw new LuaError(line, /["']/.test(char) ? 'unfinished string' : 'unexpected symbol', char);
  }
  tokens.push({ kind: 'end', text: '<eof>', line });
  return tokens;
}
