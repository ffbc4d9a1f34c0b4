/** A set of characters: one bit per ASCII character in four words, and a fifth word that stands for all others. */
export type CharSet = readonly number[];

/** The set of one character (`a`), an ASCII range (`a-z`), or nothing (``). */
export function charSet(text: string): CharSet {
  const words = [0, 0, 0, 0, 0];
  if (text === '') return words;
  const low = text.charCodeAt(0);
  const high = text.length === 3 ? text.charCodeAt(2) : low;
  for (let code = low; code <= high; code++) {
    const word = code < 128 ? code >> 5 : 4;
    words[word] = (words[word] ?? 0) | (code < 128 ? 1 << (code & 31) : -1);
  }
  return words;
}

/** Characters in either. */
export function union(a: CharSet, b: CharSet): CharSet {
  return a.map((word, i) => word | (b[i] ?? 0));
}

/** Whether any character is in both. */
export function intersects(a: CharSet, b: CharSet): boolean {
  return a.some((word, i) => (word & (b[i] ?? 0)) !== 0);
}

const none = charSet('');
const digit = charSet('0-9');

/** The classes regular expressions name: `.`, `\d`, `\w`, `\s`. */
export const SETS = {
  none,
  /** Everything but a line feed. */
  dot: charSet('\n').map((word) => ~word),
  digit,
  word: [charSet('a-z'), charSet('A-Z'), charSet('_')].reduce(union, digit),
  space: ['\t', '\n', '\f', '\r', ' '].map(charSet).reduce(union, none),
} as const;
