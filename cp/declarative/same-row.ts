import { isDeepStrictEqual } from 'node:util';

import { nestedCollections } from '../../shared/declarative/items.ts';
import type { DeclaredRow } from '../../shared/declarative/parse.ts';
import { type Context, withoutAliases } from '../../shared/schema/complete.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';

/** Filled when a row is written; they count only where the document gives them. */
const TIMESTAMPS = ['created_at', 'updated_at'];

/** Whether a stored row is what the document asks for. */
export function sameRow(
  schema: EntitySchema,
  stored: Readonly<Record<string, unknown>>,
  { row, input, ttl }: DeclaredRow,
  context: Context,
): boolean {
  if (ttl !== null) return false;
  const plain = withoutAliases(schema, stored, context);
  const collections = nestedCollections(schema.name);
  for (const [field, value] of Object.entries(row)) {
    if (collections.has(field)) continue;
    if (TIMESTAMPS.includes(field) && input[field] === undefined) continue;
    if (!isDeepStrictEqual(plain[field] ?? null, value ?? null)) return false;
  }
  return true;
}
