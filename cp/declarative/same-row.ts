import { isDeepStrictEqual } from 'node:util';

import { nestedCollections } from '../../shared/declarative/items.ts';
import { type DeclaredRow, secondsLeft } from '../../shared/declarative/parse.ts';
import type { Row } from '../../shared/record.ts';
import { type Context, withoutAliases } from '../../shared/schema/complete.ts';
import { keepGenerated } from '../../shared/schema/generated.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';

/** Seconds by which what is left of a row's life may seem to differ when nothing about it does: it is told in whole ones. */
const TTL_TOLERANCE = 2;

/**
 * Whether a stored row is what the document asks for, whatever its id. `context` is the one the document was parsed
 * with.
 */
export async function sameRow(
  schema: EntitySchema,
  stored: Readonly<Row>,
  { row, input, ttl }: DeclaredRow,
  context: Context,
): Promise<boolean> {
  if (!sameTtl(stored.ttl, secondsLeft(ttl, context.now()))) return false;
  const plain = withoutAliases(schema, stored, context);
  const expected = keepGenerated(schema, { input, stored: plain, target: row }, context);
  const collections = nestedCollections(schema.name);
  const differing = Object.keys(row).filter((field) => {
    // The last is the time of the write, whatever the document gives.
    if (field === 'id' || collections.has(field) || field === 'updated_at') return false;
    return !isDeepStrictEqual(plain[field] ?? null, expected[field] ?? null);
  });
  return differing.length === 0 || (await areOutcomes(differing, schema, { input, row, stored: plain }, context));
}

function sameTtl(stored: unknown, wanted: number | null): boolean {
  if (typeof stored !== 'number' || wanted === null || wanted === 0) return (stored ?? null) === (wanted || null);
  return Math.abs(stored - wanted) <= TTL_TOLERANCE;
}

/** Whether these fields differ only as hashes of the same secret do. */
async function areOutcomes(
  fields: readonly string[],
  schema: EntitySchema,
  {
    input,
    row,
    stored,
  }: { readonly input: Readonly<Row>; readonly row: Readonly<Row>; readonly stored: Readonly<Row> },
  context: Context,
): Promise<boolean> {
  if (context.verbatim === true) return false;
  const explained = new Set<string>();
  for (const { input: inputs, needs = [], can_be_from } of schema.transformations ?? []) {
    if (await can_be_from?.({ ...row, ...input }, stored))
      for (const name of [...inputs, ...needs]) explained.add(name);
  }
  return fields.every((field) => explained.has(field));
}
