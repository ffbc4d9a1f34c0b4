import type { IpAddress, IpRange } from './ip.ts';

/**
 * The ATC expression language of Kong's router, as a tree. Flat where the language is associative: `a && b && c` is one
 * `all` with three terms, so that whoever plans a lookup sees every condition at once.
 */
export type Expression =
  | { readonly kind: 'all'; readonly terms: readonly Expression[] }
  | { readonly kind: 'any'; readonly terms: readonly Expression[] }
  | { readonly kind: 'not'; readonly term: Expression }
  | Predicate;

/** One comparison. A field without a value makes it false, whatever the operator. */
export interface Predicate {
  readonly kind: 'predicate';
  readonly field: string;
  /** `lower(…)`: compare the lower-cased value. */
  readonly lower: boolean;
  /** `any(…)`: one of several values is enough; otherwise all of them must satisfy. */
  readonly any: boolean;
  readonly operator: Operator;
  readonly value: Literal;
  /** Where it stands in the source; null for predicates that were not written as text. */
  readonly span: Span | null;
}

/** The comparisons of the language. */
export type Operator = '==' | '!=' | '~' | '^=' | '=^' | '>' | '>=' | '<' | '<=' | 'in' | 'not in' | 'contains';

/** The right-hand side of a comparison. */
export type Literal =
  | { readonly type: 'String'; readonly text: string }
  | { readonly type: 'Int'; readonly number: number }
  | { readonly type: 'IpAddr'; readonly address: IpAddress }
  | { readonly type: 'IpCidr'; readonly range: IpRange };

/** Offsets in UTF-16 units: first, and one past the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A conjunction; a single term stands for itself. */
export function allOf(terms: readonly Expression[]): Expression {
  const [only] = terms;
  return terms.length === 1 && only ? only : { kind: 'all', terms };
}

/** A disjunction; a single term stands for itself. */
export function anyOf(terms: readonly Expression[]): Expression {
  const [only] = terms;
  return terms.length === 1 && only ? only : { kind: 'any', terms };
}
