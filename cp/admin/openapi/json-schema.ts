import type { Field, Fields, NumberField, StringField } from '../../../shared/schema/vocabulary.ts';
import type { JsonSchema } from './description.ts';

/**
 * `row`: what is answered, every field of Kong's present and null where unset. `input`: what may be sent, with the rules a
 * client can check beforehand. `patch`: the same, nothing required.
 */
export type Direction = 'row' | 'input' | 'patch';

/** A record's fields as JSON Schema. */
export function recordSchema(fields: Fields, direction: Direction): JsonSchema {
  const names = Object.keys(fields);
  const required =
    direction === 'row'
      ? names.filter((name) => fields[name]?.extension !== true)
      : names.filter((name) => direction === 'input' && mustBeSent(fields[name]));
  return {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [name, fieldSchema(field, direction)]),
    ),
    ...(required.length > 0 && { required }),
    ...(direction !== 'row' && { additionalProperties: false }),
  };
}

const mustBeSent = (field: Field | undefined): boolean =>
  field?.required === true && field.default === undefined && field.auto !== true && field.type !== 'record';

/** The JSON Schema (2020-12) of a field, as it is sent or as it is answered. */
export function fieldSchema(field: Field, direction: Direction): JsonSchema {
  const schema = nullable(typeSchema(field, direction), !(field.required === true && direction === 'input'));
  return {
    ...schema,
    ...(field.description !== undefined && { description: field.description }),
    ...(field.deprecation !== undefined && { deprecated: true }),
    ...(direction === 'input' && isJson(field.default) && { default: field.default }),
  };
}

function typeSchema(field: Field, direction: Direction): JsonSchema {
  switch (field.type) {
    case 'string':
      return { type: 'string', ...(direction !== 'row' && field.referenceable !== true && stringRules(field)) };
    case 'number':
    case 'integer':
      return { type: field.type, ...(direction !== 'row' && numberRules(field)) };
    case 'boolean':
      return { type: 'boolean' };
    case 'array':
    case 'set': {
      const items = fieldSchema({ ...field.elements, required: true }, direction);
      const lengths = { minItems: field.len_min, maxItems: field.len_max };
      return { type: 'array', items, ...(direction !== 'row' && defined(lengths)) };
    }
    case 'map':
      return { type: 'object', additionalProperties: fieldSchema({ ...field.values, required: true }, direction) };
    case 'record':
      return recordSchema(field.fields, direction);
    case 'foreign':
      return direction === 'row'
        ? { type: 'object', properties: { id: { type: 'string', format: 'uuid' } }, required: ['id'] }
        : { type: 'object', description: `One of ${field.reference}, by id or by a unique field.` };
    default:
      return {};
  }
}

function stringRules(field: StringField): JsonSchema {
  return defined({
    enum: field.one_of === undefined ? undefined : [...field.one_of, ...(field.also ?? [])],
    format: field.uuid === true ? 'uuid' : undefined,
    // Kong's own rule for strings that say nothing of their length.
    minLength: field.len_eq ?? field.len_min ?? 1,
    maxLength: field.len_eq ?? field.len_max,
    pattern:
      field.match?.regex instanceof RegExp && field.match.regex.flags === ''
        ? field.match.regex.source
        : field.starts_with !== undefined
          ? `^${field.starts_with.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}`
          : undefined,
  });
}

function numberRules(field: NumberField): JsonSchema {
  return defined({
    enum: field.one_of,
    minimum: field.between?.[0],
    maximum: field.between?.[1],
    exclusiveMinimum: field.gt,
  });
}

function nullable(schema: JsonSchema, yes: boolean): JsonSchema {
  const type = schema.type;
  if (!yes || typeof type !== 'string') return schema;
  const values = schema.enum;
  return { ...schema, type: [type, 'null'], ...(Array.isArray(values) && { enum: [...values, null] }) };
}

function defined(rules: JsonSchema): JsonSchema {
  return Object.fromEntries(
    Object.entries(rules).filter(
      ([, value]) => value !== undefined && (typeof value !== 'number' || Number.isFinite(value)),
    ),
  );
}

function isJson(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function' && !(typeof value === 'number' && !Number.isFinite(value));
}
