import type { EntitySchema, Field, ForeignField } from '../../shared/schema/vocabulary.ts';

/** A table as it follows from an entity's schema. Names are unquoted. */
export interface Table {
  readonly schema: EntitySchema;
  readonly name: string;
  /** The field that names a row, almost always `id`. */
  readonly key: string;
  /** In the order of the schema's fields; fields stored elsewhere (`certificates.snis`) are absent. */
  readonly columns: readonly Column[];
  readonly uniques: readonly Unique[];
  readonly references: readonly Reference[];
  /** Rows belong to a workspace (`ws_id`). */
  readonly workspaced: boolean;
  /** Rows may carry a time (`expires_at`) from which on they are no longer there. */
  readonly expires: boolean;
  /** Changes of its rows move the config serial. */
  readonly logged: boolean;
}

/** A column and the schema field it holds. */
export interface Column {
  readonly name: string;
  readonly field: string;
  readonly type: ColumnType;
  /** The schema's default, which rows from before the column get. */
  readonly initial: unknown;
  /** Rows show the field only where it is set. */
  readonly hiddenWhenNull: boolean;
}

type ColumnType = 'uuid' | 'text' | 'bigint' | 'double precision' | 'boolean' | 'json' | 'text[]';

/** A unique constraint and what of the schema it stands for. */
export interface Unique {
  readonly constraint: string;
  /** The schema fields a clash is reported on. */
  readonly fields: readonly string[];
  readonly columns: readonly string[];
  /** Two rows that leave a member unset clash as well: cache keys. */
  readonly nullsEqual: boolean;
  /** The last column is compared regardless of case, by an index in the place of a constraint. */
  readonly caseless: boolean;
}

/** A foreign key; `to` is the entity referred to. */
export interface Reference {
  readonly constraint: string;
  readonly field: string;
  readonly column: string;
  readonly to: string;
  /** Whether the row referred to must be of the same workspace. */
  readonly sameWorkspace: boolean;
  readonly onDelete: 'cascade' | 'null' | 'restrict';
}

/** Every table, keyed by entity name; parents before the tables that refer to them. */
export type Tables = ReadonlyMap<string, Table>;

/** The tables that follow from the schemas, each behind those it refers to. */
export function deriveTables(schemas: Iterable<EntitySchema>): Tables {
  const byName = new Map([...schemas].map((schema) => [schema.name, schema]));
  const tables = new Map<string, Table>();
  const visit = (schema: EntitySchema): void => {
    if (tables.has(schema.name)) return;
    for (const field of Object.values(schema.fields)) {
      const parent = field.type === 'foreign' ? byName.get(field.reference) : undefined;
      if (parent !== undefined && parent !== schema) visit(parent);
    }
    tables.set(schema.name, deriveTable(schema, byName));
  };
  for (const schema of byName.values()) visit(schema);
  return tables;
}

/** The column a field is kept in. */
function columnName(field: string, definition: Field): string {
  return definition.type === 'foreign' ? `${field}_id` : field;
}

function deriveTable(schema: EntitySchema, schemas: ReadonlyMap<string, EntitySchema>): Table {
  const stored = Object.entries(schema.fields).filter(([, definition]) => definition.transient !== true);
  const workspaced = schema.workspaceable === true;
  return {
    schema,
    name: schema.name,
    key: schema.primary_key[0] ?? 'id',
    columns: stored.map(([field, definition]) => ({
      name: columnName(field, definition),
      field,
      type: columnType(definition, schemas),
      initial: definition.default,
      hiddenWhenNull: definition.extension === true,
    })),
    uniques: [...fieldUniques(schema, workspaced), ...cacheKey(schema, workspaced)],
    references: stored.flatMap(([field, definition]) =>
      definition.type === 'foreign' ? [reference(schema, field, definition, schemas)] : [],
    ),
    workspaced,
    expires: schema.ttl === true,
    logged: schema.db_export !== false && schema.records === undefined,
  };
}

function columnType(field: Field, schemas: ReadonlyMap<string, EntitySchema>): ColumnType {
  switch (field.type) {
    case 'string':
      return field.uuid === true ? 'uuid' : 'text';
    case 'integer':
      return 'bigint';
    case 'number':
      return 'double precision';
    case 'boolean':
      return 'boolean';
    case 'array':
    case 'set':
      return field.elements.type === 'string' ? 'text[]' : 'json';
    case 'foreign': {
      const parent = schemas.get(field.reference);
      const key = parent?.fields[parent.primary_key[0] ?? 'id'];
      return key === undefined ? 'uuid' : columnType(key, schemas);
    }
    default:
      return 'json';
  }
}

function fieldUniques(schema: EntitySchema, workspaced: boolean): Unique[] {
  const uniques = Object.entries(schema.fields).filter(
    ([field, definition]) => definition.unique === true && !isPrimaryKey(schema, field),
  );
  return uniques.map(([field, definition]) => ({
    constraint: `${schema.name}_${field}_${isCaseless(definition) ? 'caseless' : 'unique'}`,
    caseless: isCaseless(definition),
    fields: [field],
    columns: [...(workspaced && definition.unique_across_ws !== true ? ['ws_id'] : []), columnName(field, definition)],
    nullsEqual: false,
  }));
}

const isCaseless = (field: Field): boolean => field.type === 'string' && field.caseless === true;

function cacheKey(schema: EntitySchema, workspaced: boolean): Unique[] {
  const members = schema.cache_key ?? [];
  const [only] = members;
  if (only === undefined) return [];
  if (members.length === 1 && (schema.fields[only]?.unique === true || isPrimaryKey(schema, only))) return [];
  const columns = members.map((field) => {
    const definition = schema.fields[field];
    return definition === undefined ? field : columnName(field, definition);
  });
  return [
    {
      // A cache key that gains a member is another constraint, and must have another name to be told apart.
      constraint: `${schema.name}_cache_key_${fingerprint(columns.join())}`,
      fields: members,
      columns: [...(workspaced ? ['ws_id'] : []), ...columns],
      nullsEqual: true,
      caseless: false,
    },
  ];
}

function reference(
  schema: EntitySchema,
  field: string,
  definition: ForeignField,
  schemas: ReadonlyMap<string, EntitySchema>,
): Reference {
  return {
    constraint: `${schema.name}_${field}_reference`,
    field,
    column: columnName(field, definition),
    to: definition.reference,
    sameWorkspace: schema.workspaceable === true && schemas.get(definition.reference)?.workspaceable === true,
    onDelete: definition.on_delete ?? 'restrict',
  };
}

function isPrimaryKey(schema: EntitySchema, field: string): boolean {
  return schema.primary_key.length === 1 && schema.primary_key[0] === field;
}

/** FNV-1a, 32 bits: short, stable, and nobody's secret depends on it. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}
