import { invalidOffset } from '../../shared/schema/errors.ts';
import { isUuid } from '../../shared/uuid.ts';
import { identifier, type Session, type SqlValue, type Statement } from './database.ts';
import { pageSize, pageToken, readPageToken } from './page-token.ts';
import { fromRecord } from './row-json.ts';
import { primaryKey } from './row-key.ts';
import { alive, keyColumnType, shownColumns } from './statements.ts';
import type { Page, PageQuery } from './store.ts';
import type { Table } from './table.ts';

/** One page of a table, by key (or newest first), never reading more than a page however large the table is. */
export async function readPage(session: Session, table: Table, workspace: string, query: PageQuery): Promise<Page> {
  const size = pageSize(query.size);
  const selection = selected(table, workspace, query);
  if (selection === undefined) return { rows: [] };
  return query.order === 'newest'
    ? newestPage(session, table, selection, size, query.offset)
    : keyedPage(session, table, selection, size, query.offset);
}

/** Conditions of a page, their values, and a name that is the same for the same text. */
interface Selection {
  readonly name: string;
  readonly conditions: readonly string[];
  readonly values: readonly SqlValue[];
}

/** Undefined when no stored row can match. */
function selected(table: Table, workspace: string, query: PageQuery): Selection | undefined {
  const name = [table.name];
  const conditions: string[] = [];
  const values: SqlValue[] = [];
  const add = (label: string, condition: (parameter: string) => string, value: SqlValue): void => {
    name.push(label);
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  if (table.workspaced) add('ws', (workspaceId) => `t."ws_id" = ${workspaceId}::uuid`, workspace);
  if (query.parent !== undefined) {
    const { field, id } = query.parent;
    const column = table.columns.find((candidate) => candidate.field === field);
    if (column === undefined) throw new TypeError(`${table.name} has no field '${field}'`);
    if (column.type === 'uuid' && !isUuid(id)) return undefined;
    add(field, (parent) => `t.${identifier(column.name)} = ${parent}`, id);
  }
  if (query.where !== undefined) {
    const { field, value } = query.where;
    if (typeof value !== 'string' || value.includes('\0')) return undefined;
    add(`where_${field}`, (wanted) => `t.${identifier(field)} = ${wanted}`, value);
  }
  if (query.tags !== undefined) {
    const operator = query.tags.mode === 'all' ? '@>' : '&&';
    if (query.tags.tags.some((tag) => tag.includes('\0'))) return undefined;
    add(`tags_${query.tags.mode}`, (tags) => `t."tags" ${operator} ${tags}::text[]`, query.tags.tags);
  }
  return { name: name.join('_'), conditions, values };
}

async function keyedPage(
  session: Session,
  table: Table,
  selection: Selection,
  size: number,
  offset: string | undefined,
): Promise<Page> {
  const key = identifier(table.key);
  const type = keyColumnType(table);
  const after = offset === undefined ? undefined : readPageToken(offset, 1, (id) => type !== 'uuid' || isUuid(id))[0];
  const values = [...selection.values, ...(after === undefined ? [] : [after]), size + 1];
  const conditions = [
    ...selection.conditions,
    ...(after === undefined ? [] : [`t.${key} > $${values.length - 1}::${type}`]),
  ];
  const statement: Statement = {
    name: `page_${after === undefined ? 'first' : 'next'}_${selection.name}`,
    text: `SELECT to_json(found) AS row FROM (SELECT ${shownColumns(table, 'left')} FROM ${identifier(table.name)} AS t
      WHERE ${conditions.join(' AND ') || 'true'}${alive(table)} ORDER BY t.${key} LIMIT $${values.length}::integer) AS found`,
  };
  const rows = (await session.query(statement, values)).map((answer) => fromRecord(table, answer));
  const last = rows[size - 1];
  if (rows.length <= size || last === undefined) return { rows };
  return { rows: rows.slice(0, size), offset: pageToken([primaryKey(table, last[table.key])]) };
}

/** Kong's list of an upstream's targets: newest first, and the token is a position. */
async function newestPage(
  session: Session,
  table: Table,
  selection: Selection,
  size: number,
  offset: string | undefined,
): Promise<Page> {
  if (offset !== undefined && !/^\d{1,9}$/.test(offset)) throw invalidOffset(offset, 'bad base64 encoding');
  const start = Number(offset ?? 0);
  const values = [...selection.values, size + 1, start];
  const statement: Statement = {
    name: `newest_${selection.name}`,
    text: `SELECT to_json(found) AS row FROM (SELECT ${shownColumns(table, 'left')} FROM ${identifier(table.name)} AS t
      WHERE ${selection.conditions.join(' AND ') || 'true'}${alive(table)} ORDER BY t."created_at" DESC, t.${identifier(table.key)} DESC
      LIMIT $${values.length - 1}::integer OFFSET $${values.length}::integer) AS found`,
  };
  const rows = (await session.query(statement, values)).map((answer) => fromRecord(table, answer));
  return rows.length <= size ? { rows } : { rows: rows.slice(0, size), offset: String(start + size) };
}
