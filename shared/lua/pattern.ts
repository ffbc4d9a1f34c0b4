/**
 * Lua's patterns (manual §5.4.1) over bytes, with each step counted: Lua's own matcher is one C function that no budget
 * of instructions can interrupt, and some patterns take it longer than the age of the universe.
 */

/** Thrown for a pattern that is none; the message is Lua's. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/** A capture: bytes from start to end, or a position (`()`), counted from 1. */
export type Capture = { readonly start: number; readonly end: number } | number;

export interface Match {
  readonly start: number;
  readonly end: number;
  readonly captures: readonly Capture[];
}

/** Called with the number of steps taken since it was last called; throws when there were too many. */
export type Charge = (steps: number) => void;

/** The first match at or after `from` (an offset), or null. An anchor `^` is only one where `anchored` says so. */
export function findMatch(
  subject: Uint8Array,
  pattern: Uint8Array,
  from: number,
  anchorable: boolean,
  charge: Charge,
): Match | null {
  const anchored = anchorable && pattern[0] === CARET;
  const matcher = new Matcher(subject, pattern, charge);
  let start = from;
  do {
    matcher.reset();
    const end = matcher.match(start, anchored ? 1 : 0);
    if (end !== FAIL) {
      matcher.settle();
      return { start, end, captures: matcher.captures() };
    }
    start++;
  } while (start <= subject.length && !anchored);
  matcher.settle();
  return null;
}

/** Whether a pattern has nothing in it but characters that stand for themselves. */
export function isPlain(pattern: Uint8Array): boolean {
  return !pattern.some((byte) => SPECIALS.has(byte));
}

const code = (char: string): number => char.charCodeAt(0);
const CARET = code('^');
const DOLLAR = code('$');
const ESCAPE = code('%');
const OPEN = code('(');
const CLOSE = code(')');
const BRACKET = code('[');
const BRACKET_END = code(']');
const DOT = code('.');
const STAR = code('*');
const PLUS = code('+');
const MINUS = code('-');
const OPTIONAL = code('?');
const LOWER_B = code('b');
const LOWER_F = code('f');
const SPECIALS: ReadonlySet<number> = new Set([...'^$*+?.([%-'].map(code));

const FAIL = -1;
const MAX_CAPTURES = 32;
/** Open captures and positions are told by these in place of an end. */
const UNFINISHED = -1;
const POSITION = -2;
/** Deeper than this, a pattern is refused before JavaScript's stack ends. */
const MAX_DEPTH = 2000;
/** Steps are reported in lots of this size. */
const LOT = 1024;

class Matcher {
  readonly #subject: Uint8Array;
  readonly #pattern: Uint8Array;
  readonly #charge: Charge;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #level = 0;
  #depth = 0;
  #steps = 0;

  constructor(subject: Uint8Array, pattern: Uint8Array, charge: Charge) {
    this.#subject = subject;
    this.#pattern = pattern;
    this.#charge = charge;
  }

  reset(): void {
    this.#level = 0;
  }

  /** Reports the steps that were not yet. */
  settle(): void {
    this.#charge(this.#steps);
    this.#steps = 0;
  }

  captures(): readonly Capture[] {
    const found: Capture[] = [];
    for (let i = 0; i < this.#level; i++) {
      const start = this.#starts[i] ?? 0;
      const end = this.#ends[i] ?? UNFINISHED;
      if (end === UNFINISHED) throw new PatternError('unfinished capture');
      found.push(end === POSITION ? start + 1 : { start, end });
    }
    return found;
  }

  /** The end of a match of the pattern from `p` on the subject from `s` on, or FAIL. */
  match(from: number, at: number): number {
    if (++this.#depth > MAX_DEPTH) throw new PatternError('pattern too complex');
    try {
      return this.#match(from, at);
    } finally {
      this.#depth--;
    }
  }

  #match(from: number, at: number): number {
    const pattern = this.#pattern;
    const subject = this.#subject;
    let s = from;
    let p = at;
    for (;;) {
      this.#step();
      if (p === pattern.length) return s;
      const char = pattern[p];
      if (char === OPEN) {
        return pattern[p + 1] === CLOSE ? this.#open(s, p + 2, POSITION) : this.#open(s, p + 1, UNFINISHED);
      }
      if (char === CLOSE) return this.#close(s, p + 1);
      if (char === DOLLAR && p + 1 === pattern.length) return s === subject.length ? s : FAIL;
      if (char === ESCAPE) {
        const next = pattern[p + 1];
        if (next === LOWER_B) {
          s = this.#balance(s, p + 2);
          if (s === FAIL) return FAIL;
          p += 4;
          continue;
        }
        if (next === LOWER_F) {
          p += 2;
          if (pattern[p] !== BRACKET) throw new PatternError("missing '[' after '%f' in pattern");
          const end = this.#classEnd(p);
          const before = s === 0 ? 0 : (subject[s - 1] ?? 0);
          const here = subject[s] ?? 0;
          if (this.#inSet(before, p, end - 1) || !this.#inSet(here, p, end - 1)) return FAIL;
          p = end;
          continue;
        }
        if (next !== undefined && next >= 0x30 && next <= 0x39) {
          s = this.#backReference(s, next);
          if (s === FAIL) return FAIL;
          p += 2;
          continue;
        }
      }
      const end = this.#classEnd(p);
      const suffix = pattern[end];
      if (suffix === OPTIONAL) {
        if (this.#single(s, p, end)) {
          const rest = this.match(s + 1, end + 1);
          if (rest !== FAIL) return rest;
        }
        p = end + 1;
        continue;
      }
      if (suffix === STAR) return this.#most(s, p, end, 0);
      if (suffix === PLUS) return this.#most(s, p, end, 1);
      if (suffix === MINUS) return this.#least(s, p, end);
      if (!this.#single(s, p, end)) return FAIL;
      s++;
      p = end;
    }
  }

  #step(): void {
    if (++this.#steps < LOT) return;
    this.#steps = 0;
    this.#charge(LOT);
  }

  /** Where the single-character class at `p` ends. */
  #classEnd(p: number): number {
    const pattern = this.#pattern;
    let at = p + 1;
    const char = pattern[p];
    if (char === ESCAPE) {
      if (at >= pattern.length) throw new PatternError("malformed pattern (ends with '%')");
      return at + 1;
    }
    if (char !== BRACKET) return at;
    if (pattern[at] === CARET) at++;
    do {
      if (at >= pattern.length) throw new PatternError("malformed pattern (missing ']')");
      if (pattern[at++] === ESCAPE && at < pattern.length) at++;
    } while (pattern[at] !== BRACKET_END);
    return at + 1;
  }

  #single(s: number, p: number, end: number): boolean {
    this.#step();
    const byte = this.#subject[s];
    if (byte === undefined) return false;
    const char = this.#pattern[p];
    if (char === DOT) return true;
    if (char === ESCAPE) return inClass(byte, this.#pattern[p + 1] ?? 0);
    if (char === BRACKET) return this.#inSet(byte, p, end - 1);
    return char === byte;
  }

  /** Whether a byte is in the set from `[` at `p` to `]` at `last`. */
  #inSet(byte: number, p: number, last: number): boolean {
    const pattern = this.#pattern;
    let at = p + 1;
    let found = true;
    if (pattern[at] === CARET) {
      found = false;
      at++;
    }
    for (; at < last; at++) {
      this.#step();
      const char = pattern[at] ?? 0;
      if (char === ESCAPE) {
        at++;
        if (inClass(byte, pattern[at] ?? 0)) return found;
      } else if (pattern[at + 1] === MINUS && at + 2 < last) {
        if (char <= byte && byte <= (pattern[at + 2] ?? 0)) return found;
        at += 2;
      } else if (char === byte) return found;
    }
    return !found;
  }

  #balance(s: number, p: number): number {
    const [open, close] = [this.#pattern[p], this.#pattern[p + 1]];
    if (open === undefined || close === undefined) throw new PatternError('unbalanced pattern');
    if (this.#subject[s] !== open) return FAIL;
    let depth = 1;
    for (let at = s + 1; at < this.#subject.length; at++) {
      this.#step();
      const byte = this.#subject[at];
      if (byte === close) {
        if (--depth === 0) return at + 1;
      } else if (byte === open) depth++;
    }
    return FAIL;
  }

  #backReference(s: number, digit: number): number {
    const index = digit - 0x31;
    const end = this.#ends[index];
    if (index < 0 || index >= this.#level || end === UNFINISHED) throw new PatternError('invalid capture index');
    // A position has no text that could come again.
    if (end === POSITION) return FAIL;
    const start = this.#starts[index] ?? 0;
    const length = (end ?? start) - start;
    for (let i = 0; i < length; i++) {
      this.#step();
      if (this.#subject[start + i] !== this.#subject[s + i]) return FAIL;
    }
    return s + length;
  }

  #most(s: number, p: number, end: number, least: number): number {
    let count = 0;
    while (this.#single(s + count, p, end)) count++;
    for (; count >= least; count--) {
      const rest = this.match(s + count, end + 1);
      if (rest !== FAIL) return rest;
    }
    return FAIL;
  }

  #least(from: number, p: number, end: number): number {
    for (let s = from; ; s++) {
      const rest = this.match(s, end + 1);
      if (rest !== FAIL) return rest;
      if (!this.#single(s, p, end)) return FAIL;
    }
  }

  #open(s: number, p: number, what: number): number {
    if (this.#level >= MAX_CAPTURES) throw new PatternError('too many captures');
    this.#starts[this.#level] = s;
    this.#ends[this.#level] = what;
    this.#level++;
    const rest = this.match(s, p);
    if (rest === FAIL) this.#level--;
    return rest;
  }

  #close(s: number, p: number): number {
    let index = this.#level - 1;
    while (index >= 0 && this.#ends[index] !== UNFINISHED) index--;
    if (index < 0) throw new PatternError('invalid pattern capture');
    this.#ends[index] = s;
    const rest = this.match(s, p);
    if (rest === FAIL) this.#ends[index] = UNFINISHED;
    return rest;
  }
}

/** `%a` and its like; an upper-case letter is the complement. Other characters stand for themselves. */
function inClass(byte: number, letter: number): boolean {
  const test = CLASSES.get(letter | 0x20);
  if (test === undefined) return letter === byte;
  return (letter & 0x20) !== 0 ? test(byte) : !test(byte);
}

const between = (byte: number, low: number, high: number): boolean => byte >= low && byte <= high;
const lower = (byte: number): boolean => between(byte, 0x61, 0x7a);
const upper = (byte: number): boolean => between(byte, 0x41, 0x5a);
const digit = (byte: number): boolean => between(byte, 0x30, 0x39);
const alphanumeric = (byte: number): boolean => lower(byte) || upper(byte) || digit(byte);

/** isalpha(3) and so on, in the C locale. */
const CLASSES: ReadonlyMap<number, (byte: number) => boolean> = new Map([
  [code('a'), (byte: number) => lower(byte) || upper(byte)],
  [code('c'), (byte: number) => byte < 0x20 || byte === 0x7f],
  [code('d'), digit],
  [code('l'), lower],
  [code('p'), (byte: number) => between(byte, 0x21, 0x7e) && !alphanumeric(byte)],
  [code('s'), (byte: number) => byte === 0x20 || between(byte, 0x09, 0x0d)],
  [code('u'), upper],
  [code('w'), alphanumeric],
  [code('x'), (byte: number) => digit(byte) || between(byte, 0x61, 0x66) || between(byte, 0x41, 0x46)],
  [code('z'), (byte: number) => byte === 0],
]);
