import type { Row } from '../../../shared/record.ts';
import { coerceForm } from '../../../shared/schema/coerce.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { argument } from '../request/body.ts';
import type { Call } from '../route.ts';
import { subschemaOf } from './subschema.ts';

/**
 * The body as the store takes it: form arguments nested and coerced to the schema's types. `discriminator` is the
 * value of the entity's sub-schema key when the body may leave it out (PATCH).
 */
export async function readInput(
  { body, luaPlugins }: Pick<Call, 'body' | 'luaPlugins'>,
  schema: EntitySchema,
  discriminator?: unknown,
): Promise<Row> {
  if (body.kind === 'yaml') return {};
  if (body.kind === 'json') return body.args;
  const named = schema.subschema_key === undefined ? undefined : argument(body, schema.subschema_key);
  return coerceForm(schema, body.args, await subschemaOf(schema, named ?? discriminator, luaPlugins));
}
