import type { HeaderFields } from '../../http/fields.ts';
import type { Pair } from './pairs.ts';

/** What is to become of the headers of an answer; a value of null: the item does nothing. */
export interface HeaderRules {
  readonly remove: readonly Pair[];
  readonly rename: readonly Pair[];
  readonly replace: readonly Pair[];
  readonly add: readonly Pair[];
  readonly append: readonly Pair[];
}

/**
 * Changes the headers of an answer as Kong does: what there is to rename, to replace or not to add is looked up as it was before
 * any rule. Content-Length is the body's.
 */
export function changeResponseHeaders(headers: HeaderFields, rules: HeaderRules): void {
  const renamed = rules.rename.map(({ name }) => linesOf(headers, name));
  const replaced = rules.replace.map(({ name }) => headers.has(name));
  const added = rules.add.map(({ name }) => !headers.has(name));

  for (const { name } of rules.remove) if (!isLength(name)) headers.delete(name);
  for (const [at, { name, value: to }] of rules.rename.entries()) {
    const lines = renamed[at] ?? [];
    if (to === null || lines.length === 0 || isLength(name) || isLength(to)) continue;
    headers.delete(name);
    headers.delete(to);
    for (const line of lines) headers.append(to, line);
  }
  for (const [at, { name, value }] of rules.replace.entries()) {
    if (replaced[at] === true && value !== null && !isLength(name)) headers.set(name, value);
  }
  for (const [at, { name, value }] of rules.add.entries()) {
    if (added[at] === true && value !== null && !isLength(name)) headers.set(name, value);
  }
  for (const { name, value } of rules.append) if (value !== null && !isLength(name)) headers.append(name, value);
}

/** Set-Cookie is the one that cannot be joined. */
function linesOf(headers: HeaderFields, name: string): readonly string[] {
  if (name.toLowerCase() === 'set-cookie') return headers.getSetCookie();
  const value = headers.get(name);
  return value === null ? [] : [value];
}

function isLength(name: string): boolean {
  return name.length === 14 && name.toLowerCase() === 'content-length';
}
