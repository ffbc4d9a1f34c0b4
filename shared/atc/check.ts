import type { Expression, Predicate } from './ast.ts';
import { ExpressionError } from './error.ts';
import { fieldType, parseSegments, type Subsystem } from './fields.ts';
import { parseExpression } from './parser.ts';
import { compileRegex } from './regex.ts';
import { predicatePattern } from './route-regex.ts';

/**
 * What is wrong with a route's expression: syntax, unknown fields, types, regexes; undefined when it is fine.
 * The text goes behind `Router Expression failed validation: `.
 */
export function checkExpression(source: string, subsystem: Subsystem = 'http'): string | undefined {
  try {
    const expression = parseExpression(source);
    checkTypes(expression, source, subsystem);
    checkRegexes(expression, source);
    return undefined;
  } catch (error) {
    if (error instanceof ExpressionError) return error.message;
    throw error;
  }
}

/** Parses and type-checks; regexes are left to whoever compiles them. Throws `ExpressionError`. */
export function parseChecked(source: string, subsystem: Subsystem): Expression {
  const expression = parseExpression(source);
  checkTypes(expression, source, subsystem);
  return expression;
}

/** Throws `ExpressionError` at the first predicate whose field, operator and value do not go together. */
function checkTypes(expression: Expression, source: string, subsystem: Subsystem): void {
  for (const predicate of predicates(expression)) {
    const problem = typeProblem(predicate, subsystem);
    if (problem) throw new ExpressionError(source, predicate.span ?? { start: 0, end: 0 }, problem);
  }
}

function checkRegexes(expression: Expression, source: string): void {
  for (const predicate of predicates(expression)) {
    if (predicate.operator !== '~') continue;
    const regex = compileRegex(predicatePattern(predicate));
    if (!regex.ok) throw new ExpressionError(source, predicate.span ?? { start: 0, end: 0 }, regex.problem);
  }
}

/** Every predicate, in the order written. */
export function* predicates(expression: Expression): Generator<Predicate, void> {
  switch (expression.kind) {
    case 'predicate':
      yield expression;
      return;
    case 'not':
      yield* predicates(expression.term);
      return;
    default:
      for (const term of expression.terms) yield* predicates(term);
  }
}

function typeProblem({ field, lower, operator, value }: Predicate, subsystem: Subsystem): string | undefined {
  const type = fieldType(field, subsystem);
  if (type === null) return 'Unknown LHS field';
  if (field.startsWith('http.path.segments.') && parseSegments(field) === null) {
    return 'illformed http.path.segments.* field';
  }
  if (lower && type !== 'String') return 'lower-case transformation function only supported with String type fields';
  switch (operator) {
    case 'in':
    case 'not in':
      return type === 'IpAddr' && value.type === 'IpCidr' ? undefined : 'In/NotIn operators only supports IP in CIDR';
    case '~':
      return type === 'String' && value.type === 'String' ? undefined : 'Regex operators only supports string operands';
  }
  if (type !== value.type) return 'Type mismatch between the LHS and RHS values of predicate';
  switch (operator) {
    case '==':
    case '!=':
      return undefined;
    case '^=':
    case '=^':
      return type === 'String' ? undefined : 'Prefix/Postfix operators only supports string operands';
    case 'contains':
      return type === 'String' ? undefined : 'Contains operator only supports string operands';
    default:
      return type === 'Int'
        ? undefined
        : 'Greater/GreaterOrEqual/Less/LessOrEqual operators only supports integer operands';
  }
}
