import { type LuaMap, LuaReference, type LuaValue, NULL } from '../lua/value.ts';
import type { EntityCheck, Field, Fields, PatternRule, ShorthandField } from '../schema/vocabulary.ts';
import { fn, list, number, plain, table, text, texts } from './lua-value.ts';
import { readCheck } from './schema-checks.ts';
import { patternRule, type SchemaFunctions } from './schema-functions.ts';
import { TYPEDEF, typedefs } from './typedefs.ts';

/** How many fields a schema may have, nested ones included. */
const MOST_FIELDS = 2_000;

/** Reads a schema's fields out of Lua, each with its place in words. Throws what cannot be taken, by name. */
export class FieldReader {
  readonly #functions: SchemaFunctions;
  #count = 0;

  constructor(functions: SchemaFunctions) {
    this.#functions = functions;
  }

  /** A list of tables of one member each, in Kong's order. */
  fields(value: LuaValue, where: string): Fields {
    const fields: Record<string, Field> = {};
    for (const [name, field] of members(value, where)) {
      if (Object.hasOwn(fields, name)) throw new Error(`${where}: field '${name}' is there twice`);
      Object.defineProperty(fields, name, { value: this.field(field, `${where}.${name}`), enumerable: true });
    }
    return fields;
  }

  field(value: LuaValue, where: string): Field {
    if (++this.#count > MOST_FIELDS) throw new Error(`the schema has more than ${MOST_FIELDS} fields`);
    const attributes = table(value, where);
    const typedef = attributes.get(TYPEDEF);
    const base = typeof typedef === 'string' ? typedefs[typedef] : undefined;
    const type = text(attributes.get('type'), `${where}: 'type'`);
    if (!TYPES.has(type)) throw new Error(`${where}: there is no type '${type}'`);
    if (type === 'function') throw new Error(`${where}: configurations are data and cannot hold functions`);
    const more = this.rules(attributes, where, type);
    if (base !== undefined && base.type === type)
      return Object.keys(more).length === 0 ? base : asField({ ...base, ...more }, where);
    return asField({ type, ...more }, where);
  }

  checks(value: LuaValue, where: string): readonly EntityCheck[] {
    return list(value, where).map((check) => readCheck(check, where, this.#functions, this));
  }

  shorthands(value: LuaValue, where: string): readonly ShorthandField[] {
    return members(value, where).map(([name, given]) => {
      const at = `${where}.${name}`;
      const attributes = new Map(table(given, at));
      const expand = this.#functions.shorthand(name, fn(attributes.get('func'), `${at}: 'func'`));
      for (const only of ['func', 'translate_backwards']) attributes.delete(only);
      return { name, field: this.field(attributes, at), expand };
    });
  }

  /** What a field says beside its type. */
  rules(attributes: LuaMap, where: string, type: string | null): Record<string, unknown> {
    const rules: Record<string, unknown> = {};
    for (const [key, value] of attributes) {
      const name = text(key, where);
      if (name === 'type' || name === TYPEDEF || IGNORED.has(name)) continue;
      const at = `${where}: '${name}'`;
      const rule = this.#rule(name, value, at, type);
      if (rule === undefined) throw new Error(`${where}: unknown attribute '${name}'`);
      rules[name] = rule;
    }
    return rules;
  }

  #rule(name: string, value: LuaValue, at: string, type: string | null): unknown {
    if (FLAGS.has(name)) return value === true;
    if (NUMBERS.has(name)) return number(value, at);
    switch (name) {
      case 'default':
        return plain(value, at, type === 'array' || type === 'set');
      case 'eq':
      case 'ne':
      case 'contains':
        return value === NULL ? null : plain(value, at);
      case 'description':
      case 'err':
      case 'starts_with':
      case 'reference':
      case 'on_delete':
        return text(value, at);
      case 'one_of':
      case 'not_one_of':
        return list(value, at).map((item) => plain(item, at));
      case 'between': {
        const [low, high] = list(value, at).map((item) => number(item, at));
        if (low === undefined || high === undefined) throw new Error(`${at}: two numbers are expected`);
        return [low, high];
      }
      case 'match':
      case 'not_match':
        return pattern(value, at);
      case 'match_none':
      case 'match_all':
        return list(value, at).map((item) => pattern(item, at));
      case 'match_any': {
        const given = table(value, at);
        const err = given.get('err');
        return {
          patterns: list(given.get('patterns'), at).map((item) => pattern(item, at)),
          ...(err !== undefined && { err: text(err, at) }),
        };
      }
      case 'elements':
      case 'keys':
      case 'values':
        return type === null ? this.rules(table(value, at), at, null) : this.field(value, at);
      case 'fields':
        return this.fields(value, at);
      case 'entity_checks':
        return this.checks(value, at);
      case 'shorthand_fields':
        return this.shorthands(value, at);
      case 'mutually_exclusive_subsets':
        return list(value, at).map((item) => texts(item, at));
      case 'custom_validator':
        return this.#functions.validator(fn(value, at));
      case 'deprecation':
        return deprecation(table(value, at), at);
      case 'json_schema':
        return plain(value, at);
      default:
        return undefined;
    }
  }
}

const TYPES = new Set([
  'string', 'number', 'integer', 'boolean', 'array', 'set', 'map', 'record', 'foreign', 'any', 'json', 'function',
]); // biome-ignore format: a list

const FLAGS = new Set([
  'required', 'auto', 'unique', 'unique_across_ws', 'immutable', 'referenceable', 'encrypted', 'abstract', 'uuid',
  'is_regex', 'timestamp',
]); // biome-ignore format: a list

const NUMBERS = new Set(['len_eq', 'len_min', 'len_max', 'gt']);

/** Of Kong's database or of its own forms of printing. */
const IGNORED = new Set([
  'indexed',
  'hostname_type',
  'legacy',
  'nullable',
  'overwrite',
  'prefix_ws',
  'translate_backwards',
]);

/** `{ {name = field}, … }`. */
function members(value: LuaValue, where: string): [string, LuaValue][] {
  return list(value, where).map((item) => {
    const [[name, field] = [], ...others] = table(item, where);
    if (name === undefined || others.length > 0) {
      throw new Error(`${where}: expected tables of one member each, as { name = { type = … } }`);
    }
    return [text(name, where), field];
  });
}

function pattern(value: LuaValue, where: string): PatternRule {
  if (typeof value === 'string') return patternRule(value, undefined);
  const given = table(value, where);
  const err = given.get('err');
  return patternRule(text(given.get('pattern'), where), err === undefined ? undefined : text(err, where));
}

function deprecation(given: LuaMap, where: string): Record<string, unknown> {
  const replaced = given.get('replaced_with');
  const removal = given.get('removal_in_version');
  const message = given.get('message');
  const before = given.get('old_default');
  return {
    ...(message !== undefined && { message: text(message, where) }),
    ...(before !== undefined && { old_default: plain(before, where) }),
    ...(removal !== undefined && { removal_in_version: text(removal, where) }),
    ...(replaced !== undefined && {
      replaced_with: list(replaced, where).map((item) => ({ path: texts(table(item, where).get('path'), where) })),
    }),
  };
}

/** The rules were read for this type, one by one; what a type cannot do without is looked for here. */
function asField(field: Record<string, unknown>, where: string): Field {
  const lacking = (NEEDED[String(field.type)] ?? []).filter((name) => field[name] === undefined);
  if (lacking.length > 0) throw new Error(`${where}: a field of type ${field.type} has ${lacking.join(' and ')}`);
  if (!isField(field)) throw new Error(`${where}: not a field`);
  return field;
}

function isField(field: Record<string, unknown>): field is Record<string, unknown> & Field {
  return typeof field.type === 'string' && TYPES.has(field.type);
}

const NEEDED: Readonly<Record<string, readonly string[]>> = {
  array: ['elements'],
  set: ['elements'],
  map: ['keys', 'values'],
  record: ['fields'],
  foreign: ['reference'],
};

export const isFunction = (value: LuaValue): value is LuaReference => value instanceof LuaReference;
