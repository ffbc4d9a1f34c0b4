import { isReference } from '../vault-reference.ts';
import { getPath, isSet, setPath } from './record.ts';
import { compileRule, type Rule } from './rules.ts';
import type { EntityCheck, Field, FieldErrors, Fields, Match } from './vocabulary.ts';

type Values = Readonly<Record<string, unknown>>;

/** Adds what is wrong with the row to `errors`; a promise only for checks that need WebCrypto. */
export type Check = (row: Values, errors: FieldErrors, updating: boolean) => Promise<void> | undefined;

/** Nothing when the row passes, else the text of an `@entity` error. */
type Test = (row: Values, errors: FieldErrors, updating: boolean) => string | undefined;

/** Prepares an entity check for the table of fields it speaks about. */
export function compileCheck(check: EntityCheck, fields: Fields): Check {
  if ('conditional' in check) return conditional(check.conditional, fields);
  if ('conditional_at_least_one_of' in check) return conditionalAtLeastOneOf(check.conditional_at_least_one_of, fields);
  if ('custom_entity_check' in check) return custom(check.custom_entity_check, fields);
  if ('at_least_one_of' in check) {
    const text = `at least one of these fields must be non-empty: ${quotedList(check.at_least_one_of)}`;
    return counting(check.at_least_one_of, fields, { missing: true, invalid: true }, (set, _all, updating) =>
      set >= 1 ? undefined : whenUpdating(text, updating),
    );
  }
  if ('only_one_of' in check) {
    const text = `exactly one of these fields must be non-empty: ${quotedList(check.only_one_of)}`;
    return counting(check.only_one_of, fields, { missing: false, invalid: true }, (set) =>
      set === 1 ? undefined : text,
    );
  }
  if ('mutually_required' in check) {
    const text = mutuallyRequiredError(check.mutually_required);
    return counting(check.mutually_required, fields, { missing: true, invalid: false }, (set, all) =>
      set === 0 || set === all ? undefined : text,
    );
  }
  if ('mutually_exclusive' in check) {
    const text = `only one or none of these fields must be set: ${quotedList(check.mutually_exclusive)}`;
    return counting(check.mutually_exclusive, fields, { missing: true, invalid: false }, (set) =>
      set < 2 ? undefined : text,
    );
  }
  return distinct(check.distinct, fields);
}

export function mutuallyRequiredError(names: readonly string[]): string {
  return `all or none of these fields must be set: ${quotedList(names)}`;
}

/** Adds an error about the row as a whole. */
export function addEntityError(errors: FieldErrors, text: string): void {
  const list = errors['@entity'];
  if (Array.isArray(list)) list.push(text);
  else errors['@entity'] = [text];
}

/** Judges by how many of the fields are set. `runs`: whether it runs when some are absent or invalid. */
function counting(
  names: readonly string[],
  fields: Fields,
  runs: { readonly missing: boolean; readonly invalid: boolean },
  judge: (set: number, all: number, updating: boolean) => string | undefined,
): Check {
  const paths = names.map((name) => name.split('.'));
  const required = runs.missing ? [] : names;
  const reach = { names, required, fields, whenInvalid: runs.invalid, whenMissing: runs.missing };
  return guarded(reach, (row, _errors, updating) =>
    judge(paths.filter((path) => isSet(getPath(row, path))).length, paths.length, updating),
  );
}

function distinct(names: readonly string[], fields: Fields): Check {
  const paths = names.map((name) => name.split('.'));
  const text = `values of these fields must be distinct: ${quotedList(names)}`;
  return guarded({ names, required: names, fields, whenInvalid: true, whenMissing: false }, (row) => {
    const set = paths.map((path) => getPath(row, path)).filter(isSet);
    return new Set(set).size === set.length ? undefined : text;
  });
}

function conditional(rule: Extract<EntityCheck, { conditional: unknown }>['conditional'], fields: Fields): Check {
  const ifPath = rule.if_field.split('.');
  const thenPath = rule.then_field.split('.');
  const matches = matchRule(rule.if_match, fields, ifPath);
  const fits = matchRule(rule.then_match, fields, thenPath);
  const text =
    rule.then_err?.replace('%s', rule.if_field) ??
    `failed conditional validation given value of field '${rule.if_field}'`;
  const reach = {
    names: [rule.if_field, rule.then_field],
    required: [rule.if_field],
    fields,
    whenInvalid: true,
    whenMissing: false,
  };
  return guarded(reach, (row, errors) => {
    if (matches(getPath(row, ifPath)) !== undefined) return undefined;
    const value = getPath(row, thenPath) ?? null;
    const error = rule.then_match.required && value === null ? 'required field missing' : fits(value);
    if (error === undefined) return undefined;
    setPath(errors, thenPath, error);
    return text;
  });
}

function conditionalAtLeastOneOf(
  rule: Extract<EntityCheck, { conditional_at_least_one_of: unknown }>['conditional_at_least_one_of'],
  fields: Fields,
): Check {
  const ifPath = rule.if_field.split('.');
  const matches = matchRule(rule.if_match, fields, ifPath);
  const otherwise = rule.else_match && matchRule(rule.else_match, fields, ifPath);
  const then = rule.then_at_least_one_of;
  const orElse = rule.else_then_at_least_one_of ?? [];

  const anyOf = (names: readonly string[], err: string | undefined) => {
    const paths = names.map((name) => name.split('.'));
    const list = quotedList(names);
    const standard = `at least one of these fields must be non-empty: ${list}`;
    return (row: Values, updating: boolean) => {
      if (paths.some((path) => isSet(getPath(row, path)))) return undefined;
      return err?.replace('%s', list) ?? whenUpdating(standard, updating);
    };
  };
  const thenAny = anyOf(then, rule.then_err);
  const elseAny = anyOf(orElse, rule.else_then_err);

  const reach = {
    names: [rule.if_field, ...then, ...orElse],
    required: [],
    fields,
    whenInvalid: true,
    whenMissing: true,
  };
  return guarded(reach, (row, _errors, updating) => {
    const value = getPath(row, ifPath);
    if (value === undefined) return undefined;
    if (matches(value) === undefined) return thenAny(row, updating);
    return otherwise && otherwise(value) === undefined ? elseAny(row, updating) : undefined;
  });
}

function custom(
  rule: Extract<EntityCheck, { custom_entity_check: unknown }>['custom_entity_check'],
  fields: Fields,
): Check {
  const runs = admission({
    names: rule.field_sources,
    required: rule.run_with_missing_fields ? [] : rule.field_sources,
    fields,
    whenInvalid: rule.run_with_invalid_fields ?? false,
    whenMissing: rule.run_with_missing_fields ?? false,
  });
  return (row, errors) => {
    if (!runs(row, errors)) return undefined;
    const outcome = rule.fn(row);
    if (outcome instanceof Promise) return outcome.then((error) => addOutcome(errors, error));
    addOutcome(errors, outcome);
    return undefined;
  };
}

function addOutcome(errors: FieldErrors, outcome: string | FieldErrors | undefined): void {
  if (typeof outcome === 'string') addEntityError(errors, outcome);
  else if (outcome) Object.assign(errors, outcome);
}

interface Reach {
  readonly names: readonly string[];
  /** Names whose absence is an error by itself. */
  readonly required: readonly string[];
  readonly fields: Fields;
  readonly whenInvalid: boolean;
  readonly whenMissing: boolean;
}

function guarded(reach: Reach, test: Test): Check {
  const runs = admission(reach);
  return (row, errors, updating) => {
    if (!runs(row, errors)) return undefined;
    const text = test(row, errors, updating);
    if (text !== undefined) addEntityError(errors, text);
    return undefined;
  };
}

/**
 * Whether a check has what it needs: no vault reference among its values (they are unknown here), none of its fields
 * invalid, something to look at, nothing required absent.
 */
function admission(reach: Reach): (row: Values, errors: FieldErrors) => boolean {
  const sources = reach.names.map((name) => {
    const path = name.split('.');
    const field = fieldAt(reach.fields, path);
    return {
      name,
      path,
      required: reach.required.includes(name),
      referenceable: field?.type === 'string' && field.referenceable === true,
    };
  });
  return (row, errors) => {
    let present = false;
    let valid = true;
    let missing: (readonly string[])[] | undefined;
    for (const { name, path, required, referenceable } of sources) {
      const value = getPath(row, path);
      if (value !== undefined) {
        present = true;
        if (referenceable && isReference(value)) return false;
      } else if (required) {
        missing = [...(missing ?? []), path];
      }
      if (errors[name] !== undefined) valid = false;
    }
    if (!valid && !reach.whenInvalid) return false;
    if (!present && !reach.whenMissing) return false;
    if (!missing) return true;
    for (const path of missing) setPath(errors, path, 'field required for entity check');
    return false;
  };
}

/** The rules of `match` added to those of the field it is about. */
function matchRule(match: Match, fields: Fields, path: readonly string[]): Rule {
  const field = fieldAt(fields, path) ?? { type: 'any' };
  return compileRule(overlay(field, match));
}

function overlay(field: Field, match: Match): Field {
  const { elements, one_of, not_one_of, ...rest } = match;
  const rules = { ...field, ...rest, ...(one_of && { one_of }), ...(not_one_of && { not_one_of }) };
  if (!isField(rules)) throw new TypeError(`an entity check cannot be applied to a field of type ${field.type}`);
  if ((rules.type === 'array' || rules.type === 'set') && elements) {
    return { ...rules, elements: overlay(rules.elements, elements) };
  }
  return rules;
}

function isField(value: { type: string }): value is Field {
  return typeof value.type === 'string';
}

/** The field that `a.b.c` names in nested records. */
function fieldAt(fields: Fields, path: readonly string[]): Field | undefined {
  const [name, ...rest] = path;
  const field = name === undefined ? undefined : fields[name];
  if (rest.length === 0) return field;
  return field?.type === 'record' ? fieldAt(field.fields, rest) : undefined;
}

function quotedList(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ');
}

function whenUpdating(text: string, updating: boolean): string {
  return updating ? `when updating, ${text}` : text;
}
