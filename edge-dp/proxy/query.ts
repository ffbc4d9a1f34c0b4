import { rewriteQueryText } from '../http/arguments/percent.ts';

/** Query strings as received. */

/** The values of a query argument, decoded; `true` for one without `=`, as in Kong. */
export function queryValues(query: string, name: string): (string | true)[] {
  const values: (string | true)[] = [];
  for (const pair of pairs(query)) {
    if (decodeQuery(pair.name) === name) values.push(pair.value === null ? true : decodeQuery(pair.value));
  }
  return values;
}

/** All arguments, decoded, in order; `true` for one without `=`. More than Kong looks at: none may go unseen. */
export function allArguments(query: string): readonly Argument[] {
  const found: Argument[] = [];
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    if (equals >= 0) found.push([decodeQuery(part.slice(0, equals)), decodeQuery(part.slice(equals + 1))]);
    else if (part !== '') found.push([decodeQuery(part), true]);
  }
  return found;
}

type Argument = readonly [name: string, value: string | true];

/** The query without every argument of that name, the rest as Kong writes it then: escapes in one way, `flag` as `flag=`. */
export function withoutArgument(query: string, name: string): string {
  const parts = query.split('&').filter((part) => part !== '');
  const kept = parts.filter((part) => decodeQuery(part.split('=', 1)[0] ?? '') !== name);
  if (kept.length === parts.length) return query;
  return kept
    .map((part) => {
      const equals = part.indexOf('=');
      if (equals < 0) return `${rewriteQueryText(part)}=`;
      return `${rewriteQueryText(part.slice(0, equals))}=${rewriteQueryText(part.slice(equals + 1))}`;
    })
    .join('&');
}

/** Percent escapes and `+` decoded; bytes that are no UTF-8 stay escaped. */
function decodeQuery(text: string): string {
  return decodedQuery(text) ?? text.replaceAll('+', ' ');
}

/** A name or value with percent escapes and `+` decoded; null where escapes are none, or stand for bytes that are no UTF-8. */
export function decodedQuery(text: string): string | null {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

/** Kong looks at the first 100 arguments only (`lua_max_uri_args`). */
const MAX_ARGUMENTS = 100;

/** Names and values as they stand, at most so many; null for an argument without `=`. */
export function* pairs(query: string, most = MAX_ARGUMENTS): Generator<{ name: string; value: string | null }> {
  let seen = 0;
  for (const part of query.split('&')) {
    if (part === '') continue;
    if (++seen > most) return;
    const equals = part.indexOf('=');
    if (equals < 0) yield { name: part, value: null };
    else yield { name: part.slice(0, equals), value: part.slice(equals + 1) };
  }
}
