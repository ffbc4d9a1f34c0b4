import type { Literal, Operator, Span } from './ast.ts';
import { ExpressionError } from './error.ts';
import { maskRange, parseIp, parseRange, sameIp } from './ip.ts';

export type Token = Span &
  (
    | { readonly kind: 'name'; readonly text: string }
    | { readonly kind: 'operator'; readonly operator: Operator }
    | { readonly kind: 'literal'; readonly literal: Literal }
    | { readonly kind: 'symbol'; readonly text: '(' | ')' | '!' | '&&' | '||' }
    | { readonly kind: 'end' }
  );

const SPACE = /[ \t\r\n]*/y;
const NAME = /[A-Za-z][A-Za-z0-9_.]*/y;
const NOT_IN = /not[ \t\r\n]+in(?![A-Za-z0-9_.])/y;
const SYMBOL = /&&|\|\||[()]/y;
const OPERATOR = /==|!=|\^=|=\^|>=|<=|>|<|~/y;
const ADDRESS =
  /\d{1,3}(?:\.\d{1,3}){3}(?:\/\d{1,3})?|(?::|[0-9A-Fa-f]{1,4}):[0-9A-Fa-f:]*(?:\.\d{1,3}){0,3}(?:\/\d{1,3})?/y;
const INTEGER = /-?(?:0x[0-9A-Fa-f]+|0[0-7]+(?![0-9])|[0-9]+)/y;

const INT_MAX = 2n ** 63n - 1n;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', n: '\n', r: '\r', t: '\t' };

/** Splits an expression into tokens; throws `ExpressionError` at the first character that starts none. */
export function* tokens(source: string): Generator<Token, void> {
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    return match ? match[0] : null;
  };
  for (;;) {
    at += take(SPACE)?.length ?? 0;
    if (at >= source.length) break;
    const token = next(source, at, take);
    yield token;
    at = token.end;
  }
  yield { kind: 'end', start: source.length, end: source.length };
}

function next(source: string, start: number, take: (pattern: RegExp) => string | null): Token {
  if (source.startsWith('r#"', start)) return rawString(source, start);
  if (source[start] === '"') return quotedString(source, start);
  const address = take(ADDRESS);
  if (address !== null) return addressToken(source, start, address);
  const name = take(NAME);
  if (name !== null) {
    const notIn = take(NOT_IN);
    if (notIn !== null) return { kind: 'operator', operator: 'not in', start, end: start + notIn.length };
    const end = start + name.length;
    if (name === 'in' || name === 'contains') return { kind: 'operator', operator: name, start, end };
    return { kind: 'name', text: name, start, end };
  }
  const integer = take(INTEGER);
  if (integer !== null) return integerToken(source, start, integer);
  const operator = take(OPERATOR);
  if (operator !== null)
    return { kind: 'operator', operator: asOperator(operator), start, end: start + operator.length };
  const symbol = take(SYMBOL) ?? (source[start] === '!' ? '!' : null);
  if (symbol === '(' || symbol === ')' || symbol === '!' || symbol === '&&' || symbol === '||') {
    return { kind: 'symbol', text: symbol, start, end: start + symbol.length };
  }
  throw new ExpressionError(source, { start, end: start + 1 }, 'unexpected character');
}

function asOperator(text: string): Operator {
  switch (text) {
    case '==':
    case '!=':
    case '^=':
    case '=^':
    case '>=':
    case '<=':
    case '>':
    case '<':
      return text;
    default:
      return '~';
  }
}

function rawString(source: string, start: number): Token {
  const close = source.indexOf('"#', start + 3);
  if (close < 0) throw new ExpressionError(source, { start, end: start + 3 }, 'raw string is not closed, expected "#');
  return { kind: 'literal', literal: { type: 'String', text: source.slice(start + 3, close) }, start, end: close + 2 };
}

function quotedString(source: string, start: number): Token {
  let text = '';
  for (let i = start + 1; i < source.length; i++) {
    const char = source[i];
    if (char === '"') return { kind: 'literal', literal: { type: 'String', text }, start, end: i + 1 };
    if (char !== '\\') {
      text += char;
      continue;
    }
    const escaped = ESCAPES[source[i + 1] ?? ''];
    if (escaped === undefined) {
      throw new ExpressionError(
        source,
        { start: i, end: i + 2 },
        'unknown escape, expected \\", \\\\, \\n, \\r or \\t',
      );
    }
    text += escaped;
    i++;
  }
  throw new ExpressionError(source, { start, end: start + 1 }, 'string is not closed, expected "');
}

function addressToken(source: string, start: number, text: string): Token {
  const span = { start, end: start + text.length };
  if (!text.includes('/')) {
    const address = parseIp(text);
    if (!address) throw new ExpressionError(source, span, 'invalid IP address');
    return { kind: 'literal', literal: { type: 'IpAddr', address }, ...span };
  }
  const range = parseRange(text);
  if (!range) throw new ExpressionError(source, span, 'invalid CIDR block');
  if (!sameIp(maskRange(range).address, range.address)) {
    throw new ExpressionError(source, span, 'host part of address was not zero');
  }
  return { kind: 'literal', literal: { type: 'IpCidr', range }, ...span };
}

function integerToken(source: string, start: number, text: string): Token {
  const span = { start, end: start + text.length };
  const digits = text.startsWith('-') ? text.slice(1) : text;
  const octal = digits.length > 1 && /^0[0-7]+$/.test(digits);
  const magnitude = BigInt(
    octal ? `0o${digits.slice(1)}` : digits.startsWith('0x') ? digits : digits.replace(/^0+(?=\d)/, ''),
  );
  if (magnitude > INT_MAX) throw new ExpressionError(source, span, 'number too large to fit in a 64-bit integer');
  const number = Number(magnitude);
  return { kind: 'literal', literal: { type: 'Int', number: text.startsWith('-') ? -number : number }, ...span };
}
