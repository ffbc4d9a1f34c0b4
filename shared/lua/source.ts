import { withoutContinue } from './continue.ts';
import { TOKEN } from './tokens.ts';
import { LuaSyntaxError } from './value.ts';

/**
 * Kong runs Lua on LuaJIT, whose language is 5.1's and a little more. What can be said in 5.1 is translated, keeping every line where
 * it is: the escapes `\x41`, `\z` and `\u{…}`, names beyond ASCII, `goto` that goes on with a loop. What cannot (`goto` to elsewhere, 64-bit
 * and imaginary numbers) is refused with its line: Lua 5.1 would read some of it as something else without a word. Throws `LuaSyntaxError`.
 */
export function toLua51(given: string, name: string): string {
  // A first line for the shell is a comment to LuaJIT.
  let source = given.startsWith('#') ? `--${given}` : given;
  if (source.startsWith('\x1b'))
    throw new LuaSyntaxError(`${chunkId(name)}: compiled Lua is not taken, only its source`);
  if (!MAYBE_LUAJIT.test(source)) return source;
  const fail = (offset: number, what: string): LuaSyntaxError =>
    new LuaSyntaxError(`${chunkId(name)}:${source.slice(0, offset).split('\n').length}: ${what}`);
  if (/goto|::/.test(source)) source = withoutContinue(source, fail);
  let result = '';
  let at = 0;
  for (const match of source.matchAll(TOKEN)) {
    const { index } = match;
    const [token] = match;
    const { number, word, text } = match.groups ?? {};
    result += source.slice(at, index);
    at = index + token.length;
    if (number !== undefined && LUAJIT_NUMBER.test(number)) {
      throw fail(index, `'${token}' is LuaJIT's own and is not there`);
    }
    if (word !== undefined && BEYOND_ASCII.test(word)) result += asciiName(word);
    else if (text !== undefined) result += plainString(text, (what) => fail(index, what));
    else result += token;
  }
  return result + source.slice(at);
}

/** Only sources with one of these can have anything to translate. */
const MAYBE_LUAJIT = /goto|::|\\[xzu]|[\dA-Fa-f.][uU]?[lL][lL]|[\d.][iI]|[\u0080-\uffff]/;
const BEYOND_ASCII = /[\u0080-\uffff]/;
const LUAJIT_NUMBER = /(?:[uU]?[lL][lL]|[iI])$/;

/** A name of the same meaning that 5.1 takes: each byte beyond ASCII in hex. */
function asciiName(word: string): string {
  let name = '';
  for (const char of word) {
    if (!BEYOND_ASCII.test(char)) name += char;
    else for (const byte of new TextEncoder().encode(char)) name += `_x${byte.toString(16)}`;
  }
  return name;
}

/** A quoted string without LuaJIT's escapes. `\z` takes blanks and line ends away; the lines come back after the string's end. */
function plainString(text: string, fail: (what: string) => Error): string {
  let lines = '';
  const plain = text.replace(
    /\\(?:x([\da-fA-F]{2})|u\{([\da-fA-F]+)\}|z(\s*)|[\s\S])/g,
    (sequence: string, hex: string | undefined, unicode: string | undefined, blanks: string | undefined) => {
      if (hex !== undefined) return decimal(Number.parseInt(hex, 16));
      if (unicode !== undefined) {
        const point = Number.parseInt(unicode, 16);
        if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw fail(`'${sequence}' is no character`);
        return [...new TextEncoder().encode(String.fromCodePoint(point))].map(decimal).join('');
      }
      if (blanks !== undefined) {
        lines += '\n'.repeat(blanks.split('\n').length - 1);
        return '';
      }
      if (sequence === '\\x' || sequence === '\\u') throw fail(`invalid escape sequence '${sequence}'`);
      return sequence;
    },
  );
  return plain + lines;
}

const decimal = (byte: number): string => `\\${String(byte).padStart(3, '0')}`;

/** How Lua names a chunk in messages (`luaO_chunkid`): `=words` and `@file` as they are, else the first line of the source. */
export function chunkId(name: string): string {
  if (name.startsWith('=') || name.startsWith('@')) return name.slice(1, 60);
  const [first = ''] = name.split(/[\r\n]/, 1);
  const short = first.slice(0, 43);
  return `[string "${short}${short.length < name.length ? '...' : ''}"]`;
}
