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
