import { describe, expect, test } from 'vitest';
import { entity } from '../../../shared/entities/registry.ts';
import type { Row } from '../../../shared/record.ts';
import { completeInsert, completeUpdate, completeUpsert } from '../../../shared/schema/complete.ts';
import * as errors from '../../../shared/schema/errors.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import vectors from '../vectors/admin-entity.json' with { type: 'json' };
import { context } from './context.ts';

/** What Kong answers to Admin API writes, recorded from Kong itself with an empty in-memory store. */
interface Vector {
  readonly op: string;
  readonly entity?: string;
  readonly id?: string;
  readonly note?: string;
  readonly input?: Row;
  readonly existing?: Row;
  readonly status?: number;
  readonly body: Row;
}

const all: readonly Vector[] = vectors;

describe('writes are answered as Kong answers them', () => {
  const writes = all.filter(({ op }) => op !== 'error-shape');
  test.each(writes.map((vector) => [title(vector), vector] as const))('%s', async (_title, vector) => {
    const outcome = await answer(vector);
    expect(outcome.status).toBe(vector.status);
    expect(outcome.body).toEqual(withPlaceholders(vector.body));
  });
});

function title({ op, entity: name, input, note }: Vector): string {
  return `${op} ${name} ${JSON.stringify(input)}${note ? ` (${note})` : ''}`;
}

async function answer(vector: Vector): Promise<{ status: number; body: unknown }> {
  try {
    const body = await write(vector);
    return { status: vector.op === 'POST' ? 201 : 200, body };
  } catch (error) {
    if (error instanceof errors.KongError) return { status: error.status, body: error.body() };
    throw error;
  }
}

async function write({ op, entity: name = '', input = {}, existing, id }: Vector): Promise<Row> {
  const schema = entity(name);
  if (!schema) throw new Error(`no entity ${name}`);
  refuseUnresolved(schema, input);
  if (op === 'POST') return completeInsert(schema, input, context());
  if (op === 'PUT') return completeUpsert(schema, { ...input, id }, null, context());
  if (!existing) throw errors.notFound({ id: '0b1c2d3e-4f50-4a6b-8c7d-9e8f7a6b5c4d' });
  const full = await completeInsert(schema, existing, context(1));
  return completeUpdate(schema, input, full, context());
}

/** The store resolves references by name; the recorded store was empty. */
function refuseUnresolved(schema: EntitySchema, input: Row): void {
  for (const [field, definition] of Object.entries(schema.fields)) {
    const value = input[field];
    if (definition.type !== 'foreign' || typeof value !== 'object' || value === null || !('name' in value)) continue;
    throw errors.foreignKeysUnresolved([{ field, name: 'name', value: value.name, parent: definition.reference }]);
  }
}

function withPlaceholders(value: unknown): unknown {
  if (value === '<now>') return expect.any(Number);
  if (value === '<uuid>') return expect.stringMatching(/^[0-9a-f-]{36}$/);
  if (Array.isArray(value)) return value.map(withPlaceholders);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withPlaceholders(item)]));
}

describe('error bodies have the shape of Kong’s', () => {
  const id = '6f0c0f0e-7d8f-4b8e-9c55-1f2d3c4b5a69';
  const made: Record<string, errors.KongError> = {
    'unique_violation cache_key (plugins)': errors.uniqueViolation({
      name: 'key-auth',
      service: { id },
      route: null,
      consumer: null,
    }),
    foreign_key_violation_invalid_reference: errors.foreignKeyViolation('service', { id }, 'services'),
    not_found: errors.notFound({ id }),
    invalid_primary_key: errors.invalidPrimaryKey({ id: 'expected a valid UUID' }),
    invalid_size: errors.invalidSize(),
    'invalid_options tags': errors.invalidOptions({ tags: 'invalid filter syntax' }),
    operation_unsupported: errors.operationUnsupported("cannot create 'services' entities when not using a database"),
    referenced_by_others: errors.referencedByOthers(id, 'services', '0b1c2d3e-4f50-4a6b-8c7d-9e8f7a6b5c4d'),
  };
  const shapes = all.filter((vector) => vector.op === 'error-shape');
  test.each(shapes.map((vector) => [vector.note ?? '', vector.body] as const))('%s', (note, body) => {
    expect(made[note]?.body()).toEqual(body);
  });
});
