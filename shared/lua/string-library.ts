import { concatBytes } from '../bytes.ts';
import { type Capture, type Charge, findMatch, isPlain, type Match } from './pattern.ts';
import { type LuaCall, LuaNative, type LuaResult, LuaResults, type LuaValue, results } from './value.ts';

/** The functions of Lua's string library that match patterns, counted step by step; the prelude puts them in place. */
export const stringNatives: readonly LuaNative[] = [
  new LuaNative('find', find),
  new LuaNative('match', match),
  new LuaNative('step', step),
  new LuaNative('located', located),
  new LuaNative('substitute', substitute),
];

/** `string.find(s, pattern, init, plain)`. */
function find(call: LuaCall): LuaResult {
  const { subject, pattern, from } = given(call);
  if (call.truth(4) || isPlain(pattern)) {
    const at = indexOf(subject, pattern, from, (steps) => call.charge(steps / 8));
    return at < 0 ? undefined : results(at + 1, at + pattern.length);
  }
  const found = findMatch(subject, pattern, from, true, (steps) => call.charge(steps));
  if (found === null) return undefined;
  return new LuaResults([found.start + 1, found.end, ...found.captures.map((capture) => read(subject, capture))]);
}

/** `string.match(s, pattern, init)`. */
function match(call: LuaCall): LuaResult {
  const { subject, pattern, from } = given(call);
  const found = findMatch(subject, pattern, from, true, (steps) => call.charge(steps));
  return found === null ? undefined : new LuaResults(captured(subject, found));
}

/** One step of `string.gmatch`: where the next one goes on, then the captures. */
function step(call: LuaCall): LuaResult {
  const { subject, pattern, from } = given(call);
  if (call.number(3) > subject.length + 1) return undefined;
  const found = findMatch(subject, pattern, from, false, (steps) => call.charge(steps));
  return found === null ? undefined : new LuaResults([following(found), ...captured(subject, found)]);
}

/** One step of `string.gsub`: start, end, where the next one goes on, and the captures as a table with their number `n`. */
function located(call: LuaCall): LuaResult {
  const { subject, pattern, from } = given(call);
  if (call.number(3) > subject.length + 1) return undefined;
  const found = findMatch(subject, pattern, from, true, (steps) => call.charge(steps));
  if (found === null) return undefined;
  const values = captured(subject, found);
  const table = new Map<LuaValue, LuaValue>(values.map((value, i) => [i + 1, value]));
  table.set('n', values.length);
  return results(found.start + 1, found.end, following(found), table);
}

/** `string.gsub` with a text to put in place of each match. */
function substitute(call: LuaCall): LuaResult {
  const { subject, pattern } = given(call, 0);
  const replacement = call.bytes(3).slice();
  const limit = call.optionalNumber(4) ?? Number.POSITIVE_INFINITY;
  const parts: Uint8Array[] = [];
  let [at, copied, count] = [0, 0, 0];
  while (count < limit && at <= subject.length) {
    const found = findMatch(subject, pattern, at, true, (steps) => call.charge(steps));
    if (found === null) break;
    count++;
    call.charge(A_PIECE);
    parts.push(
      subject.subarray(copied, found.start),
      filled(replacement, subject, found, (bytes) => call.charge(bytes)),
    );
    copied = found.end;
    at = following(found) - 1;
    if (pattern[0] === 0x5e) break;
  }
  parts.push(subject.subarray(copied));
  call.charge(parts.reduce((sum, part) => sum + part.length, 0) / 64);
  return results(concatBytes(parts), count);
}

/** `%1` and its like in a replacement. Charges for its bytes before there are many of them. */
function filled(replacement: Uint8Array, subject: Uint8Array, found: Match, charge: Charge): Uint8Array {
  if (!replacement.includes(0x25)) return replacement;
  const parts: Uint8Array[] = [];
  let copied = 0;
  for (let at = replacement.indexOf(0x25); at >= 0; at = replacement.indexOf(0x25, at + 2)) {
    if (at > copied) parts.push(replacement.subarray(copied, at));
    copied = at + 2;
    const digit = replacement[at + 1];
    if (digit === undefined) continue;
    if (digit < 0x30 || digit > 0x39) {
      parts.push(replacement.subarray(at + 1, at + 2));
      continue;
    }
    const index = digit - 0x31;
    const whole = index < 0 || (index === 0 && found.captures.length === 0);
    const capture = whole ? found : found.captures[index];
    if (capture === undefined) throw new Error('invalid capture index');
    const part =
      typeof capture === 'number' ? encoder.encode(String(capture)) : subject.subarray(capture.start, capture.end);
    charge(A_PART + part.length / 16);
    parts.push(part);
  }
  if (copied < replacement.length) parts.push(replacement.subarray(copied));
  return concatBytes(parts);
}

/** The arguments all of them begin with. Copied: Lua's memory may move while the matcher runs. */
function given(call: LuaCall, start?: number) {
  const subject = call.bytes(1).slice();
  const pattern = call.bytes(2).slice();
  call.charge((subject.length + pattern.length * 8) / 64);
  const init = start === undefined ? (call.optionalNumber(3) ?? 1) : 1;
  const from = init > 0 ? init - 1 : init < 0 ? Math.max(subject.length + init, 0) : 0;
  return { subject, pattern, from: Math.min(Math.trunc(from), subject.length) };
}

/** The captures, or the whole match where the pattern has none. */
function captured(subject: Uint8Array, found: Match): LuaValue[] {
  return found.captures.length === 0 ? [read(subject, found)] : found.captures.map((each) => read(subject, each));
}

function read(subject: Uint8Array, capture: Capture): LuaValue {
  return typeof capture === 'number' ? capture : subject.slice(capture.start, capture.end);
}

/** Where a search goes on: an empty match must not be found again. Counted from 1. */
function following({ start, end }: Match): number {
  return (end === start ? end + 1 : end) + 1;
}

function indexOf(subject: Uint8Array, wanted: Uint8Array, from: number, charge: Charge): number {
  const [first] = wanted;
  if (first === undefined) return from;
  let looked = from;
  for (let at = subject.indexOf(first, from); at >= 0; at = subject.indexOf(first, at + 1)) {
    if (at + wanted.length > subject.length) break;
    let same = 1;
    while (same < wanted.length && subject[at + same] === wanted[same]) same++;
    charge(at - looked + same * 8);
    looked = at;
    if (same === wanted.length) return at;
  }
  charge(subject.length - looked);
  return -1;
}

/** Instructions that a replaced match costs, beside the matching. */
const A_PIECE = 20;
/** The same of each `%1` in what takes its place. */
const A_PART = 2;
const encoder = new TextEncoder();
