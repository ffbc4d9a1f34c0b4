import { isRecord, type Row } from '../record.ts';
import { schemaViolation } from './errors.ts';
import { plainText } from './lua-table.ts';
import { copy, equal, getPath, put } from './record.ts';
import { type Alias, type Shape, shapeOf } from './shape.ts';
import type { Field, FieldErrors } from './vocabulary.ts';

/** Where times, ids and secrets come from. */
export interface AutoValues {
  /** Seconds since 1970, with fractions. */
  now(): number;
  uuid(): string;
  /** 32 random letters and digits. */
  secret(): string;
}

/** `insert` fills everything that is absent; `update` leaves absent fields absent. */
type Mode = 'insert' | 'update';

/**
 * A new row from what the caller gave: aliases expanded, automatic values set, defaults filled in, sets without
 * duplicates, keys in the schema's order. What cannot be filled stays absent for validation to find. Keys the schema
 * does not know are kept at the end, for the same reason.
 */
export function fillRow(shape: Shape, input: Readonly<Row>, mode: Mode, auto: AutoValues): Row {
  const given = shape.shorthands.length > 0 ? expand(shape, input) : input;
  const row: Row = {};
  for (const { name, field } of shape.slots) {
    const value = fillField(field, autoValue(name, field, own(given, name), mode, auto), mode, auto);
    // A patch may unset it.
    const shown = value !== null || field.extension !== true || mode === 'update';
    if (value !== undefined && shown) row[name] = value;
  }
  for (const key of Object.keys(given)) {
    if (!shape.byName.has(key) && key !== 'updated_at') put(row, key, given[key]);
  }
  return row;
}

/** Lays a patch over a row: nested records field by field, everything else whole. */
export function mergeRows(shape: Shape, patch: Readonly<Row>, existing: Readonly<Row>): Row {
  const merged: Row = {};
  for (const { name, field } of shape.slots) {
    const over = patch[name];
    const under = existing[name];
    if (over === undefined) {
      if (under !== undefined) merged[name] = under;
    } else if (field.type === 'record' && !field.abstract && isRecord(over)) {
      merged[name] = mergeRows(shapeOf(field), over, isRecord(under) ? under : {});
    } else merged[name] = over;
  }
  for (const key of Object.keys(patch)) {
    if (!shape.byName.has(key)) put(merged, key, patch[key]);
  }
  return merged;
}

/** Adds the deprecated aliases a row is shown with, each read from the field that replaced it. */
export function showAliases(shape: Shape, row: Row): void {
  visitRecords(shape, row, (inner, target) => {
    for (const { name, source } of inner.shorthands) {
      if (source) target[name] = getPath(target, source) ?? null;
    }
  });
}

/** The reverse: an existing row without the aliases it is shown with. */
export function hideAliases(shape: Shape, row: Readonly<Row>): Row {
  const bare = { ...row };
  for (const { name, source } of shape.shorthands) if (source) delete bare[name];
  for (const { name, field } of shape.slots) {
    const value = bare[name];
    if (field.type === 'record' && isRecord(value) && !field.abstract) bare[name] = hideAliases(shapeOf(field), value);
  }
  return bare;
}

function visitRecords(shape: Shape, row: Row, visit: (shape: Shape, row: Row) => void): void {
  visit(shape, row);
  for (const { name, field } of shape.slots) {
    const value = row[name];
    if (field.type === 'record' && isRecord(value) && !field.abstract) visitRecords(shapeOf(field), value, visit);
  }
}

/** Only the input's own fields count; `undefined` is absent. */
function own(input: Readonly<Row>, name: string): unknown {
  return Object.hasOwn(input, name) ? input[name] : undefined;
}

function autoValue(name: string, field: Field, value: unknown, mode: Mode, auto: AutoValues): unknown {
  if (!field.auto) return value;
  const inserting = mode === 'insert';
  if (field.type === 'string') {
    // A row has an id whatever the caller says; a secret may be null.
    if (inserting && field.uuid && value === null) return auto.uuid();
    if (!inserting) return value;
    // An id that is null is no id: clients that send every field of a new row mean that.
    if (field.uuid) return value ?? auto.uuid();
    return value === undefined ? auto.secret() : value;
  }
  const due = name === 'updated_at' || (name === 'created_at' && inserting && (value === undefined || value === null));
  if (!due) return value;
  if (field.type === 'integer') return Math.floor(auto.now());
  return field.type === 'number' ? Math.floor(auto.now() * 1000) / 1000 : value;
}

function fillField(field: Field, given: unknown, mode: Mode, auto: AutoValues): unknown {
  let value = given;
  if (value === undefined) {
    if (mode === 'update') return undefined;
    value = missingValue(field);
  }
  if (typeof value !== 'object' || value === null || field.abstract) return value;
  switch (field.type) {
    case 'record':
      return isRecord(value) ? fillRow(shapeOf(field), value, mode, auto) : value;
    case 'array':
    case 'set':
      return fillList(field, value, mode, auto);
    case 'map':
      return fillMap(field, value, mode, auto);
    case 'foreign':
      // A reference is stored as its key alone, whatever else of the parent came with it.
      return isRecord(value) && typeof value.id === 'string' ? { id: value.id } : value;
    default:
      return value;
  }
}

function missingValue(field: Field): unknown {
  if (field.default !== undefined) return copy(field.default);
  if (!field.required) return null;
  return field.type === 'record' && !field.abstract ? {} : undefined;
}

function fillList(field: Extract<Field, { elements: Field }>, value: object, mode: Mode, auto: AutoValues): unknown {
  // An empty JSON object is an empty list too: Kong cannot tell them apart.
  if (!Array.isArray(value)) return Object.keys(value).length === 0 ? [] : value;
  const items = field.type === 'set' ? [...new Set(value)] : value;
  return items.map((item) => (item === undefined ? null : fillField(field.elements, item, mode, auto)));
}

function fillMap(field: Extract<Field, { type: 'map' }>, value: object, mode: Mode, auto: AutoValues): unknown {
  if (Array.isArray(value)) return value.length === 0 ? {} : value;
  const map: Row = {};
  for (const [key, item] of Object.entries(value)) put(map, key, fillField(field.values, item, mode, auto));
  return map;
}

/** Throws a schema violation that names the alias itself, without the path to it, as Kong does. */
function expand(shape: Shape, input: Readonly<Row>): Readonly<Row> {
  let row: Row | undefined;
  let errors: FieldErrors | undefined;
  for (const alias of shape.shorthands) {
    const value = own(row ?? input, alias.name);
    if (value === undefined) continue;
    row ??= { ...input };
    const error = alias.rule(value) ?? mismatch(alias, value, row);
    if (error !== undefined) {
      errors = { ...errors, [alias.name]: error };
      continue;
    }
    delete row[alias.name];
    mergeExpanded(row, alias.expand(value), alias.field.deprecation !== undefined);
  }
  if (errors) throw schemaViolation(errors);
  return row ?? input;
}

function mergeExpanded(row: Row, expanded: Readonly<Row>, deprecated: boolean): void {
  for (const [key, value] of Object.entries(expanded)) {
    const present = row[key];
    if (isRecord(value)) {
      const source = isRecord(present) ? present : {};
      row[key] = deprecated ? overlayUnlessNull(value, source) : { ...source, ...value };
    } else if (!deprecated || present === undefined || present === null) row[key] = value;
  }
}

function overlayUnlessNull(under: Readonly<Row>, over: Readonly<Row>): Row {
  const merged = { ...under };
  for (const [key, value] of Object.entries(over)) {
    if (merged[key] === undefined || value !== null) put(merged, key, value);
  }
  return merged;
}

function mismatch(alias: Alias, value: unknown, row: Readonly<Row>): string | undefined {
  if (value === null) return undefined;
  for (const { path } of alias.field.deprecation?.replaced_with ?? []) {
    const current = getPath(row, path);
    if (current === undefined || current === null || current === false || equal(current, value)) continue;
    const both = `${alias.name} = ${plainText(value)} vs ${path.join('.')} = ${plainText(current)}`;
    return `both deprecated and new field are used but their values mismatch: ${both}`;
  }
  return undefined;
}
