import type { Expression, Predicate } from '../../shared/atc/ast.ts';
import { fieldReader } from './field.ts';
import { comparand, compileTest, type Regexes, type Test } from './predicate.ts';
import type { Subject } from './request.ts';

/** What a match leaves for plugins (`uri_captures`) and for `strip_path`. */
export interface Captures {
  /** Group 1 first; null for a group that took no part. */
  readonly positional: readonly (string | null)[];
  readonly named: Readonly<Record<string, string>>;
}

export const NO_CAPTURES: Captures = { positional: [], named: {} };

/** Collects what the predicates of a matching route matched, in the order they are evaluated: later ones win. */
export class Capturing {
  /** What the last satisfied predicate on `http.path` matched. */
  path: string | null = null;
  readonly #positional: (string | null)[] = [];
  readonly #named: Record<string, string> = {};

  get captures(): Captures {
    return { positional: this.#positional, named: this.#named };
  }

  groups(
    groups: readonly (string | undefined)[],
    named: Readonly<Record<string, string | undefined>> | undefined,
  ): void {
    for (let i = 1; i < groups.length; i++) {
      const group = groups[i];
      while (this.#positional.length < i) this.#positional.push(null);
      if (group !== undefined) this.#positional[i - 1] = group;
    }
    for (const [name, group] of Object.entries(named ?? {})) if (group !== undefined) this.#named[name] = group;
  }
}

/** Evaluates an expression as the language says, short circuits included, and collects. */
export function capture(expression: Expression, subject: Subject, regexes: Regexes, into: Capturing): boolean {
  switch (expression.kind) {
    case 'all':
      return expression.terms.every((term) => capture(term, subject, regexes, into));
    case 'any':
      return expression.terms.some((term) => capture(term, subject, regexes, into));
    case 'not':
      return !capture(expression.term, subject, regexes, into);
    case 'predicate':
      return capturePredicate(expression, subject, regexes, into);
  }
}

function capturePredicate(predicate: Predicate, subject: Subject, regexes: Regexes, into: Capturing): boolean {
  const regex = regexes.get(predicate);
  if (regex) {
    const values = textValues(predicate, subject);
    for (const value of values) {
      const match = regex.exec(predicate.lower ? value.toLowerCase() : value);
      if (match) {
        into.groups(match, match.groups);
        if (predicate.field === 'http.path') into.path = match[0] ?? '';
        if (predicate.any) return true;
      } else if (!predicate.any) {
        return false;
      }
    }
    return !predicate.any && values.length > 0;
  }
  const satisfied = plainTest(predicate)(subject);
  const { field, operator } = predicate;
  if (satisfied && field === 'http.path' && (operator === '^=' || operator === '=^' || operator === '==')) {
    into.path = comparand(predicate);
  }
  return satisfied;
}

const plainTests = new WeakMap<Predicate, Test>();

function plainTest(predicate: Predicate): Test {
  let test = plainTests.get(predicate);
  if (!test) {
    test = compileTest(predicate, new Map());
    plainTests.set(predicate, test);
  }
  return test;
}

function textValues({ field, any }: Predicate, subject: Subject): readonly string[] {
  const reader = fieldReader(field);
  if (reader?.kind === 'texts') return (any ? reader.read : reader.readAll)(subject) ?? [];
  const value = reader?.kind === 'text' ? reader.read(subject) : null;
  return value === null ? [] : [value];
}
