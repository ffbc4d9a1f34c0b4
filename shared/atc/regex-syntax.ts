import { type CharSet, charSet, SETS, union } from './char-set.ts';

/** A piece of a simple pattern; `source` is the same in the platform's syntax (with flag `u`). */
export type Item =
  | {
      readonly kind: 'char';
      readonly set: CharSet;
      /** The one character it stands for once, if it does. */
      readonly literal: string | null;
      readonly source: string;
      readonly min: 0 | 1;
      readonly loops: boolean;
    }
  | { readonly kind: 'group'; readonly alternatives: readonly Item[][]; readonly source: string; readonly min: 0 | 1 }
  | { readonly kind: 'end'; readonly source: string };

const MAX_REPEAT = 1000;
const MAX_DEPTH = 20;
const PLAIN = /[A-Za-z0-9_\-/~!@%&=:;,'"<> #]/;
const PUNCTUATION = /[!-/:-@[-`{-~]/;

/**
 * The items behind the `^` of a pattern that has no more than characters, classes, their repetitions, groups that repeat
 * at most once, and `$`; null for every other pattern, valid or not.
 */
export function parseSimpleRegex(pattern: string): readonly Item[] | null {
  if (!pattern.startsWith('^')) return null;
  const reader = new Reader(pattern.slice(1));
  const items = reader.sequence(0);
  return items && reader.atEnd() ? items : null;
}

/** A group that neither repeats nor branches is its items. */
export function inline(item: Item): readonly Item[] {
  if (item.kind !== 'group' || item.min === 0) return [item];
  const [only] = item.alternatives;
  return item.alternatives.length === 1 && only ? only.flatMap(inline) : [item];
}

class Reader {
  readonly #text: string;
  #at = 0;
  readonly #names = new Set<string>();

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** Items up to the end, `|` or `)`; null when something is outside the subset. */
  sequence(depth: number): Item[] | null {
    if (depth > MAX_DEPTH) return null;
    const items: Item[] = [];
    while (!this.atEnd() && !this.#sees('|') && !this.#sees(')')) {
      const item = this.#sees('(') ? this.#group(depth) : this.#sees('$') ? this.#end() : this.#char();
      if (!item) return null;
      items.push(item);
    }
    return items;
  }

  #end(): Item {
    this.#at++;
    return { kind: 'end', source: '$' };
  }

  #group(depth: number): Item | null {
    const open = /^\((?:\?:|\?P?<([A-Za-z_][A-Za-z0-9_]*)>|(?!\?))/.exec(this.#text.slice(this.#at));
    if (!open) return null;
    const name = open[1];
    if (name !== undefined && this.#names.has(name)) return null;
    if (name !== undefined) this.#names.add(name);
    this.#at += open[0].length;
    const alternatives: Item[][] = [];
    do {
      if (alternatives.length > 0) this.#at++;
      const items = this.sequence(depth + 1);
      if (!items) return null;
      alternatives.push(items);
    } while (this.#sees('|'));
    if (!this.#sees(')')) return null;
    this.#at++;
    const body = alternatives.map((items) => items.map((item) => item.source).join('')).join('|');
    const source = `${name === undefined ? open[0] : `(?<${name}>`}${body})`;
    if (this.#sees('*') || this.#sees('+') || this.#sees('{')) return null;
    const optional = this.#take('?');
    if (this.#sees('?')) return null;
    return { kind: 'group', alternatives, source: optional ? `${source}?` : source, min: optional ? 0 : 1 };
  }

  #char(): Item | null {
    const atom = this.#sees('[') ? this.#charClass() : this.#sees('\\') ? this.#escape() : this.#plain();
    if (!atom) return null;
    const repeat = this.#repeat();
    return (
      repeat && {
        kind: 'char',
        set: atom.set,
        literal: repeat.source === '' ? (atom.literal ?? null) : null,
        source: atom.source + repeat.source,
        min: repeat.min,
        loops: repeat.loops,
      }
    );
  }

  #plain(): Atom | null {
    const char = this.#text[this.#at] ?? '';
    if (char === '.') {
      this.#at++;
      return { set: SETS.dot, source: '[^\\n]' };
    }
    if (!PLAIN.test(char)) return null;
    this.#at++;
    return { set: charSet(char), literal: char, source: quote(char) };
  }

  #escape(): Atom | null {
    const char = this.#text[this.#at + 1] ?? '';
    const known = CLASSES[char];
    if (!known && !PUNCTUATION.test(char)) return null;
    this.#at += 2;
    return known
      ? { set: known.set, source: `[${known.source}]` }
      : { set: charSet(char), literal: char, source: quote(char) };
  }

  #charClass(): Atom | null {
    const match =
      /^\[(\^?)((?:[A-Za-z0-9_/~!@%&=:;,.+*$(){}?|'"<> #]|\\[dws]|\\[!-/:-@[-`{-~]|(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]))+)(-?)\]/.exec(
        this.#text.slice(this.#at),
      );
    if (!match || match[2]?.includes('&&')) return null;
    this.#at += match[0].length;
    let set = charSet(match[3] ?? '');
    let source = match[3] ? '\\-' : '';
    for (const [part] of (match[2] ?? '').matchAll(/\\.|[A-Za-z0-9]-[A-Za-z0-9]|./g)) {
      const known = part.startsWith('\\') ? CLASSES[part[1] ?? ''] : undefined;
      if (part.length === 3 && part > `${part[2]}`) return null;
      set = union(set, known ? known.set : charSet(part.startsWith('\\') ? part.slice(1) : part));
      source += known ? known.source : part.length === 3 ? part : quote(part.startsWith('\\') ? part.slice(1) : part);
    }
    return match[1] ? { set: set.map((word) => ~word), source: `[^${source}]` } : { set, source: `[${source}]` };
  }

  #repeat(): { readonly min: 0 | 1; readonly loops: boolean; readonly source: string } | null {
    const match = /^(?:[*+?]|\{(\d{1,4})(,(\d{0,4}))?\})/.exec(this.#text.slice(this.#at));
    if (!match) return this.#sees('{') ? null : { min: 1, loops: false, source: '' };
    this.#at += match[0].length;
    if (this.#sees('?') || this.#sees('*') || this.#sees('+') || this.#sees('{')) return null;
    if (match[1] === undefined) return { min: match[0] === '+' ? 1 : 0, loops: true, source: match[0] };
    const low = Number(match[1]);
    const high = match[3] === undefined || match[3] === '' ? low : Number(match[3]);
    if (low > MAX_REPEAT || high > MAX_REPEAT || high < low) return null;
    return { min: low > 0 ? 1 : 0, loops: match[2] !== undefined && match[3] !== match[1], source: match[0] };
  }

  #sees(char: string): boolean {
    return this.#text[this.#at] === char;
  }

  #take(char: string): boolean {
    if (!this.#sees(char)) return false;
    this.#at++;
    return true;
  }
}

interface Atom {
  readonly set: CharSet;
  readonly literal?: string;
  readonly source: string;
}

/** RE2's Perl classes: ASCII, and `\s` without the vertical tab. */
const CLASSES: Readonly<Record<string, Atom>> = {
  d: { set: SETS.digit, source: '0-9' },
  w: { set: SETS.word, source: '0-9A-Za-z_' },
  s: { set: SETS.space, source: '\\t\\n\\f\\r ' },
};

function quote(char: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(char) ? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}` : char;
}
