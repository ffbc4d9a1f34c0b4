import type { FieldErrors } from '../schema/vocabulary.ts';
import { isUuid } from '../uuid.ts';
import type { Item } from './items.ts';
import type { InvalidConfig } from './parse.ts';

/** One entity with what is wrong with it, for `POST /config?flatten_errors=1`. */
interface FlattenedError {
  readonly entity_type: string;
  readonly entity_name?: string;
  readonly entity_id?: string;
  readonly entity_tags?: readonly string[];
  readonly entity: Readonly<Record<string, unknown>>;
  readonly errors: readonly EntityError[];
}

type EntityError =
  | { readonly type: 'field'; readonly field: string; readonly message: string }
  | { readonly type: 'entity'; readonly message: string };

/** Splits the error tree into errors by entity and `fields`, what belongs to none. */
export function flattenErrors({ fields, items }: InvalidConfig): { fields: FieldErrors; flattened: FlattenedError[] } {
  const flattened: FlattenedError[] = [];
  const placed = new Set<string>();
  for (const item of items) {
    const errors = errorsAt(fields, item.path);
    if (errors === null || errors === undefined) continue;
    const references = referenceErrors(errors, item);
    const found = entityErrors(errors, item, references);
    if (found.length > 0) flattened.push(describe(item, found));
    flattened.push(...references.values());
    placed.add(String(item.path[0]));
  }
  const rest: FieldErrors = {};
  for (const [key, value] of Object.entries(fields)) {
    // Errors keyed by name (references, other unique fields) belong to no position and are lost here, as in Kong.
    const byName = typeof value === 'object' && !Array.isArray(value);
    if (!placed.has(key) && !byName) rest[key] = value;
  }
  return { fields: rest, flattened };
}

function errorsAt(fields: unknown, path: readonly (string | number)[]): unknown {
  let node = fields;
  for (const key of path) {
    if (typeof node !== 'object' || node === null) return undefined;
    node = Reflect.get(node, key);
  }
  return node;
}

function entityErrors(errors: unknown, item: Item, elsewhere: ReadonlyMap<string, unknown>): EntityError[] {
  if (typeof errors === 'string') return [{ type: 'entity', message: errors }];
  if (typeof errors !== 'object' || errors === null) return [];
  const children = new Set(item.children.map((child) => String(child.path[item.path.length])));
  return Object.entries(errors).flatMap(([field, value]) =>
    children.has(field) || elsewhere.has(field) ? [] : fieldErrors(field, value),
  );
}

/** A reference written as a record counts as an entity of the type it refers to, as in Kong. */
function referenceErrors(errors: unknown, { schema, input }: Item): ReadonlyMap<string, FlattenedError> {
  const found = new Map<string, FlattenedError>();
  for (const [field, definition] of Object.entries(schema.fields)) {
    if (definition.type !== 'foreign') continue;
    const wrong = errorsAt(errors, [field]);
    const written = input[field];
    if (typeof wrong !== 'object' || wrong === null) continue;
    if (typeof written !== 'object' || written === null) continue;
    const problems = Object.entries(wrong).flatMap(([key, value]) => fieldErrors(key, value));
    found.set(field, { ...summary(definition.reference, { ...written }), entity: { ...written }, errors: problems });
  }
  return found;
}

function fieldErrors(field: string, value: unknown): EntityError[] {
  if (typeof value === 'string') return [{ type: 'field', field, message: value }];
  if (field === '@entity' && Array.isArray(value))
    return value.map((message) => ({ type: 'entity', message: String(message) }));
  if (Array.isArray(value)) return value.flatMap((element, index) => fieldErrors(`${field}.${index + 1}`, element));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '@entity' ? fieldErrors('@entity', inner) : fieldErrors(`${field}.${key}`, inner),
  );
}

function describe({ schema, input, parent }: Item, errors: readonly EntityError[]): FlattenedError {
  const parentId = parent?.item.input.id;
  const entity = { ...input, ...(parent && isUuid(parentId) ? { [parent.field]: { id: parentId } } : {}) };
  return { ...summary(schema.name, input), entity, errors };
}

function summary(collection: string, { name, id, tags }: Readonly<Record<string, unknown>>) {
  return {
    entity_type: collection.replace(/s$/, ''),
    ...(typeof name === 'string' && name !== '' ? { entity_name: name } : {}),
    ...(isUuid(id) ? { entity_id: id } : {}),
    ...(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string') ? { entity_tags: tags } : {}),
  };
}
