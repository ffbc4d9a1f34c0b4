import { labelsFault } from '../../shared/cluster/labels.ts';
import { isUuid } from '../../shared/uuid.ts';

/** The kinds of setting there are: how the text of one is read, and how to say what is allowed. */

/** One setting of the table in `properties.ts`. */
export interface Property<T> {
  /** As it would be written in holdfast.conf; null for unset. */
  readonly default: string | null;
  /** Completes the sentence "allowed: …". */
  readonly allowed: string;
  /** Never printed. */
  readonly secret: boolean;
  /** False: an empty text is none that is allowed, and not the default. */
  readonly emptyIsDefault?: boolean;
  /** Undefined when `text` is not allowed. */
  readonly parse: (text: string) => T | undefined;
}

/** What a property gives once read: its type, or null when unset and without default. */
export type PropertyValue<P> = P extends Property<infer T> ? T : never;

export function text(initial: string): Property<string>;
export function text(initial: null): Property<string | null>;
export function text(initial: string | null): Property<string | null> {
  return { default: initial, allowed: 'any text', secret: false, parse: (value) => value };
}

export function secret(initial: string | null): Property<string | null> {
  return { default: initial, allowed: 'any text', secret: true, parse: (value) => value };
}

export function oneOf<const V extends string>(values: readonly V[], initial: V): Property<V> {
  return {
    default: initial,
    allowed: values.map((value) => `'${value}'`).join(', '),
    secret: false,
    parse: (value) => values.find((candidate) => candidate === value),
  };
}

/** Kong's booleans: `on`/`off`, with `true`/`false`, `yes`/`no` and `1`/`0` accepted. */
export function onOff(initial: 'on' | 'off'): Property<boolean> {
  return {
    default: initial,
    allowed: "'on' or 'off'",
    secret: false,
    parse: (value) => {
      if (/^(on|true|yes|1)$/i.test(value)) return true;
      if (/^(off|false|no|0)$/i.test(value)) return false;
      return undefined;
    },
  };
}

export function integer(initial: number, [low, high]: readonly [number, number]): Property<number> {
  return {
    default: String(initial),
    allowed: `a whole number from ${low} to ${high}`,
    secret: false,
    parse: (value) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      return number >= low && number <= high ? number : undefined;
    },
  };
}

/** A number from 0 to 1. */
export function share(initial: string): Property<number> {
  return {
    default: initial,
    allowed: 'a number from 0 to 1',
    secret: false,
    parse: (value) => (/^(0|1|0?\.\d+|[01]\.\d+)$/.test(value) && Number(value) <= 1 ? Number(value) : undefined),
  };
}

/** A number that need not be set. */
export function optionalInteger(range: readonly [number, number]): Property<number | null> {
  return { ...integer(range[0], range), default: null };
}

/** nginx's notation of a time, in milliseconds: `90`, `60s`, `500ms`, `1m`, `1h`, `1d`. */
export function duration(initial: string, longest = 24 * 3_600_000, shortest = 1): Property<number> {
  return {
    default: initial,
    allowed: `a time such as '60s', '500ms' or '2m', from ${shortest} ms to ${longest / 3_600_000} hours`,
    secret: false,
    parse: (value) => {
      const [, amount, unit = 's'] = /^(\d{1,9})(ms|s|m|h|d)?$/.exec(value) ?? [];
      const time = Number(amount) * (MILLISECONDS[unit] ?? Number.NaN);
      return time >= shortest && time <= longest ? time : undefined;
    },
  };
}

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** nginx's `number size`: so many buffers of so many bytes. */
export function buffers(initial: string): Property<{ readonly count: number; readonly size: number }> {
  return {
    default: initial,
    allowed: "a number of buffers from 1 to 1000 and their size from 1k to 1m, such as '4 8k'",
    secret: false,
    parse: (value) => {
      const [, amount = '', each = ''] = /^(\d+)\s+(\S+)$/.exec(value) ?? [];
      const count = integer(1, [1, 1000]).parse(amount);
      const bytes = size(each, [1 << 10, 1 << 20]).parse(each);
      return count === undefined || bytes === undefined ? undefined : { count, size: bytes };
    },
  };
}

/** Words of a list, by blanks. */
export function spaced<const V extends string>(initial: string, words: readonly V[]): Property<readonly V[]> {
  return {
    default: initial,
    allowed: `one or more of ${words.map((word) => `'${word}'`).join(', ')}, separated by blanks`,
    secret: false,
    parse: (value) => {
      const given = value.split(/\s+/);
      const known = words.filter((word) => given.includes(word));
      return given.every((word) => words.some((one) => one === word)) ? known : undefined;
    },
  };
}

/** nginx's notation of a size, in bytes: `65536`, `512k`, `128m`, `2g`. */
export function size(initial: string, [low, high]: readonly [number, number]): Property<number> {
  return {
    default: initial,
    allowed: `a size such as '512k', '128m' or '2g', from ${low} to ${high} bytes`,
    secret: false,
    parse: (value) => {
      const [, amount, unit = ''] = /^(\d{1,12})([kmg])?$/i.exec(value) ?? [];
      const bytes = Number(amount) * (SIZES[unit.toLowerCase()] ?? Number.NaN);
      return bytes >= low && bytes <= high ? bytes : undefined;
    },
  };
}

const SIZES: Readonly<Record<string, number>> = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };

/** Comma-separated words; none for an empty text or `off`. */
export function words(initial: string): Property<readonly string[]> {
  return list(initial, 'a comma-separated list', (word) => word);
}

/** Some of these words, by commas and in either case; none for an empty text or `off`. */
export function oneOrMore<const V extends string>(initial: string, known: readonly V[]): Property<readonly V[]> {
  const names = known.map((word) => `'${word}'`).join(', ');
  return list(initial, `'off', or comma-separated ${names}`, (given) =>
    known.find((word) => word.toLowerCase() === given.toLowerCase()),
  );
}

/** Comma-separated values, each trimmed; none for an empty text or one that begins with `off`, which is passed over elsewhere, as in Kong. */
export function list<T>(
  initial: string,
  allowed: string,
  item: (value: string) => T | undefined,
): Property<readonly T[]> {
  return {
    default: initial,
    allowed,
    secret: false,
    parse: (value) => {
      if (value === '' || /^\s*off\s*(,|$)/.test(value)) return [];
      const items: T[] = [];
      for (const part of value.split(',')) {
        if (part.trim() === 'off') continue;
        const parsed = item(part.trim());
        if (parsed === undefined || part.trim() === '') return undefined;
        items.push(parsed);
      }
      return items;
    },
  };
}

/** An id, or none. */
export function uuid(): Property<string | null> {
  return {
    default: null,
    allowed: 'a UUID',
    secret: false,
    parse: (value) => (isUuid(value) ? value.toLowerCase() : undefined),
  };
}

/** The name of a header (RFC 9110, 5.6.2), or none. */
export function headerName(): Property<string | null> {
  return {
    default: null,
    allowed: "the name of a header, such as 'X-Forwarded-User'",
    secret: false,
    parse: (value) => (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) ? value : undefined),
  };
}

/** Path prefix of URLs: `/`, or segments without a slash at the end. */
export function path(initial: string): Property<string> {
  return {
    default: initial,
    allowed: "'/', or a path like '/manager' of letters, digits, '-' and '_' that does not end with a slash",
    secret: false,
    parse: (value) => (/^(\/|(\/[A-Za-z0-9_-]+)+)$/.test(value) ? value : undefined),
  };
}

/** `name:value` pairs, comma-separated. */
export function labels(initial: string): Property<Readonly<Record<string, string>>> {
  return {
    default: initial,
    allowed:
      "up to 10 comma-separated 'name:value' pairs, each up to 63 letters, digits, '.', '_' and '-', not beginning with a name of Kong's (kong, konnect, insomnia, mesh, kic)",
    secret: false,
    parse: (value) => {
      if (value === '') return {};
      const pairs: [name: string, content: string][] = [];
      for (const pair of value.split(',')) {
        const colon = pair.indexOf(':');
        if (colon < 0) return undefined;
        pairs.push([pair.slice(0, colon).trim(), pair.slice(colon + 1).trim()]);
      }
      const result = Object.fromEntries(pairs);
      return labelsFault(result) === null ? result : undefined;
    },
  };
}
