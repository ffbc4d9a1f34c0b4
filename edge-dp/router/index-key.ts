import type { Expression, Predicate } from '../../shared/atc/ast.ts';
import { printIp } from '../../shared/atc/ip.ts';
import { literalPrefix } from './literal-prefix.ts';
import { literalSegments } from './literal-segments.ts';
import { comparand } from './predicate.ts';

/** Where a rule stands in the index: what a request must at least have for the rule to be worth a look. */
export interface IndexKey {
  readonly host: HostKey | null;
  /** The path begins with this. */
  readonly path: string;
  readonly value: ValueKey | null;
}

/** The whole host, its beginning (`a.*`) or its end (`*.a`). */
export interface HostKey {
  readonly kind: 'exact' | 'prefix' | 'suffix';
  readonly text: string;
}

/** One of the field's values, lower-cased where asked, is this text. */
export interface ValueKey {
  readonly field: string;
  readonly lower: boolean;
  readonly text: string;
}

interface Indexing {
  readonly keys: readonly IndexKey[];
  /** The conditions a request found by its key may still fail. */
  readonly remaining: readonly Expression[];
}

/** With more combinations than this a rule is filed by its hosts or its paths alone. */
const MAX_KEYS = 4096;

/**
 * Plans where to file a rule: of its conditions, those that pin the host, a path prefix and one more field's value.
 * Alternatives (`||`) count when every one of them pins it.
 */
export function planIndex(conditions: readonly Expression[]): Indexing {
  const proven: Expression[] = [];
  const hosts = pick(conditions, proven, hostOf) ?? NO_HOST;
  const paths = pick(conditions, proven, pathOf) ?? NO_PATH;
  // What its host or path proves already is about nothing else.
  const others = without(conditions, proven);
  const values = (others.length === 0 ? null : pickValues(others, proven)) ?? NO_VALUE;
  if (hosts.length * paths.length * values.length <= MAX_KEYS) {
    return { keys: cross(hosts, paths, values), remaining: without(conditions, proven) };
  }
  const byHost = hosts.length > paths.length;
  return { keys: cross(byHost ? hosts : NO_HOST, byHost ? NO_PATH : paths, NO_VALUE), remaining: conditions };
}

const NO_HOST: readonly null[] = [null];
const NO_PATH: readonly string[] = [''];
const NO_VALUE: readonly null[] = [null];
const NONE: readonly Expression[] = [];

/** A rule has few conditions. */
function without(conditions: readonly Expression[], proven: readonly Expression[]): readonly Expression[] {
  if (proven.length === 0) return conditions;
  if (proven.length === conditions.length) return NONE;
  return conditions.filter((condition) => !proven.includes(condition));
}

function cross(
  hosts: readonly (HostKey | null)[],
  paths: readonly string[],
  values: readonly (ValueKey | null)[],
): IndexKey[] {
  // Most rules have one, and there are thousands.
  if (hosts.length === 1 && paths.length === 1 && values.length === 1) {
    return [{ host: hosts[0] ?? null, path: paths[0] ?? '', value: values[0] ?? null }];
  }
  const keys: IndexKey[] = [];
  for (const host of hosts) for (const path of paths) for (const value of values) keys.push({ host, path, value });
  return keys;
}

/** What one condition says about a dimension; `exact`: the key alone proves the condition. */
interface Pin<K> {
  readonly key: K;
  readonly exact: boolean;
}

function pick<K>(
  conditions: readonly Expression[],
  proven: Expression[],
  pinOf: (predicate: Predicate) => Pin<K> | null,
): K[] | null {
  for (let at = 0; at < conditions.length; at++) {
    const condition = conditions[at];
    if (condition === undefined) continue;
    if (condition.kind === 'predicate') {
      const pin = pinOf(condition);
      if (pin === null) continue;
      if (pin.exact) proven.push(condition);
      return [pin.key];
    }
    const pins = pinsOf(condition, pinOf);
    if (!pins || pins.length > MAX_KEYS) continue;
    if (pins.every((pin) => pin.exact)) proven.push(condition);
    return pins.map((pin) => pin.key);
  }
  return null;
}

/** One pin per alternative; null when some alternative pins nothing. */
function pinsOf<K>(condition: Expression, pinOf: (predicate: Predicate) => Pin<K> | null): Pin<K>[] | null {
  switch (condition.kind) {
    case 'predicate': {
      const pin = pinOf(condition);
      return pin && [pin];
    }
    case 'not':
      return null;
    case 'all':
      for (const term of condition.terms) {
        const pins = pinsOf(term, pinOf);
        if (pins) return pins.map((pin) => ({ ...pin, exact: false }));
      }
      return null;
    case 'any': {
      const pins = condition.terms.map((term) => pinsOf(term, pinOf));
      return pins.every((pin) => pin !== null) ? pins.flat() : null;
    }
  }
}

function hostOf(predicate: Predicate): Pin<HostKey> | null {
  if (predicate.field !== 'http.host') return null;
  const text = comparand(predicate);
  switch (predicate.operator) {
    case '==':
      return { key: { kind: 'exact', text }, exact: true };
    case '^=':
      return { key: { kind: 'prefix', text }, exact: true };
    case '=^':
      return { key: { kind: 'suffix', text }, exact: true };
    default:
      return null;
  }
}

function pathOf(predicate: Predicate): Pin<string> | null {
  if (predicate.field !== 'http.path' || predicate.lower) return null;
  const text = comparand(predicate);
  switch (predicate.operator) {
    case '==':
      return { key: text, exact: false };
    case '^=':
      return { key: text, exact: true };
    case '~': {
      const prefix = literalPrefix(text);
      return prefix === '' ? null : { key: prefix, exact: false };
    }
    default:
      return null;
  }
}

/** Fields by how well their values tell routes apart. */
const SELECTIVE = [
  'http.headers.',
  'http.queries.',
  'tls.sni',
  'http.path.segments.',
  'edge.',
  'net.src.ip',
  'net.dst.ip',
  'net.src.port',
  'net.dst.port',
  'http.method',
];

function pickValues(conditions: readonly Expression[], proven: Expression[]): ValueKey[] | null {
  for (const prefix of SELECTIVE) {
    const keys = pick(conditions, proven, (predicate) => valuePinOf(predicate, prefix));
    if (keys) return keys;
    if (prefix === 'tls.sni') {
      const shapes = pick(conditions, proven, segmentsPinOf);
      if (shapes) return shapes;
    }
  }
  return null;
}

/** The fixed segments of a regex path, all together: what tells `/users/{id}/posts` from `/users/{id}/photos`. */
function segmentsPinOf({ field, operator, value, lower }: Predicate): Pin<ValueKey> | null {
  if (field !== 'http.path' || operator !== '~' || lower || value.type !== 'String') return null;
  const segments = literalSegments(value.text);
  if (segments.length === 0) return null;
  const places = segments.map(({ index }) => index).join('+');
  const text = segments.map((segment) => segment.text).join('/');
  return { key: { field: `http.path.segments.${places}`, lower: false, text }, exact: false };
}

function valuePinOf(predicate: Predicate, prefix: string): Pin<ValueKey> | null {
  const { field, operator, value, lower, any } = predicate;
  if (operator !== '==' || !field.startsWith(prefix)) return null;
  const several = field.startsWith('http.headers.') || field.startsWith('http.queries.');
  const text = value.type === 'String' ? comparand(predicate) : value.type === 'Int' ? String(value.number) : null;
  if (text !== null) return { key: { field, lower, text }, exact: any || !several };
  return value.type === 'IpAddr' ? { key: { field, lower, text: printIp(value.address) }, exact: true } : null;
}
