import { checkExpression } from '../atc/check.ts';
import { compileRegex } from '../atc/regex.ts';
import { isRecord } from '../record.ts';
import { isSet } from '../schema/record.ts';

const MATCHERS = ['methods', 'hosts', 'paths', 'headers', 'snis', 'sources', 'destinations'];
const STREAM = ['tcp', 'tls', 'tls_passthrough', 'udp'];

/**
 * A route matches by its fields or by an expression, and each way has its own kind of priority. Whatever it matches by
 * must compile.
 */
export function expressionError(route: Readonly<Record<string, unknown>>): string | undefined {
  const problem = combinationProblem(route) ?? compileProblem(route);
  return problem && `Router Expression failed validation: ${problem}`;
}

function combinationProblem(route: Readonly<Record<string, unknown>>): string | undefined {
  const expressive = isSet(route.expression);
  const matching = MATCHERS.some((field) => isSet(route[field]));
  const matchers = "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations'";
  if (expressive && matching) return `cannot set 'expression' with ${matchers} simultaneously`;
  // 0 is the default and counts as not set.
  if (expressive && route.regex_priority) return "cannot set 'regex_priority' with 'expression' simultaneously";
  if (matching && route.priority) return `cannot set 'priority' with ${matchers} simultaneously`;
  return undefined;
}

function compileProblem({ expression, headers, protocols }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof expression === 'string') {
    const stream = Array.isArray(protocols) && STREAM.includes(protocols[0]);
    return checkExpression(expression, stream ? 'stream' : 'http');
  }
  return isRecord(headers) ? headerRegexProblem(headers) : undefined;
}

/** A header's only value may be a regular expression behind `~*`. */
function headerRegexProblem(headers: Readonly<Record<string, unknown>>): string | undefined {
  for (const values of Object.values(headers)) {
    const [value] = Array.isArray(values) && values.length === 1 ? values : [];
    if (typeof value !== 'string' || !value.startsWith('~*')) continue;
    const regex = compileRegex(value.slice(2));
    if (!regex.ok) return regex.problem;
  }
  return undefined;
}
