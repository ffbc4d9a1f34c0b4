import { indentedTable, inlineTable } from './lua-table.ts';
import type { FieldErrors } from './vocabulary.ts';

/** What a key or an error refers to, by field name. */
export type KeyFields = Readonly<Record<string, unknown>>;

/** An error of the Admin API and the entity stores: Kong's code, name, message and body. */
export class KongError extends Error {
  override readonly name = 'KongError';
  readonly code: number;
  readonly errorName: string;
  /** HTTP status of an Admin API answer. */
  readonly status: number;
  readonly fields?: KeyFields;

  constructor(code: keyof typeof CODES, message: string, fields?: KeyFields, errorName?: string) {
    super(message);
    const [defaultName, status] = CODES[code];
    this.code = code;
    this.errorName = errorName ?? defaultName;
    this.status = status;
    if (fields) this.fields = fields;
  }

  /** The JSON body of an Admin API answer. */
  body(): object {
    const base = { code: this.code, name: this.errorName, message: this.message };
    if (!this.fields) return base;
    return this.code === 11 ? { ...base, options: this.fields } : { ...base, fields: this.fields };
  }
}

const CODES = {
  1: ['invalid primary key', 400],
  2: ['schema violation', 400],
  3: ['primary key violation', 400],
  4: ['foreign key violation', 400],
  5: ['unique constraint violation', 409],
  6: ['not found', 404],
  7: ['invalid offset', 400],
  9: ['invalid size', 400],
  10: ['invalid unique %s', 400],
  11: ['invalid options', 400],
  12: ['operation unsupported', 405],
  13: ['foreign keys unresolved', 400],
  14: ['invalid declarative configuration', 400],
  16: ['invalid foreign key', 500],
  17: ['invalid workspace', 500],
  18: ['invalid global query', 500],
  19: ['referenced by others', 400],
} as const;

/** `fields`: what is wrong with which part, e.g. `{id: 'expected a valid UUID'}`. */
export function invalidPrimaryKey(fields: KeyFields): KongError {
  return new KongError(1, `invalid primary key: '${inlineTable(fields)}'`, fields);
}

/** Row errors in the input's shape; the message lists them all, whole-row errors first. */
export function schemaViolation(fields: FieldErrors): KongError {
  const pieces = violations(fields);
  const list = pieces.join('; ');
  const message = pieces.length === 1 ? `schema violation (${list})` : `${pieces.length} schema violations (${list})`;
  return new KongError(2, message, fields);
}

function violations(fields: FieldErrors): string[] {
  const entity = fields['@entity'];
  const pieces = Array.isArray(entity) ? entity.map(String) : [];
  for (const name of Object.keys(fields).sort()) {
    const error = fields[name];
    if (name === '@entity' || error === undefined) continue;
    if (typeof error === 'string') pieces.push(`${name}: ${error}`);
    else pieces.push(...nested(error).map(([sub, text]) => `${name}.${sub}: ${text}`));
  }
  return pieces;
}

/** One level is spelled out (`config.minute: …`, `tags.2: …`); what lies deeper is printed as a Lua table. */
function nested(errors: object): [string, string][] {
  const entries: [string, unknown][] = Array.isArray(errors)
    ? errors.flatMap((error, i) => (error === null ? [] : [[String(i + 1), error]]))
    : Object.entries(errors).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, error]) => [
    key,
    typeof error === 'object' && error !== null ? indentedTable(error) : String(error),
  ]);
}

export function primaryKeyViolation(key: KeyFields): KongError {
  return new KongError(3, `primary key violation on key '${inlineTable(key)}'`, key);
}

/** `field` of a row refers to a row of `parent` that is not there. */
export function foreignKeyViolation(field: string, key: KeyFields, parent: string): KongError {
  const message = `the foreign key '${inlineTable(key)}' does not reference an existing '${parent}' entity.`;
  return new KongError(4, message, { [field]: key });
}

/** A row of `parent` cannot be deleted while a row of `child` refers to it. */
export function foreignKeyViolationRestricted(parent: string, child: string): KongError {
  const message = `an existing '${child}' entity references this '${parent}' entity`;
  return new KongError(4, message, { '@referenced_by': child });
}

/** `key`: the unique field with its value, or all fields of a composite key, foreign ones as `{id}` or null. */
export function uniqueViolation(key: KeyFields): KongError {
  return new KongError(5, `UNIQUE violation detected on '${inlineTable(key, 'null')}'`, key);
}

/** By primary key when `key` is `{id}`, else by the unique field it names. */
export function notFound(key: KeyFields): KongError {
  const by = Object.keys(key).join() === 'id' ? 'with primary key' : 'with';
  return new KongError(6, `could not find the entity ${by} '${inlineTable(key)}'`, key);
}

/** `why`: `bad base64 encoding` or `bad json encoding`. */
export function invalidOffset(offset: string, why: string): KongError {
  return new KongError(7, `'${offset}' is not a valid offset: ${why}`);
}

/** `why`: `size must be a number` or, when absent, the range. */
export function invalidSize(why = 'size must be an integer between 1 and 1000'): KongError {
  return new KongError(9, why);
}

/** A look-up by `field` with a value that field cannot hold. */
export function invalidUnique(field: string, why: string): KongError {
  return new KongError(10, why, undefined, `invalid unique ${field}`);
}

/** Query options such as `tags`, by name. */
export function invalidOptions(options: Readonly<Record<string, string>>): KongError {
  const names = Object.keys(options).sort();
  const list = names.map((name) => `${name}: ${options[name]}`).join('; ');
  const message = names.length === 1 ? `invalid option (${list})` : `${names.length} option violations (${list})`;
  return new KongError(11, message, options);
}

export function operationUnsupported(why: string): KongError {
  return new KongError(12, why);
}

/** A reference by a parent's unique field that names no row: `service: {name: 'x'}`. */
export interface UnresolvedReference {
  readonly field: string;
  readonly name: string;
  readonly value: unknown;
  readonly parent: string;
}

export function foreignKeysUnresolved(references: readonly UnresolvedReference[]): KongError {
  const fields: Record<string, Record<string, string>> = {};
  const pieces = [...references]
    .sort((a, b) => (`${a.field}.${a.name}` < `${b.field}.${b.name}` ? -1 : 1))
    .map(({ field, name, value, parent }) => {
      const key = inlineTable({ [name]: value });
      const text = `the foreign key cannot be resolved with '${key}' for an existing '${parent}' entity`;
      fields[field] = { ...fields[field], [name]: text };
      return `${field}.${name}: ${text}`;
    });
  const list = pieces.join('; ');
  const message =
    pieces.length === 1 ? `foreign key unresolved (${list})` : `${pieces.length} foreign keys unresolved (${list})`;
  return new KongError(13, message, fields);
}

/** Errors of a whole declarative configuration, by entity collection. */
export function declarativeInvalid(fields: FieldErrors): KongError {
  return new KongError(14, `declarative config is invalid: ${inlineTable(fields)}`, fields);
}

export function invalidForeignKey(fields: KeyFields): KongError {
  return new KongError(16, `invalid foreign key: '${inlineTable(fields)}'`, fields);
}

export function invalidWorkspace(workspace: string): KongError {
  return new KongError(17, `invalid workspace '${workspace}'`);
}

/** A CA certificate that a row of `entity` still names in a list of ids. */
export function referencedByOthers(id: string, entity: string, referrer: string): KongError {
  return new KongError(19, `ca certificate ${id} is still referenced by ${entity} (id = ${referrer})`);
}
