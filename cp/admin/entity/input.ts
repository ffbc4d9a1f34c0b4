import { coerceForm } from '../../../shared/schema/coerce.ts';
import * as errors from '../../../shared/schema/errors.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import type { Row, WriteOptions } from '../../store/store.ts';
import { argument, type Body } from '../request/body.ts';
import { subschemaOf } from './subschema.ts';

/** What a body asks to be written. */
export interface Input {
  readonly row: Row;
  readonly options: WriteOptions;
}

/**
 * The body as the store takes it: form values coerced to the schema's types, `ttl` apart. `discriminator` is the value
 * of the entity's sub-schema key when the body may leave it out (PATCH).
 */
export function readInput(schema: EntitySchema, body: Body, discriminator?: unknown): Input {
  const input = rowOf(schema, body, discriminator);
  if (schema.ttl !== true || !('ttl' in input)) return { row: input, options: {} };
  const { ttl, ...row } = input;
  return ttl === null ? { row, options: {} } : { row, options: { ttl: checkedTtl(ttl) } };
}

function rowOf(schema: EntitySchema, body: Body, discriminator: unknown): Row {
  if (body.kind === 'yaml') return {};
  if (body.kind === 'json') return body.args;
  const named = schema.subschema_key === undefined ? undefined : argument(body, schema.subschema_key);
  return coerceForm(schema, body.args, subschemaOf(schema, named ?? discriminator));
}

/** Kong's limit, a bit over three years. */
const MAX_TTL = 100_000_000;

function checkedTtl(ttl: unknown): number {
  if (typeof ttl === 'number' && Number.isInteger(ttl) && ttl >= 0 && ttl <= MAX_TTL) return ttl;
  throw errors.invalidOptions({ ttl: `must be an integer between 0 and ${MAX_TTL}` });
}
