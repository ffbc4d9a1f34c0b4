import { message, Refusal } from '../reply.ts';
import { MAX_ARGUMENTS, parseUrlencoded } from './urlencoded.ts';

/** Query string arguments, first value of each name. A name without `=` counts as empty. */
export type Query = ReadonlyMap<string, string>;

/** Throws `Refusal` for more arguments than Kong takes, or encoded bytes that are not UTF-8. */
export function parseQuery(url: string): Query {
  const start = url.indexOf('?');
  const query = new Map<string, string>();
  if (start === -1) return query;
  const end = url.indexOf('#', start);
  for (const [name, value] of argumentsOf(url.slice(start + 1, end === -1 ? undefined : end))) {
    // `tags[]=x` and `tags=x` mean the same, as in Kong.
    const plain = name.endsWith('[]') ? name.slice(0, -2) : name;
    if (!query.has(plain)) query.set(plain, value);
  }
  return query;
}

function argumentsOf(text: string) {
  try {
    const args = parseUrlencoded(text);
    if (args.length > MAX_ARGUMENTS) throw new Refusal(message(400, 'Too many arguments'));
    return args;
  } catch (error) {
    if (error instanceof TypeError) throw new Refusal(message(400, 'The query string is not valid UTF-8'));
    throw error;
  }
}
