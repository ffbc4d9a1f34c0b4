import { abridged } from '../abridged.ts';
import { compilePattern } from '../atc/regex.ts';
import { regexSizeProblem } from '../atc/regex-size.ts';
import { headProblem, withoutExpressions } from '../head.ts';
import { isRecord } from '../record.ts';
import { isUuid } from '../uuid.ts';
import { isReference } from '../vault-reference.ts';
import { unseenError } from './formats/text.ts';
import { type Shape, shapeOf } from './shape.ts';
import { validateRow } from './validate.ts';
import type { Field, FieldError, FieldErrorList, FieldErrors, PatternRule } from './vocabulary.ts';

/** Tells what is wrong with a value that is not `undefined`, or nothing. */
export type Rule = (value: unknown) => FieldError | undefined;

/** Compiles a field into one function that runs only the rules the field has, in Kong's order. */
export function compileRule(field: Field): Rule {
  const typed = typeRule(field);
  const rules = valueRules(field);
  const { err } = field;
  const mustBeNull = field.eq === null;
  const referenceable = field.type === 'string' && field.referenceable === true;
  const whenNull = nullError(field);
  const first = rules[0];
  const only = rules.length === 1 ? first : undefined;

  return (value) => {
    if (value === null) return whenNull;
    if (mustBeNull) return err ?? 'value must be null';
    if (field.abstract) return 'error in schema prevents from validating this field';
    const wrong = typed(value);
    if (wrong !== undefined) return wrong;
    if (referenceable && isReference(value)) return undefined;
    if (only) {
      const failure = only(value);
      return failure === undefined ? undefined : (err ?? failure);
    }
    for (const rule of rules) {
      const failure = rule(value);
      if (failure !== undefined) return err ?? failure;
    }
    return undefined;
  };
}

function nullError(field: Field): string | undefined {
  if (field.ne === null) return field.err ?? 'value must not be null';
  if (field.eq !== undefined && field.eq !== null) return `value must be ${String(field.eq)}`;
  return field.required ? 'required field missing' : undefined;
}

function typeRule(field: Field): Rule {
  switch (field.type) {
    case 'string':
      return (value) => (typeof value === 'string' ? undefined : 'expected a string');
    case 'integer':
      return (value) => (Number.isInteger(value) ? undefined : 'expected an integer');
    case 'number':
      return (value) => (typeof value === 'number' ? undefined : 'expected a number');
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? undefined : 'expected a boolean');
    case 'array':
    case 'set':
      return listRule(
        compileRule({ ...field.elements, required: true }),
        `expected a${field.type === 'set' ? '' : 'n'} ${field.type}`,
      );
    case 'map':
      return mapRule(compileRule({ ...field.keys, required: true }), compileRule({ ...field.values, required: true }));
    case 'record': {
      // Compiled on first use: most records of most plugins are never met.
      let shape: Shape | undefined;
      return (value) => {
        if (!isRecord(value)) return 'expected a record';
        shape ??= shapeOf(field);
        return validateRecord(shape, value);
      };
    }
    case 'foreign':
      return foreignRule;
    case 'function':
      return () => 'expected a function';
    default:
      return () => undefined;
  }
}

function listRule(element: Rule, otherwise: string): Rule {
  return (value) => {
    // A JSON object without members is an empty list too: Kong cannot tell them apart.
    if (!Array.isArray(value)) return isRecord(value) && Object.keys(value).length === 0 ? undefined : otherwise;
    let errors: FieldErrorList | undefined;
    for (let i = 0; i < value.length; i++) {
      const error = element(value[i]);
      if (error === undefined) continue;
      errors ??= [];
      while (errors.length < i) errors.push(null);
      errors.push(error);
    }
    return errors;
  };
}

function mapRule(keys: Rule, values: Rule): Rule {
  return (value) => {
    // Kong cannot tell a list from a map whose keys are numbers.
    if (!isRecord(value) && !Array.isArray(value)) return 'expected a map';
    for (const [key, item] of Object.entries(value)) {
      const error = keys(Array.isArray(value) ? Number(key) + 1 : key) ?? values(item);
      if (error !== undefined) return error;
    }
    return undefined;
  };
}

function validateRecord(shape: Shape, value: Readonly<Record<string, unknown>>): FieldErrors | undefined {
  const errors: FieldErrors = {};
  if (validateRow(shape, value, errors, false)) throw new TypeError('a nested record has an asynchronous entity check');
  return Object.keys(errors).length > 0 ? errors : undefined;
}

function foreignRule(value: unknown): FieldError | undefined {
  const id = isRecord(value) ? value.id : undefined;
  if (id === undefined) return { id: 'missing primary key' };
  if (id === null) return { id: 'required field missing' };
  if (typeof id !== 'string') return { id: 'expected a string' };
  return isUuid(id) ? undefined : { id: 'expected a valid UUID' };
}

type TextRule = (text: string) => string | undefined;

/** The rules on a value of the right type, in the order Kong runs them. */
function valueRules(field: Field): Rule[] {
  const rules: Rule[] = [];
  const { eq, ne } = field;
  if (eq !== undefined && eq !== null) rules.push((v) => (v === eq ? undefined : `value must be ${String(eq)}`));
  if (ne !== undefined && ne !== null) rules.push((v) => (v === ne ? `value must not be ${String(v)}` : undefined));

  if ('not_one_of' in field && field.not_one_of) {
    const unwanted = new Set<unknown>(field.not_one_of);
    const text = `must not be one of: ${field.not_one_of.join(', ')}`;
    rules.push((v) => (unwanted.has(v) ? text : undefined));
  }
  if ('one_of' in field && field.one_of) {
    const wanted = new Set<unknown>([...field.one_of, ...(('also' in field && field.also) || [])]);
    const text = `expected one of: ${field.one_of.join(', ')}`;
    rules.push((v) => (wanted.has(v) ? undefined : text));
  }

  if (field.type === 'number' || field.type === 'integer') rules.push(...numberRules(field));
  if (field.type === 'string') {
    for (const rule of textRules(field)) rules.push((v) => (typeof v === 'string' ? rule(v) : undefined));
  }
  if (field.type === 'array' || field.type === 'set' || field.type === 'map') rules.push(...lengthRules(field));
  if ((field.type === 'array' || field.type === 'set') && field.contains !== undefined) {
    const { contains } = field;
    rules.push((v) =>
      Array.isArray(v) && v.includes(contains) ? undefined : `expected to contain: ${String(contains)}`,
    );
  }
  rules.push(...customRules(field));
  if (field.type === 'string' && field.head) {
    const { head } = field;
    const literal = head.endsWith('template') ? withoutExpressions : (text: string) => text;
    rules.push((v) => (typeof v === 'string' ? (headProblem(head, v) ?? unseenError(literal(v))) : undefined));
  }
  if ((field.type === 'array' || field.type === 'set') && field.mutually_exclusive_subsets) {
    rules.push(exclusiveRule(field.mutually_exclusive_subsets));
  }
  return rules;
}

/** Seconds: the end of the year 294276, where PostgreSQL's timestamps end, in which Kong keeps them. */
const LAST_TIMESTAMP = 9_224_318_015_999;

function numberRules(field: Extract<Field, { type: 'number' | 'integer' }>): Rule[] {
  const rules: Rule[] = [];
  const { gt, between } = field;
  if (gt !== undefined) rules.push((v) => (Number(v) > gt ? undefined : `value must be greater than ${gt}`));
  if (field.timestamp) {
    rules.push((v) => (Number(v) > 0 && Number(v) <= LAST_TIMESTAMP ? undefined : 'expected a valid timestamp'));
  }
  if (between) {
    const [low, high] = between;
    const text = `value should be between ${Math.trunc(low)} and ${Math.trunc(high)}`;
    rules.push((v) => (Number(v) < low || Number(v) > high ? text : undefined));
  }
  return rules;
}

function textRules(field: Extract<Field, { type: 'string' }>): TextRule[] {
  const rules: TextRule[] = [];
  const { len_eq, len_min = 1, len_max, starts_with, match_any } = field;
  if (field.uuid) rules.push((v) => (isUuid(v) ? undefined : 'expected a valid UUID'));
  if (field.is_regex) rules.push(regexError);
  if (len_eq !== undefined) rules.push((v) => (byteLength(v) === len_eq ? undefined : `length must be ${len_eq}`));
  if (len_min === 1) rules.push((v) => (v === '' ? 'length must be at least 1' : undefined));
  else if (len_min > 1) rules.push((v) => (byteLength(v) < len_min ? `length must be at least ${len_min}` : undefined));
  if (len_max !== undefined) {
    rules.push((v) => (byteLength(v) > len_max ? `length must be at most ${len_max}` : undefined));
  }
  if (starts_with !== undefined) {
    rules.push((v) => (v.startsWith(starts_with) ? undefined : `should start with: ${starts_with}`));
  }
  if (field.not_match) rules.push(pattern(field.not_match, false));
  for (const each of field.match_none ?? []) rules.push(pattern(each, false));
  if (field.match) rules.push(pattern(field.match, true));
  for (const each of field.match_all ?? []) rules.push(pattern(each, true));
  if (match_any) {
    rules.push((v) =>
      match_any.patterns.some(({ regex }) => regex.test(v)) ? undefined : (match_any.err ?? `invalid value: ${v}`),
    );
  }
  return rules;
}

function pattern({ regex, err }: PatternRule, wanted: boolean): TextRule {
  return (value) => (regex.test(value) === wanted ? undefined : (err ?? `invalid value: ${value}`));
}

/** Why a text is no regular expression that the data planes' plugins could use, or nothing. */
export function regexError(source: string, flags = ''): string | undefined {
  const compiled = compilePattern(source, flags);
  if (compiled.ok) return undefined;
  const tooLarge = regexSizeProblem(source);
  return tooLarge ?? `not a valid regex: ${abridged(source)}`;
}

function lengthRules(field: { len_eq?: number; len_min?: number; len_max?: number }): Rule[] {
  const rules: Rule[] = [];
  const { len_eq, len_min, len_max } = field;
  const length = (v: unknown) => (typeof v === 'object' && v !== null ? Object.keys(v).length : 0);
  if (len_eq !== undefined) rules.push((v) => (length(v) === len_eq ? undefined : `length must be ${len_eq}`));
  if (len_min !== undefined)
    rules.push((v) => (length(v) < len_min ? `length must be at least ${len_min}` : undefined));
  if (len_max !== undefined) rules.push((v) => (length(v) > len_max ? `length must be at most ${len_max}` : undefined));
  return rules;
}

function customRules(field: Field): Rule[] {
  if (!('custom_validator' in field) || !field.custom_validator) return [];
  switch (field.type) {
    case 'string': {
      const { custom_validator } = field;
      return [(v) => (typeof v === 'string' ? custom_validator(v) : undefined)];
    }
    case 'number':
    case 'integer': {
      const { custom_validator } = field;
      return [(v) => (typeof v === 'number' ? custom_validator(v) : undefined)];
    }
    case 'array':
    case 'set': {
      const { custom_validator } = field;
      return [(v) => (Array.isArray(v) ? custom_validator(v) : undefined)];
    }
    case 'map':
    case 'record': {
      const { custom_validator } = field;
      return [(v) => (isRecord(v) ? custom_validator(v) : undefined)];
    }
    default:
      return [field.custom_validator];
  }
}

function exclusiveRule(subsets: readonly (readonly string[])[]): Rule {
  const subsetOf = new Map<unknown, readonly string[]>(subsets.flatMap((s) => s.map((item) => [item, s] as const)));
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    const met = new Set(value.map((item) => subsetOf.get(item)).filter((subset) => subset !== undefined));
    if (met.size < 2) return undefined;
    const names = [...met].map((subset) => `(${subset.map((item) => `'${item}'`).join(', ')})`);
    return `these sets are mutually exclusive: ${names.join(', ')}`;
  };
}

/** Length in UTF-8, as Lua counts. */
function byteLength(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // A surrogate pair is two units and four bytes, so each half adds one.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
