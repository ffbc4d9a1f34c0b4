import { RE2JS } from 're2js';
import { programSize, regexSizeProblem } from '../../../shared/atc/regex-size.ts';
import { type LuaCall, LuaNative, type LuaValue, results } from '../../../shared/lua/value.ts';
import type { Library } from '../context.ts';

/**
 * `ngx.re`: RE2 in PCRE's place, so that no pattern takes longer than its input is long; look-around and back-references are errors.
 * On bytes, as without the option `u`.
 */
export const regexes: Library = {
  match: new LuaNative('match', (call) => {
    const found = search(call, call.optionalText(3) ?? '', startOf(call));
    return found === null ? undefined : found.captures;
  }),
  find: new LuaNative('find', (call) => {
    const found = search(call, call.optionalText(3) ?? '', startOf(call));
    if (found === null) return undefined;
    const nth = call.optionalNumber(5) ?? 0;
    return results(found.start(nth), found.end(nth));
  }),
};

/** One step of gmatch, gsub and split: first and last byte, captures. */
export const next = new LuaNative('re_next', (call) => {
  const found = search(call, call.text(3), call.number(4));
  return found === null ? undefined : results(found.start(0), found.end(0), found.captures);
});

/** `sub` and `gsub` with a text: `$1`, `${1}`, `$0`, `$$`. */
export const replace = new LuaNative('re_replace', (call) => {
  const subject = call.bytes(1).slice();
  const template = latin1(call.bytes(3));
  const all = call.truth(5);
  let [result, copied, at, count] = ['', 0, 1, 0];
  const text = latin1(subject);
  while (at <= text.length + 1) {
    const found = search(call, call.text(4), at);
    if (found === null) break;
    count++;
    const [from, to] = [found.start(0) ?? 1, found.end(0) ?? 0];
    result += text.slice(copied, from - 1) + filled(template, found.groups, call);
    copied = to;
    at = to >= from ? to + 1 : from + 1;
    if (!all) break;
  }
  return results(bytesOf(result + text.slice(copied)), count, undefined);
});

interface Found {
  /** 1 for the first byte; undefined for a group that took no part. */
  start(group: number): number | undefined;
  end(group: number): number | undefined;
  readonly groups: readonly (string | null)[];
  readonly captures: LuaValue;
}

function search(call: LuaCall, options: string, from: number): Found | null {
  const subject = latin1(call.bytes(1));
  if (from > subject.length + 1) return null;
  const { regex, rate } = compiled(call, latin1(call.bytes(2)), options);
  call.charge((subject.length - from + 1) * rate);
  const matcher = regex.matcher(subject);
  if (!matcher.find(from - 1)) return null;
  const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i));
  const captures = new Map<LuaValue, LuaValue>();
  for (const [i, group] of groups.entries()) captures.set(i, group === null ? false : bytesOf(group));
  for (const [name, i] of Object.entries(regex.namedGroups())) captures.set(name, captures.get(i));
  return {
    start: (group) => (groups[group] === null || groups[group] === undefined ? undefined : matcher.start(group) + 1),
    end: (group) => (groups[group] === null || groups[group] === undefined ? undefined : matcher.end(group)),
    groups,
    captures,
  };
}

/** The `pos` of the fourth argument, a table. */
function startOf(call: LuaCall): number {
  const context = call.value(4);
  const position = context instanceof Map ? context.get('pos') : undefined;
  return typeof position === 'number' && position >= 1 ? position : 1;
}

const MOST_KEPT = 256;
const kept = new Map<string, Compiled>();

interface Compiled {
  readonly regex: RE2JS;
  /** Instructions that a byte costs: an automaton may be in all of its states at once, and runs faster where it is small. */
  readonly rate: number;
}

function compiled(call: LuaCall, pattern: string, options: string): Compiled {
  const key = `${options} ${pattern}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  let flags = 0;
  if (options.includes('i')) flags |= RE2JS.CASE_INSENSITIVE;
  if (options.includes('s')) flags |= RE2JS.DOTALL;
  if (options.includes('m')) flags |= RE2JS.MULTILINE;
  const source = options.includes('x') ? pattern.replace(/(?<!\\)\s+|(?<!\\)#.*/g, '') : pattern;
  const tooLarge = regexSizeProblem(source);
  if (tooLarge !== undefined) throw new Error(tooLarge);
  const size = programSize(source);
  const properties = source.match(/\\[pP]/g)?.length ?? 0;
  call.charge(COMPILING + size * A_STATE + properties * A_PROPERTY);
  const regex = RE2JS.compile(source.replace(/\(\?<(?=[A-Za-z_])/g, '(?P<'), flags);
  if (kept.size >= MOST_KEPT) kept.clear();
  const made = { regex, rate: size > SMALL ? size * 3 : size / 2 };
  kept.set(key, made);
  return made;
}

/** What compiling costs in instructions, beside what its states and its properties of characters do. */
const COMPILING = 1000;
const A_STATE = 200;
const A_PROPERTY = 8000;
const SMALL = 32;
/** What a part of a replacement costs, beside its bytes. */
const A_PART = 2;
const BYTES_AN_INSTRUCTION = 16;

/** Charges for what it becomes before there is much of it. */
function filled(template: string, groups: readonly (string | null)[], call: LuaCall): string {
  call.charge(template.length / BYTES_AN_INSTRUCTION);
  return template.replace(
    /\$(?:\$|(\d+)|\{(\d+)\})/g,
    (_match, plain: string | undefined, braced: string | undefined) => {
      const index = plain ?? braced;
      const part = index === undefined ? '$' : (groups[Number(index)] ?? '');
      call.charge(A_PART + part.length / BYTES_AN_INSTRUCTION);
      return part;
    },
  );
}

const latin = new TextDecoder('latin1');

/** One character a byte. (`latin1` of the Encoding Standard is windows-1252, which would change some.) */
function latin1(bytes: Uint8Array): string {
  if (bytes.every((byte) => byte < 0x80)) return latin.decode(bytes);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
