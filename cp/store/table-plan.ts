import { identifier, literal, type Session } from './database.ts';
import { comparedColumns } from './statements.ts';
import type { Column, Reference, Table, Tables, Unique } from './table.ts';

/** One step that brings the database nearer to the schemas: in plain words, and as SQL. */
export interface Step {
  readonly description: string;
  readonly statements: readonly string[];
}

/**
 * The steps that are missing between the database as it is and the tables the schemas describe: adding an
 * entity or a field is adding it to its schema. Steps only add; a column whose type no longer fits throws, because that
 * needs a numbered migration which says what becomes of the data.
 */
export async function missingSteps(session: Session, tables: Tables): Promise<Step[]> {
  const catalog = await readCatalog(session);
  const ordered = [...tables.values()];
  return [
    ...ordered.flatMap((table) => columnSteps(table, catalog)),
    ...ordered.flatMap((table) => uniqueSteps(table, catalog)),
    ...ordered.flatMap((table) => referenceSteps(table, tables, catalog)),
    ...ordered.flatMap((table) => indexSteps(table, catalog)),
    ...ordered.flatMap((table) => triggerSteps(table, catalog)),
  ];
}

/** What the schema of the connection holds, by `table.name`. */
interface Catalog {
  readonly columns: ReadonlyMap<string, string>;
  readonly tables: ReadonlySet<string>;
  readonly constraints: ReadonlySet<string>;
  readonly indexes: ReadonlySet<string>;
  readonly triggers: ReadonlySet<string>;
}

/** The schema tables are made in. A cast of its name would read it as SQL: in lower case, and cut at a dot. */
const HERE = '(SELECT oid FROM pg_namespace WHERE nspname = current_schema())';

async function readCatalog(session: Session): Promise<Catalog> {
  const columns = await session.query(`
    SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = ${HERE} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped`);
  const names = async (sql: string) => new Set((await session.query(sql)).map((row) => `${row.table}.${row.name}`));
  return {
    columns: new Map(columns.map((row) => [`${row.table}.${row.column}`, String(row.type)])),
    tables: new Set(columns.map((row) => String(row.table))),
    constraints: await names(`
      SELECT c.relname AS table, k.conname AS name FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
      WHERE k.connamespace = ${HERE}`),
    indexes: await names(
      `SELECT tablename AS table, indexname AS name FROM pg_indexes WHERE schemaname = current_schema()`,
    ),
    triggers: await names(`
      SELECT c.relname AS table, t.tgname AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
      WHERE c.relnamespace = ${HERE} AND NOT t.tgisinternal`),
  };
}

function columnSteps(table: Table, catalog: Catalog): Step[] {
  const wanted = [
    ...table.columns.map((column) => ({ name: column.name, type: column.type, definition: columnSql(table, column) })),
    ...(table.workspaced ? [{ name: 'ws_id', type: 'uuid', definition: '"ws_id" uuid NOT NULL' }] : []),
    ...(table.expires
      ? [{ name: 'expires_at', type: 'timestamp with time zone', definition: '"expires_at" timestamptz' }]
      : []),
  ];
  if (!catalog.tables.has(table.name)) {
    const definitions = wanted.map(({ definition }) => definition).join(', ');
    const key = table.schema.primary_key.map((field) => identifier(field)).join(', ');
    const constraint = `CONSTRAINT ${identifier(`${table.name}_pkey`)} PRIMARY KEY (${key})`;
    return [
      {
        description: `create table ${table.name}`,
        statements: [`CREATE TABLE ${identifier(table.name)} (${definitions}, ${constraint})`],
      },
    ];
  }
  return wanted.flatMap(({ name, type }) => {
    const present = catalog.columns.get(`${table.name}.${name}`);
    if (present === type) return [];
    if (present !== undefined) {
      throw new Error(
        `column ${table.name}.${name} is ${present} but should be ${type}: a numbered migration must change it`,
      );
    }
    const column = table.columns.find((candidate) => candidate.name === name);
    return [{ description: `add column ${table.name}.${name}`, statements: addColumn(table, name, type, column) }];
  });
}

function columnSql(table: Table, column: Column): string {
  return `${identifier(column.name)} ${column.type}${table.schema.primary_key.includes(column.field) ? ' NOT NULL' : ''}`;
}

/** Rows that are already there get the schema's default, as if they had been written with it. */
function addColumn(table: Table, name: string, type: string, column: Column | undefined): string[] {
  const alter = `ALTER TABLE ${identifier(table.name)}`;
  if (column?.initial === undefined || column.initial === null)
    return [`${alter} ADD COLUMN ${identifier(name)} ${type}`];
  const record = literal(JSON.stringify({ v: column.initial }));
  const initial =
    type === 'text[]'
      ? `ARRAY(SELECT json_array_elements_text(${record}::json->'v'))`
      : type === 'json'
        ? `(${record}::json->'v')`
        : `(${record}::json->>'v')::${type}`;
  return [
    `${alter} ADD COLUMN ${identifier(name)} ${type}`,
    `UPDATE ${identifier(table.name)} SET ${identifier(name)} = ${initial}`,
  ];
}

function uniqueSteps(table: Table, catalog: Catalog): Step[] {
  const missing = table.uniques.filter(
    ({ constraint, caseless }) => !caseless && !catalog.constraints.has(`${table.name}.${constraint}`),
  );
  const steps = missing.map((unique) => ({
    description: `add constraint ${unique.constraint}`,
    statements: [
      `ALTER TABLE ${identifier(table.name)} ADD CONSTRAINT ${identifier(unique.constraint)} ${uniqueSql(unique)}`,
    ],
  }));
  // What rows of the same workspace are referred to by.
  const whole = `${table.name}_in_workspace`;
  if (table.workspaced && !catalog.constraints.has(`${table.name}.${whole}`)) {
    steps.push({
      description: `add constraint ${whole}`,
      statements: [
        `ALTER TABLE ${identifier(table.name)} ADD CONSTRAINT ${identifier(whole)} UNIQUE ("ws_id", ${identifier(table.key)})`,
      ],
    });
  }
  return [...steps, ...caselessSteps(table, catalog), ...outgrownCacheKeys(table, catalog)];
}

/** No constraint can be on an expression; what stood there when case counted would be in the way of nothing, and goes. */
function caselessSteps(table: Table, catalog: Catalog): Step[] {
  return table.uniques.flatMap((unique) => {
    if (!unique.caseless || catalog.indexes.has(`${table.name}.${unique.constraint}`)) return [];
    const former = `${table.name}_${unique.fields.join('_')}_unique`;
    const name = identifier(table.name);
    return [
      {
        description: `create unique index ${unique.constraint}`,
        statements: [
          `CREATE UNIQUE INDEX ${identifier(unique.constraint)} ON ${name} (${comparedColumns(unique)})`,
          `ALTER TABLE ${name} DROP CONSTRAINT IF EXISTS ${identifier(former)}`,
        ],
      },
    ];
  });
}

/** A cache key that gained a member leaves its narrower forerunner behind, which would still refuse rows. */
function outgrownCacheKeys(table: Table, catalog: Catalog): Step[] {
  const prefix = `${table.name}.${table.name}_cache_key_`;
  const current = new Set(table.uniques.map(({ constraint }) => `${table.name}.${constraint}`));
  const outgrown = [...catalog.constraints].filter((name) => name.startsWith(prefix) && !current.has(name));
  return outgrown.map((name) => {
    const constraint = name.slice(table.name.length + 1);
    return {
      description: `drop constraint ${constraint}`,
      statements: [`ALTER TABLE ${identifier(table.name)} DROP CONSTRAINT ${identifier(constraint)}`],
    };
  });
}

function uniqueSql(unique: Unique): string {
  const columns = unique.columns.map((column) => identifier(column)).join(', ');
  return `UNIQUE ${unique.nullsEqual ? 'NULLS NOT DISTINCT ' : ''}(${columns})`;
}

function referenceSteps(table: Table, tables: Tables, catalog: Catalog): Step[] {
  const steps = table.references.flatMap((reference) => {
    const parent = tables.get(reference.to);
    if (parent === undefined || catalog.constraints.has(`${table.name}.${reference.constraint}`)) return [];
    return [
      {
        description: `add constraint ${reference.constraint}`,
        statements: [
          `ALTER TABLE ${identifier(table.name)} ADD CONSTRAINT ${identifier(reference.constraint)} ${referenceSql(reference, parent)}`,
        ],
      },
    ];
  });
  const owner = `${table.name}_workspace`;
  if (table.workspaced && !catalog.constraints.has(`${table.name}.${owner}`)) {
    steps.push({
      description: `add constraint ${owner}`,
      statements: [
        `ALTER TABLE ${identifier(table.name)} ADD CONSTRAINT ${identifier(owner)} FOREIGN KEY ("ws_id") REFERENCES "workspaces" ("id")`,
      ],
    });
  }
  return steps;
}

function referenceSql(reference: Reference, parent: Table): string {
  const column = identifier(reference.column);
  const key = identifier(parent.key);
  const onDelete = {
    cascade: ' ON DELETE CASCADE',
    null: ` ON DELETE SET NULL (${column})`,
    restrict: '',
  }[reference.onDelete];
  return reference.sameWorkspace
    ? `FOREIGN KEY ("ws_id", ${column}) REFERENCES ${identifier(parent.name)} ("ws_id", ${key})${onDelete}`
    : `FOREIGN KEY (${column}) REFERENCES ${identifier(parent.name)} (${key})${onDelete}`;
}

function indexSteps(table: Table, catalog: Catalog): Step[] {
  const key = identifier(table.key);
  const wanted = [
    ...table.references.map(({ field, column }) => ({
      name: `${table.name}_${field}_index`,
      on: `(${identifier(column)}, ${key}) WHERE ${identifier(column)} IS NOT NULL`,
    })),
    ...table.columns
      .filter(({ field, type }) => field === 'tags' && type === 'text[]')
      .map(({ name }) => ({ name: `${table.name}_tags_index`, on: `USING gin (${identifier(name)})` })),
    ...(table.expires
      ? [{ name: `${table.name}_expires_index`, on: `("expires_at") WHERE "expires_at" IS NOT NULL` }]
      : []),
  ];
  return wanted
    .filter(({ name }) => !catalog.indexes.has(`${table.name}.${name}`))
    .map(({ name, on }) => ({
      description: `create index ${name}`,
      statements: [`CREATE INDEX ${identifier(name)} ON ${identifier(table.name)} ${on}`],
    }));
}

const LOGGED = [
  { event: 'INSERT', rows: 'NEW', operation: 'create' },
  { event: 'UPDATE', rows: 'NEW', operation: 'update' },
  { event: 'DELETE', rows: 'OLD', operation: 'delete' },
];

/** Rows that are there already are shared as if they had just been written. */
function sharingSteps(table: Table, fields: readonly string[], catalog: Catalog): Step[] {
  if (catalog.triggers.has(`${table.name}.share_row`)) return [];
  const name = identifier(table.name);
  const key = identifier(table.key);
  return [
    {
      description: `share the rows of ${table.name} with data planes`,
      statements: [
        `CREATE TRIGGER share_row AFTER INSERT OR UPDATE OR DELETE ON ${name}
          FOR EACH ROW EXECUTE FUNCTION share_row(${fields.map(literal).join(', ')})`,
        `UPDATE ${name} SET ${key} = ${key}`,
      ],
    },
  ];
}

function triggerSteps(table: Table, catalog: Catalog): Step[] {
  const { records } = table.schema;
  if (records !== undefined) return sharingSteps(table, records, catalog);
  if (!table.logged || table.key !== 'id') return [];
  return LOGGED.flatMap(({ event, rows, operation }) => {
    const name = `log_${operation}`;
    if (catalog.triggers.has(`${table.name}.${name}`)) return [];
    return [
      {
        description: `log every ${operation} of ${table.name}`,
        statements: [
          `CREATE TRIGGER ${name} AFTER ${event} ON ${identifier(table.name)}
          REFERENCING ${rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION log_changes(${literal(operation)})`,
        ],
      },
    ];
  });
}
