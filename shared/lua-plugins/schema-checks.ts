import type { LuaMap, LuaValue } from '../lua/value.ts';
import { getPath, isSet } from '../schema/record.ts';
import type { EntityCheck, Match } from '../schema/vocabulary.ts';
import { fn, table, text, texts } from './lua-value.ts';
import type { FieldReader } from './schema-field.ts';
import type { SchemaFunctions } from './schema-functions.ts';

/** An entity check out of Lua: `{ name = argument }`. Throws what cannot be taken, by name. */
export function readCheck(
  value: LuaValue,
  where: string,
  functions: SchemaFunctions,
  fields: Pick<FieldReader, 'rules'>,
): EntityCheck {
  const [[key, argument] = [], ...others] = table(value, `${where}: an entity check`);
  const name = text(key, `${where}: the name of an entity check`);
  if (others.length > 0)
    throw new Error(`${where}: an entity check is a table of one member, found more beside '${name}'`);
  const at = `${where}: ${name}`;
  switch (name) {
    case 'at_least_one_of':
      return { at_least_one_of: texts(argument, at) };
    case 'only_one_of':
      return { only_one_of: texts(argument, at) };
    case 'distinct':
      return { distinct: texts(argument, at) };
    case 'mutually_required':
      return { mutually_required: texts(argument, at) };
    case 'mutually_exclusive':
      return { mutually_exclusive: texts(argument, at) };
    case 'mutually_exclusive_sets':
      return exclusiveSets(table(argument, at), at);
    case 'conditional':
      return conditional(table(argument, at), at, fields);
    case 'conditional_at_least_one_of':
      return conditionalAtLeastOneOf(table(argument, at), at, fields);
    case 'custom_entity_check': {
      const given = table(argument, at);
      return {
        custom_entity_check: {
          field_sources: texts(given.get('field_sources'), at),
          run_with_missing_fields: given.get('run_with_missing_fields') === true,
          run_with_invalid_fields: given.get('run_with_invalid_fields') === true,
          fn: functions.entityCheck(fn(given.get('fn'), at)),
        },
      };
    }
    default:
      throw new Error(`${where}: unknown entity check '${name}'`);
  }
}

function conditional(given: LuaMap, at: string, fields: Pick<FieldReader, 'rules'>): EntityCheck {
  const err = given.get('then_err');
  return {
    conditional: {
      if_field: text(given.get('if_field'), at),
      if_match: match(given.get('if_match'), at, fields),
      then_field: text(given.get('then_field'), at),
      then_match: match(given.get('then_match'), at, fields),
      ...(err !== undefined && { then_err: text(err, at) }),
    },
  };
}

function conditionalAtLeastOneOf(given: LuaMap, at: string, fields: Pick<FieldReader, 'rules'>): EntityCheck {
  const optional = <T>(name: string, read: (value: LuaValue) => T) =>
    given.get(name) === undefined ? {} : { [name]: read(given.get(name)) };
  return {
    conditional_at_least_one_of: {
      if_field: text(given.get('if_field'), at),
      if_match: match(given.get('if_match'), at, fields),
      then_at_least_one_of: texts(given.get('then_at_least_one_of'), at),
      ...optional('then_err', (value) => text(value, at)),
      ...optional('else_match', (value) => match(value, at, fields)),
      ...optional('else_then_at_least_one_of', (value) => texts(value, at)),
      ...optional('else_then_err', (value) => text(value, at)),
    },
  };
}

function match(value: LuaValue, at: string, fields: Pick<FieldReader, 'rules'>): Match {
  const given = table(value, at);
  const type = given.get('type');
  return { ...fields.rules(given, at, null), ...(typeof type === 'string' && isType(type) && { type }) };
}

const MATCHED = [
  'string',
  'number',
  'integer',
  'boolean',
  'array',
  'set',
  'map',
  'record',
  'foreign',
  'any',
  'json',
] as const;

function isType(type: string): type is (typeof MATCHED)[number] {
  return MATCHED.some((known) => known === type);
}

/** Fields of one set exclude those of the other; not among the vocabulary's own. */
function exclusiveSets(given: LuaMap, at: string): EntityCheck {
  const [first, second] = [texts(given.get('set1'), at), texts(given.get('set2'), at)];
  const quoted = (names: readonly string[]) => `(${names.map((name) => `'${name}'`).join(', ')})`;
  return {
    custom_entity_check: {
      field_sources: [...first, ...second],
      run_with_missing_fields: true,
      fn: (row) => {
        const any = (names: readonly string[]) => names.some((name) => isSet(getPath(row, name.split('.'))));
        if (!any(first) || !any(second)) return undefined;
        return `these sets are mutually exclusive: ${quoted(first)}, ${quoted(second)}`;
      },
    },
  };
}
