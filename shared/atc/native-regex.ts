import { type CharSet, intersects, SETS, union } from './char-set.ts';
import { type Item, inline, parseSimpleRegex } from './regex-syntax.ts';

/**
 * The patterns the platform's backtracking engine matches in linear time, rewritten in its syntax; null for all others.
 *
 * The proof: the pattern is anchored by `^`, and whenever the engine could either repeat (or enter) an item or go on
 * behind it, the two ways begin with different characters. The next character decides, so that giving back what was
 * taken never leads anywhere: each place is given back once at most and fails at once. Alternatives must likewise begin
 * with different characters. Groups are repeated at most once (`?`).
 */
export function toNativeRegex(pattern: string): RegExp | null {
  const items = parseSimpleRegex(pattern);
  if (!items || !isDeterministic(items, null)) return null;
  return new RegExp(`^${items.map((item) => item.source).join('')}`, 'u');
}

/**
 * `follow`: the characters that may come behind the sequence. Null when what is behind cannot fail: then the engine
 * never asks for anything back.
 */
function isDeterministic(items: readonly Item[], follow: CharSet | null): boolean {
  let after = follow;
  for (const item of items.flatMap(inline).toReversed()) {
    if (item.kind === 'end') {
      after = SETS.none;
      continue;
    }
    const first = item.kind === 'char' ? item.set : firstOf(item.alternatives);
    if (!first) return false;
    const choice = item.kind === 'char' ? item.loops : item.min === 0;
    if (choice && after && intersects(first, after)) return false;
    if (item.kind === 'group' && !item.alternatives.every((branch) => isDeterministic(branch, after))) return false;
    if (item.min === 1) after = first;
    else if (after) after = union(first, after);
  }
  return true;
}

/** The characters the alternatives begin with; null when one may be empty or two begin alike. */
function firstOf(alternatives: readonly (readonly Item[])[]): CharSet | null {
  let all = SETS.none;
  for (const items of alternatives) {
    let first = SETS.none;
    let settled = false;
    for (const item of items.flatMap(inline)) {
      if (item.kind === 'end') return null;
      const own = item.kind === 'char' ? item.set : firstOf(item.alternatives);
      if (!own) return null;
      first = union(first, own);
      settled = item.min === 1;
      if (settled) break;
    }
    if (!settled || intersects(all, first)) return null;
    all = union(all, first);
  }
  return all;
}
