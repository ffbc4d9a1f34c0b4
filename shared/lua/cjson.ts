/** JSON as lua-cjson reads it: control characters may stand in strings as they are. Throws a `SyntaxError`. */
export function parseAsCjson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const escaped = withEscapes(text);
    if (escaped === text) throw error;
    return JSON.parse(escaped);
  }
}

/**
 * The same, up to a NUL, and numbers that only it reads (`NaN`, `0x1f`, `007`), each as 0: for those who look at what stands around
 * them. Throws a `SyntaxError`.
 */
export function parseAround(text: string): unknown {
  try {
    return parseAsCjson(text);
  } catch (error) {
    // It is a text of C, which ends with NUL.
    const plain = withPlainNumbers(text.split('\0', 1)[0] ?? '');
    if (plain === text) throw error;
    return parseAsCjson(plain);
  }
}

/** The same text with 0 in place of the numbers that JSON does not have. */
function withPlainNumbers(text: string): string {
  let plain = '';
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at++;
      while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
    } else if (!STRUCTURE.has(code)) {
      const start = at;
      while (at + 1 < text.length && !STRUCTURE.has(text.charCodeAt(at + 1))) at++;
      if (!NUMBER.test(text.slice(start, at + 1))) continue;
      plain += `${text.slice(from, start)}0`;
      from = at + 1;
    }
  }
  return plain + text.slice(from);
}

/** The same text with the control characters inside of its strings escaped. */
function withEscapes(text: string): string {
  let escaped = '';
  let from = 0;
  let inside = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) inside = !inside;
    else if (!inside) continue;
    else if (code === BACKSLASH) at++;
    else if (code < SPACE) {
      escaped += `${text.slice(from, at)}\\u${code.toString(16).padStart(4, '0')}`;
      from = at + 1;
    }
  }
  return escaped + text.slice(from);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

/** What stands around numbers and literals. */
const STRUCTURE: ReadonlySet<number> = new Set([...' \t\r\n,:[]{}"'].map((char) => char.charCodeAt(0)));
/** As C reads them (`strtod`). */
const NUMBER = /^[+-]?(?:inf|infinity|nan|0x[\da-f]+(?:\.[\da-f]*)?(?:p[+-]?\d+)?|\d+(?:\.\d*)?(?:e[+-]?\d+)?)$/i;
