import type { Expression, Literal, Predicate } from './ast.ts';
import { printIp } from './ip.ts';

/** Writes an expression as text that parses back to the same tree. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'predicate':
      return printPredicate(expression);
    case 'not':
      return `!(${printExpression(expression.term)})`;
    case 'all':
      return expression.terms.map(printTerm).join(' && ');
    case 'any':
      return expression.terms.map(printTerm).join(' || ');
  }
}

function printTerm(expression: Expression): string {
  const text = printExpression(expression);
  return expression.kind === 'all' || expression.kind === 'any' ? `(${text})` : text;
}

function printPredicate({ field, lower, any, operator, value }: Predicate): string {
  const lowered = lower ? `lower(${field})` : field;
  return `${any ? `any(${lowered})` : lowered} ${operator} ${printLiteral(value)}`;
}

/** Strings print raw, `r#"…"#`, except where they hold `"#`. */
function printLiteral(value: Literal): string {
  switch (value.type) {
    case 'String':
      return value.text.includes('"#') ? `"${value.text.replace(/["\\]/g, '\\$&')}"` : `r#"${value.text}"#`;
    case 'Int':
      return String(value.number);
    case 'IpAddr':
      return printIp(value.address);
    case 'IpCidr':
      return `${printIp(value.range.address)}/${value.range.bits}`;
  }
}
