import { allOf, anyOf, type Expression, type Operator, type Predicate, type Span } from './ast.ts';
import { ExpressionError } from './error.ts';
import { type Token, tokens } from './lexer.ts';

/** Parentheses and functions deeper than this are refused: nobody writes them, and recursion must end. */
const MAX_DEPTH = 200;

/**
 * Parses an ATC expression. Like Kong's grammar, `||` binds tighter than `&&`, and `!` only stands before `(`.
 * Throws `ExpressionError` with the place and what was expected there; types are not checked here.
 */
export function parseExpression(source: string): Expression {
  const parser = new Parser(source);
  const expression = parser.conjunction(0);
  parser.expectEnd();
  return expression;
}

class Parser {
  readonly #source: string;
  readonly #tokens: Iterator<Token, void>;
  #next: Token;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokens(source);
    this.#next = this.#read();
  }

  conjunction(depth: number): Expression {
    const terms = [this.#disjunction(depth)];
    while (this.#takeSymbol('&&')) terms.push(this.#disjunction(depth));
    return allOf(terms);
  }

  expectEnd(): void {
    if (this.#next.kind !== 'end') this.#fail('expected &&, || or the end of the expression');
  }

  #disjunction(depth: number): Expression {
    const terms = [this.#term(depth)];
    while (this.#takeSymbol('||')) terms.push(this.#term(depth));
    return anyOf(terms);
  }

  #term(depth: number): Expression {
    if (depth > MAX_DEPTH) this.#fail('nested too deeply');
    if (this.#next.kind === 'name') return this.#predicate(depth);
    const negated = this.#takeSymbol('!');
    if (!this.#takeSymbol('(')) this.#fail(negated ? 'expected ( after !' : 'expected a field, a function, ! or (');
    const inner = this.conjunction(depth + 1);
    if (!this.#takeSymbol(')')) this.#fail('expected &&, || or )');
    return negated ? { kind: 'not', term: inner } : inner;
  }

  #predicate(depth: number): Predicate {
    const start = this.#next.start;
    const left = this.#left(depth);
    const operator = this.#operator();
    const literal = this.#next;
    if (literal.kind !== 'literal') this.#fail('expected a string, an integer, an IP address or a CIDR block');
    this.#next = this.#read();
    return { kind: 'predicate', ...left, operator, value: literal.literal, span: { start, end: literal.end } };
  }

  #left(depth: number): { field: string; lower: boolean; any: boolean } {
    if (depth > MAX_DEPTH) this.#fail('nested too deeply');
    const name = this.#next;
    if (name.kind !== 'name') this.#fail('expected a field');
    this.#next = this.#read();
    if (!this.#takeSymbol('(')) return { field: name.text, lower: false, any: false };
    if (name.text !== 'lower' && name.text !== 'any') {
      this.#failAt(name, `unknown transformation function: ${name.text}, expected lower or any`);
    }
    const inner = this.#left(depth + 1);
    if (!this.#takeSymbol(')')) this.#fail('expected )');
    return name.text === 'lower' ? { ...inner, lower: true } : { ...inner, any: true };
  }

  #operator(): Operator {
    const token = this.#next;
    if (token.kind !== 'operator') {
      this.#fail('expected an operator: ==, !=, ~, ^=, =^, >, >=, <, <=, in, not in or contains');
    }
    this.#next = this.#read();
    return token.operator;
  }

  #takeSymbol(text: string): boolean {
    if (this.#next.kind !== 'symbol' || this.#next.text !== text) return false;
    this.#next = this.#read();
    return true;
  }

  #read(): Token {
    const { value } = this.#tokens.next();
    return value ?? { kind: 'end', start: this.#source.length, end: this.#source.length };
  }

  #fail(problem: string): never {
    this.#failAt({ start: this.#next.start, end: this.#next.start }, problem);
  }

  #failAt(span: Span, problem: string): never {
    throw new ExpressionError(this.#source, span, problem);
  }
}
