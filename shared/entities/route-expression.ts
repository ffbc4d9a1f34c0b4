import { checkExpression } from '../atc/check.ts';
import { compileRegex } from '../atc/regex.ts';
import { headerPattern } from '../atc/route-regex.ts';
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

/**
 * A header's value may be a regular expression behind `~*`. Which flavour will read it is not known here: `traditional`
 * takes an only value as it stands, the others every one, in lower case.
 */
function headerRegexProblem(headers: Readonly<Record<string, unknown>>): string | undefined {
  for (const [name, values] of Object.entries(headers)) {
    if (Array.isArray(values) && values.length === 0) return `the header '${name}' has no values to match`;
    const texts = Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
    for (const text of texts) {
      for (const lowered of texts.length === 1 ? [false, true] : [true]) {
        const pattern = headerPattern(text, lowered);
        const regex = pattern === null ? null : compileRegex(pattern);
        if (regex && !regex.ok) return regex.problem;
      }
    }
  }
  return undefined;
}
