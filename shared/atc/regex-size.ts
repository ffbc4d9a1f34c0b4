/** Instructions a pattern may compile to, on both planes: beyond, matching takes seconds and engines run out of stack. */
export const MAX_PROGRAM = 4000;
/** Characters of a class that count as one instruction: long classes are looked up by their ranges. */
const CLASS_UNIT = 16;
/** A pattern of so many characters is not even looked at. */
const MAX_LENGTH = 8 * MAX_PROGRAM;

/** Why a pattern is too large to be compiled, or nothing. Costs one pass over the pattern, whatever it would compile to. */
export function regexSizeProblem(pattern: string): string | undefined {
  if (pattern.length > MAX_LENGTH) {
    return `pattern is too large (${pattern.length} characters, at most ${MAX_LENGTH}): split it into several`;
  }
  const size = programSize(pattern);
  if (size <= MAX_PROGRAM) return undefined;
  return `pattern is too large (${size} instructions when compiled, at most ${MAX_PROGRAM}): split it into several`;
}

interface Level {
  /** Of all that stands before the last item of this group, and of that item. */
  before: number;
  last: number;
}

/**
 * How many instructions an automaton for the pattern has, counted without compiling it: one for a character or a class,
 * a copy of the item for each time it must or may repeat. Never less than what RE2 makes of it.
 */
export function programSize(pattern: string): number {
  const outer: Level[] = [];
  let level: Level = { before: 2, last: 0 };
  const item = (size: number): void => {
    level.before += level.last;
    level.last = size;
  };
  for (let at = 0; at < pattern.length; ) {
    const token = tokenAt(pattern, at);
    at += token.length;
    const [first = ''] = token;
    if (token.startsWith('\\Q')) {
      for (const _ of token) item(1);
    } else if (first === '[') {
      item(Math.ceil(token.length / CLASS_UNIT));
    } else if (first === '(') {
      outer.push(level);
      level = { before: 2, last: 0 };
    } else if (first === ')') {
      const size = level.before + level.last;
      level = outer.pop() ?? { before: size, last: 0 };
      item(size);
    } else if (first === '*' || first === '+' || first === '?') {
      level.last += first === '*' ? 2 : 1;
    } else if (first === '{' && token.length > 1) {
      level.last = repeated(level.last, token);
    } else {
      // A branch that is empty is an instruction too.
      item(first === '|' ? 2 : 1);
    }
  }
  return [...outer, level].reduce((sum, { before, last }) => sum + before + last, 0);
}

/** An escape, a class, the head of a group, a counted repetition, a quoted text, or one character. */
const TOKEN =
  /\\Q(?:(?!\\E).)*(?:\\E)?|\\[pPx]\{[^}]{0,40}\}|\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]{1,8}:\]|[^\]\\])*\]?|\(\?(?:P?<[A-Za-z_]\w*>|<?[=!]|[A-Za-z-]*:?)|\{\d+(?:,\d*)?\}|./sy;

function tokenAt(pattern: string, at: number): string {
  TOKEN.lastIndex = at;
  return TOKEN.exec(pattern)?.[0] ?? pattern.slice(at);
}

function repeated(size: number, token: string): number {
  const [, low = '0', comma, high] = /^\{(\d+)(,?)(\d*)\}$/.exec(token) ?? [];
  const least = Number(low);
  const most = comma === '' ? least : high === '' ? least + 2 : Number(high);
  return Math.max(1, least, most) * size + Math.max(0, most - least);
}
