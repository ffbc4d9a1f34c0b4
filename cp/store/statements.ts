import { tellAuthor } from './author.ts';
import { identifier, type Statement } from './database.ts';
import type { Table, Unique } from './table.ts';

/**
 * The SQL of one table. Rows go in as JSON arrays and come out as JSON objects, so that PostgreSQL's own casts do the
 * conversion for both drivers, and one prepared text serves one row or five hundred.
 *
 * Parameters: `$1` the rows or the key, `$2` the workspace id where rows have one, and behind them, where rows are written, the
 * author (`authorText`), who must be known in the transaction that the statement may be of its own.
 */
export interface Statements {
  readonly insert: Statement;
  readonly update: Statement;
  /** PUT by primary key. Gives no row when the key is taken by another workspace. */
  readonly upsert: Statement;
  readonly select: Statement;
  readonly selectLocked: Statement;
  /** `$1` keys. */
  readonly selectMany: Statement;
  /** `$1` rows, of which the key and what they are unique by is enough. */
  readonly related: Statement;
  readonly delete: Statement;
  /** `$1` keys. */
  readonly deleteMany: Statement;
  /** `$1` keys; without author. Leaves of each row nothing another could clash with; one that is nothing but a pair of references goes. */
  readonly vacate: Statement;
  /** PUT by a unique field: a row found keeps its key. */
  upsertBy(unique: Unique): Statement;
  selectBy(field: string): Statement;
  /** `$1` keys, all workspaces; with `ws_id`, and `ttl` as the absolute time. */
  readonly export: Statement;
  /** `$1` the key to continue after or null, `$2` rows at most; otherwise the same. */
  readonly exportPage: Statement;
}

/** The SQL of one table, written once; `catalogOf` keeps it. */
export function statementsFor(table: Table): Statements {
  const name = identifier(table.name);
  const key = identifier(table.key);
  const keyType = keyColumnType(table);
  const workspace = table.workspaced ? ['"ws_id"'] : [];
  const columns = table.columns.map((column) => identifier(column.name));
  const written = [...workspace, ...columns, ...(table.expires ? ['"expires_at"'] : [])];
  const shown = shownColumns(table, 'left');
  const here = `${table.workspaced ? ' AND t."ws_id" = $2::uuid' : ''}${alive(table)}`;

  const given = `json_array_elements($1::json) AS entry(value)
    CROSS JOIN LATERAL json_populate_record(NULL::${name}, entry.value) AS given`;
  const values = [
    ...(table.workspaced ? ['$2::uuid'] : []),
    ...columns.map((column) => `given.${column}`),
    ...(table.expires ? [`now() + make_interval(secs => (entry.value->>'ttl')::double precision)`] : []),
  ];
  const insertion = `INSERT INTO ${name} AS t (${written.join(', ')}) SELECT ${values.join(', ')} FROM ${given}`;
  const author = `(SELECT ${tellAuthor(table.workspaced ? 3 : 2)}) AS author`;
  const returning = (statement: string) =>
    `WITH written AS (${statement} RETURNING ${shown}) SELECT to_json(written) AS row FROM written, ${author}`;
  const deleting = (condition: string) =>
    `WITH gone AS (DELETE FROM ${name} AS t WHERE ${condition}${here} RETURNING 1) SELECT 1 AS gone FROM gone, ${author}`;
  const replacing = (except: readonly string[]) =>
    written
      .filter((column) => !except.includes(column))
      .map((column) => `${column} = EXCLUDED.${column}`)
      .join(', ');
  const kept = [key, '"ws_id"'];
  const read = (condition: string, tail = '') =>
    `SELECT to_json(found) AS row FROM (SELECT ${shown} FROM ${name} AS t WHERE ${condition}${tail}) AS found`;
  const exported = [...workspace.map((column) => `t.${column}`), shownColumns(table, 'absolute')].join(', ');
  const whole = (condition: string, tail = '') =>
    `SELECT to_json(found) AS row FROM (SELECT ${exported} FROM ${name} AS t WHERE ${condition}${alive(table)}${tail}) AS found`;

  const by = new Map<string, Statement>();
  const prepared = (kind: string, text: () => string): Statement => {
    const label = `${kind}_${table.name}`;
    const known = by.get(label) ?? { name: label, text: text() };
    by.set(label, known);
    return known;
  };

  return {
    insert: prepared('insert', () => returning(insertion)),
    update: prepared('update', () =>
      returning(`UPDATE ${name} AS t SET ${updates(table)} FROM ${given}
        WHERE t.${key} = given.${key}${table.workspaced ? ' AND t."ws_id" = $2::uuid' : ''}`),
    ),
    upsert: prepared('upsert', () =>
      returning(
        `${insertion} ON CONFLICT (${key}) DO UPDATE SET ${replacing(kept)}${table.workspaced ? ' WHERE t."ws_id" = $2::uuid' : ''}`,
      ),
    ),
    select: prepared('select', () => read(`t.${key} = $1::${keyType}${here}`)),
    selectLocked: prepared('lock', () => read(`t.${key} = $1::${keyType}${here}`, ' FOR NO KEY UPDATE')),
    selectMany: prepared('select_many', () => read(`t.${key} = ANY ($1::${keyType}[])${here}`)),
    related: prepared('related', () => read(`t.${key} IN (${relatedKeys(table, given)})${here}`)),
    delete: prepared('delete', () => deleting(`t.${key} = $1::${keyType}`)),
    deleteMany: prepared('delete_many', () => deleting(`t.${key} = ANY ($1::${keyType}[])`)),
    vacate: prepared('vacate', () => {
      const condition = `t.${key} = ANY ($1::${keyType}[])${table.workspaced ? ' AND t."ws_id" = $2::uuid' : ''}`;
      const vacated = vacatedColumns(table);
      if (vacated === null) return `DELETE FROM ${name} AS t WHERE ${condition}`;
      const emptied = vacated.map((column) => `${identifier(column)} = 'vacated by ' || t.${key}`);
      return `UPDATE ${name} AS t SET ${emptied.join(', ')} WHERE ${condition}`;
    }),
    upsertBy: (unique) =>
      prepared(`upsert_${unique.constraint}`, () =>
        returning(
          `${insertion} ON CONFLICT (${comparedColumns(unique)}) DO UPDATE SET ${replacing([...kept, ...unique.columns.map(identifier)])}${
            table.workspaced ? ' WHERE t."ws_id" = $2::uuid' : ''
          }`,
        ),
      ),
    selectBy: (field) => {
      const caseless = table.uniques.some((unique) => unique.caseless && unique.fields.includes(field));
      const condition = caseless ? `lower(t.${identifier(field)}) = lower($1)` : `t.${identifier(field)} = $1`;
      return prepared(`select_by_${field}`, () => read(`${condition}${here}`));
    },
    export: prepared('export', () => whole(`t.${key} = ANY ($1::${keyType}[])`)),
    exportPage: prepared('export_page', () =>
      whole(`($1::${keyType} IS NULL OR t.${key} > $1)`, ` ORDER BY t.${key} LIMIT $2::integer`),
    ),
  };
}

/** The columns of a unique constraint as they are compared. */
export function comparedColumns({ columns, caseless }: Unique): string {
  const last = columns.length - 1;
  return columns
    .map((name, i) => (caseless && i === last ? `lower(${identifier(name)})` : identifier(name)))
    .join(', ');
}

/** The keys of rows that have one's key, or something that it is unique by: by the index of each constraint. */
function relatedKeys(table: Table, given: string): string {
  const name = identifier(table.name);
  const key = identifier(table.key);
  const sources = table.uniques.map(({ columns, nullsEqual, caseless }) => {
    const demands = columns.map((plain, place) => {
      const column = identifier(plain);
      if (plain === 'ws_id') return 'other."ws_id" = $2::uuid';
      if (caseless && place === columns.length - 1) return `lower(other.${column}) = lower(given.${column})`;
      const equal = `other.${column} = given.${column}`;
      return nullsEqual ? `(${equal} OR other.${column} IS NULL AND given.${column} IS NULL)` : equal;
    });
    return `SELECT other.${key} FROM ${given} JOIN ${name} AS other ON ${demands.join(' AND ')}`;
  });
  return [`SELECT given.${key} FROM ${given}`, ...sources].join(' UNION ');
}

/** The type a key parameter is cast to. */
export function keyColumnType(table: Table): string {
  return table.columns.find((column) => column.field === table.key)?.type ?? 'uuid';
}

/** Leaves out rows whose time is up. */
export function alive(table: Table): string {
  return table.expires ? ' AND (t."expires_at" IS NULL OR t."expires_at" > now())' : '';
}

/** `left`: `ttl` as the whole seconds that remain; `absolute`: as Unix seconds, the same at every reading. */
export function shownColumns(table: Table, ttl: 'left' | 'absolute'): string {
  const columns = table.columns.map((column) => `t.${identifier(column.name)}`);
  if (!table.expires) return columns.join(', ');
  const seconds =
    ttl === 'left'
      ? // Time runs on while an answer is on its way: Kong too shows a new row with one second less than was asked for.
        '(ceil(extract(epoch FROM t."expires_at" - now())) - 1)::bigint'
      : 'floor(extract(epoch FROM t."expires_at"))::bigint';
  return [...columns, `${seconds} AS "ttl"`].join(', ');
}

/** A column of text in each unique constraint, which can hold anything; null where there is one without such a column. */
function vacatedColumns({ columns, uniques }: Table): string[] | null {
  const texts = new Set(columns.filter(({ type }) => type === 'text').map(({ name }) => name));
  const vacated = uniques.map((unique) => unique.columns.find((column) => texts.has(column)));
  const found = vacated.filter((column) => column !== undefined);
  return found.length < vacated.length || found.length === 0 ? null : [...new Set(found)];
}

/** A `ttl` left out of an update leaves the row's time as it is. */
function updates(table: Table): string {
  const columns = table.columns
    .filter((column) => column.field !== table.key)
    .map((column) => `${identifier(column.name)} = given.${identifier(column.name)}`);
  if (!table.expires) return columns.join(', ');
  const time = `"expires_at" = CASE WHEN json_typeof(entry.value->'ttl') IS NULL THEN t."expires_at"
    ELSE now() + make_interval(secs => (entry.value->>'ttl')::double precision) END`;
  return [...columns, time].join(', ');
}
