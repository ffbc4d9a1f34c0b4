import type { Expression, Predicate } from '../../shared/atc/ast.ts';
import { isCaseless } from '../../shared/atc/fields.ts';
import { type IpAddress, inRange, sameIp } from '../../shared/atc/ip.ts';
import { compileRegex, type LinearRegex } from '../../shared/atc/regex.ts';
import { predicatePattern } from '../../shared/atc/route-regex.ts';
import { fieldReader } from './field.ts';
import { canonicalHost } from './host.ts';
import type { Subject } from './request.ts';

/** Whether a request satisfies a condition. */
export type Test = (subject: Subject) => boolean;

/** The regexes of one route, compiled once, by the predicate they stand in. */
export type Regexes = ReadonlyMap<Predicate, LinearRegex>;

/** A pattern that does not compile; the caller knows the route. */
export class InvalidRegex extends Error {
  override readonly name = 'InvalidRegex';
}

/** Compiles an expression into one function. Throws `InvalidRegex`. */
export function compileTest(expression: Expression, regexes: Map<Predicate, LinearRegex>): Test {
  switch (expression.kind) {
    case 'predicate':
      return compilePredicate(expression, regexes);
    case 'not': {
      const test = compileTest(expression.term, regexes);
      return (subject) => !test(subject);
    }
    case 'all':
      return conjunction(expression.terms.map((term) => compileTest(term, regexes)));
    case 'any':
      return disjunction(expression.terms.map((term) => compileTest(term, regexes)));
  }
}

/** All of several tests, in their order. */
export function conjunction(tests: readonly Test[]): Test {
  const [first, second] = tests;
  if (tests.length === 1 && first) return first;
  if (tests.length === 2 && first && second) return (subject) => first(subject) && second(subject);
  return (subject) => {
    for (const test of tests) if (!test(subject)) return false;
    return true;
  };
}

function disjunction(tests: readonly Test[]): Test {
  return (subject) => {
    for (const test of tests) if (test(subject)) return true;
    return false;
  };
}

function compilePredicate(predicate: Predicate, regexes: Map<Predicate, LinearRegex>): Test {
  const reader = fieldReader(predicate.field);
  if (!reader) return () => false;
  switch (reader.kind) {
    case 'text': {
      const { read } = reader;
      const test = textTest(predicate, regexes);
      return (subject) => {
        const value = read(subject);
        return value !== null && test(value);
      };
    }
    case 'texts': {
      const { any } = predicate;
      const read = any ? reader.read : reader.readAll;
      const test = textTest(predicate, regexes);
      return (subject) => {
        const values = read(subject);
        if (values === null || values.length === 0) return false;
        return any ? values.some(test) : values.every(test);
      };
    }
    case 'int': {
      const { read } = reader;
      const test = intTest(predicate);
      return (subject) => {
        const value = read(subject);
        return value !== null && test(value);
      };
    }
    case 'ip': {
      const { read } = reader;
      const test = ipTest(predicate);
      return (subject) => {
        const value = read(subject);
        return value !== null && test(value);
      };
    }
  }
}

/** What a predicate on a string compares with: the literal as this field's values are written. */
export function comparand({ field, value }: Predicate): string {
  if (value.type !== 'String') return '';
  if (field === 'http.host') return canonicalHost(value.text);
  return isCaseless(field) ? value.text.toLowerCase() : value.text;
}

function textTest(predicate: Predicate, regexes: Map<Predicate, LinearRegex>): (value: string) => boolean {
  const test = plainTextTest(predicate, regexes);
  return predicate.lower ? (value) => test(value.toLowerCase()) : test;
}

function plainTextTest(predicate: Predicate, regexes: Map<Predicate, LinearRegex>): (value: string) => boolean {
  const text = comparand(predicate);
  switch (predicate.operator) {
    case '==':
      return (value) => value === text;
    case '!=':
      return (value) => value !== text;
    case '^=':
      return (value) => value.startsWith(text);
    case '=^':
      return (value) => value.endsWith(text);
    case 'contains':
      return (value) => value.includes(text);
    case '~': {
      const regex = compiled(predicate);
      regexes.set(predicate, regex);
      return (value) => regex.test(value);
    }
    default:
      return () => false;
  }
}

function compiled(predicate: Predicate): LinearRegex {
  const result = compileRegex(predicatePattern(predicate));
  if (!result.ok) throw new InvalidRegex(result.problem);
  return result.regex;
}

function intTest({ operator, value }: Predicate): (value: number) => boolean {
  const bound = value.type === 'Int' ? value.number : Number.NaN;
  switch (operator) {
    case '==':
      return (number) => number === bound;
    case '!=':
      return (number) => number !== bound;
    case '>':
      return (number) => number > bound;
    case '>=':
      return (number) => number >= bound;
    case '<':
      return (number) => number < bound;
    case '<=':
      return (number) => number <= bound;
    default:
      return () => false;
  }
}

function ipTest({ operator, value }: Predicate): (value: IpAddress) => boolean {
  if (value.type === 'IpCidr') {
    const { range } = value;
    return operator === 'in' ? (address) => inRange(range, address) : (address) => !inRange(range, address);
  }
  if (value.type !== 'IpAddr') return () => false;
  const expected = value.address;
  return operator === '==' ? (address) => sameIp(expected, address) : (address) => !sameIp(expected, address);
}
