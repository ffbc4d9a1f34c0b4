import * as errors from '../../../shared/schema/errors.ts';
import { compileRule, type Rule } from '../../../shared/schema/rules.ts';
import { shapeOf } from '../../../shared/schema/shape.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { isUuid } from '../../../shared/uuid.ts';
import type { RowKey } from '../../store/store.ts';

/**
 * How a path names a row: by id when it looks like one, else by the entity's endpoint key. Throws Kong's code 1 when
 * the entity has no endpoint key, and code 10 for a text that no row can have there.
 */
export function rowKey(schema: EntitySchema, text: string): RowKey {
  if (isUuid(text)) return { id: text.toLowerCase() };
  if (schema.endpoint_key === undefined) throw errors.invalidPrimaryKey({ id: 'expected a valid UUID' });
  const error = endpointRule(schema, schema.endpoint_key)?.(text);
  if (typeof error === 'string') throw errors.invalidUnique(schema.endpoint_key, error);
  return { field: schema.endpoint_key, value: text };
}

const rules = new WeakMap<EntitySchema, Rule>();

/** The rule of the field, but for what rows from before it was checked may hold: those can still be named, and deleted. */
function endpointRule(schema: EntitySchema, name: string): Rule | undefined {
  const field = schema.fields[name];
  if (field?.type !== 'string' || field.head === undefined) return shapeOf(schema).byName.get(name)?.rule;
  const { head: _, ...looser } = field;
  const rule = rules.get(schema) ?? compileRule(looser);
  rules.set(schema, rule);
  return rule;
}
