import { isRecord, type Row } from '../record.ts';
import { addEntityError, mutuallyRequiredError } from './checks.ts';
import { schemaViolation } from './errors.ts';
import { type AutoValues, fillRow, hideAliases, mergeRows, showAliases } from './fill.ts';
import { plainText } from './lua-table.ts';
import { equal, getPath, isSet } from './record.ts';
import { referenceErrors } from './reference.ts';
import { type Shape, shapeOf, shapeWith } from './shape.ts';
import { validateRow } from './validate.ts';
import type { EntitySchema, FieldErrors, Subschema } from './vocabulary.ts';

/** What completing a row needs from outside. */
export interface Context extends AutoValues {
  /** The sub-schema an entity takes from a registry: a plugin's by its name. */
  subschema(entity: string, key: string): Subschema | undefined;
  /** False: configurations of plugins in Lua (`custom_plugins`) are not taken, since nobody here could run them. */
  readonly luaPlugins?: boolean;
  /** An entity by its name, to tell what is wrong with a reference that spells out more than a key. */
  entity?(name: string): EntitySchema | undefined;
  /** The input is in its stored form already (an export with `_transform: false`): nothing is transformed again. */
  readonly verbatim?: boolean;
}

type Input = Readonly<Record<string, unknown>>;

/**
 * The full row of a new entity: every field, `null` where unset. Throws a schema violation (code 2) that lists all
 * that is wrong. References are `{id}` already and `ttl` has been taken out.
 */
export async function completeInsert(schema: EntitySchema, input: Input, context: Context): Promise<Row> {
  const row = filled(schema, input, context);
  await check(schema, row, input, undefined, context);
  return stored(schema, row, input, context);
}

/** The full row after PATCH: `patch` laid over `existing`, records merged, lists replaced, `updated_at` moved. */
export async function completeUpdate(
  schema: EntitySchema,
  patch: Input,
  existing: Input,
  context: Context,
): Promise<Row> {
  const shape = shapeFor(schema, { ...existing, ...patch }, context);
  const before = hideAliases(shape, existing);
  const changes = fillRow(shape, patch, 'update', context);
  refuseImmutable(shape, changes, before);
  const merged = mergeRows(shape, changes, before);
  // Records that were null or list items that are new get their defaults; what exists is full already.
  const row = filled(schema, merged, context);
  await check(schema, row, patch, before, context);
  return stored(schema, row, patch, context);
}

/** The full row after PUT: as a new row, under the existing row's id. */
export async function completeUpsert(
  schema: EntitySchema,
  input: Input,
  existing: Input | null,
  context: Context,
): Promise<Row> {
  return completeInsert(schema, existing ? { ...input, id: existing.id } : input, context);
}

/** Resolves when a new row of this input would be accepted; throws like `completeInsert`. Nothing is transformed. */
export async function validate(schema: EntitySchema, input: Input, context: Context): Promise<void> {
  await check(schema, filled(schema, input, context), input, undefined, context);
}

/** The row without the deprecated spellings shown beside the fields that replaced them (`redis_host`). */
export function withoutAliases(schema: EntitySchema, row: Input, context: Context): Row {
  return hideAliases(shapeFor(schema, row, context), row);
}

function filled(schema: EntitySchema, input: Input, context: Context): Row {
  return fillRow(shapeFor(schema, input, context), input, 'insert', context);
}

/** The shape of a row: its entity's, with the sub-schema the row itself names. */
export function shapeFor(schema: EntitySchema, row: Input, context: Context): Shape {
  const subschema = subschemaOf(schema, row, context);
  return subschema === undefined || subschema === null ? shapeOf(schema) : shapeWith(schema, subschema);
}

/** Undefined: the entity has none. Null: the key is absent or names none. */
function subschemaOf(schema: EntitySchema, row: Input, context: Context): Subschema | null | undefined {
  if (schema.subschema_key === undefined) return undefined;
  const key = row[schema.subschema_key];
  for (const name of Array.isArray(key) ? key : [key]) {
    if (typeof name !== 'string') continue;
    const own = schema.subschemas && Object.hasOwn(schema.subschemas, name) ? schema.subschemas[name] : undefined;
    const subschema = own ?? context.subschema(schema.name, name);
    if (subschema) return subschema;
  }
  return null;
}

async function check(
  schema: EntitySchema,
  row: Row,
  input: Input,
  existing: Input | undefined,
  context: Context,
): Promise<void> {
  const subschema = subschemaOf(schema, row, context);
  if (subschema === null) throw unknownSubschema(schema, row);
  const errors: FieldErrors = {};
  const pending = validateRow(shapeWith(schema, subschema), row, errors, existing !== undefined);
  if (pending) await pending;
  explainReferences(schema, input, errors, context);
  checkTransformations(schema, row, input, existing, errors);
  if (Object.keys(errors).length > 0) throw schemaViolation(errors);
}

/** A reference without a proper key is told by what else is wrong of the parent in it. */
function explainReferences(schema: EntitySchema, input: Input, errors: FieldErrors, context: Context): void {
  for (const [name, field] of Object.entries(schema.fields)) {
    const value = input[name];
    // A text is the verdict of an entity check, which has nothing to do with the key.
    if (field.type !== 'foreign' || !isRecord(errors[name]) || !isRecord(value)) continue;
    const parent = context.entity?.(field.reference);
    errors[name] = (parent && referenceErrors(parent, value)) ?? errors[name];
  }
}

/** Without its sub-schema nothing else about a row can be judged, so this is the only error reported. */
function unknownSubschema(schema: EntitySchema, row: Row): Error {
  const key = schema.subschema_key ?? '';
  const value = row[key];
  if (value === null || value === undefined) return schemaViolation({ [key]: 'required field missing' });
  const name = Array.isArray(value) ? (value[0] ?? 'nil') : value;
  return schemaViolation({
    [key]: (schema.subschema_error ?? 'unknown type: %s').replace('%s', () => plainText(name)),
  });
}

function refuseImmutable(shape: Shape, changes: Row, existing: Input): void {
  const errors: FieldErrors = {};
  for (const { name, field } of shape.slots) {
    const now = changes[name];
    const before = existing[name];
    if (!field.immutable || now === undefined || before === undefined || before === null) continue;
    const same =
      Array.isArray(now) && Array.isArray(before) ? equal([...now].sort(), [...before].sort()) : equal(now, before);
    if (!same) errors[name] = 'immutable field cannot be updated';
  }
  if (Object.keys(errors).length > 0) throw schemaViolation(errors);
}

/** A transformation that is to run needs all it works from in the same request. */
function checkTransformations(
  schema: EntitySchema,
  row: Row,
  input: Input,
  existing: Input | undefined,
  errors: FieldErrors,
): void {
  for (const { input: inputs, needs = [] } of schema.transformations ?? []) {
    const given = inputs.some((name) => isSet(getPath(input, name.split('.'))));
    const moved =
      existing !== undefined &&
      needs.some((name) => getPath(input, name.split('.')) !== getPath(existing, name.split('.')));
    if (!given && !moved) continue;
    const names = [...inputs, ...needs];
    const source = moved ? input : row;
    if (partlySet(source, names)) addEntityError(errors, mutuallyRequiredError(names));
    else if (partlySet(input, inputs)) addEntityError(errors, mutuallyRequiredError(inputs));
  }
}

function partlySet(row: Input, names: readonly string[]): boolean {
  const set = names.filter((name) => isSet(getPath(row, name.split('.')))).length;
  return set > 0 && set < names.length;
}

async function stored(schema: EntitySchema, valid: Row, input: Input, context: Context): Promise<Row> {
  let row = valid;
  for (const { input: inputs, needs = [], derives, on_write } of schema.transformations ?? []) {
    if (context.verbatim && !derives) continue;
    const given = inputs.every((name) => isSet(getPath(input, name.split('.'))));
    if (given && needs.every((name) => isSet(getPath(row, name.split('.')))))
      row = { ...row, ...(await on_write(row)) };
  }
  showAliases(shapeFor(schema, row, context), row);
  return row;
}
