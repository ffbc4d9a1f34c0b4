import { queryOptions } from '@tanstack/react-query';
import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { read, readAll, readTagged } from '../admin/client.ts';
import { liveInterval } from '../admin/live.ts';
import { collectionPath, type Kind, kindByField, kindBySlug, referredId } from './kinds.ts';
import { type FormField, fieldsOf } from './schema.ts';
import type { EntityRow } from './text-forms.ts';

/** More rows than this are not read into a list: they are found by name, id or tag. */
export const MOST = 20_000;

const scopeOf = (kind: Kind): 'workspace' | 'cluster' => (kind.cluster === true ? 'cluster' : 'workspace');

/** The rows of a kind, with a tag if one is asked for. */
export const rowsQuery = (slug: string, tags = '') =>
  queryOptions({
    queryKey: ['entities', slug, 'list', tags],
    async queryFn({ signal }) {
      const kind = kindBySlug(slug);
      if (kind === undefined) return { rows: [], complete: true };
      const path = `/${slug}${tags === '' ? '' : `?tags=${encodeURIComponent(tags)}`}`;
      const rows = await readAll<Row>(path, scopeOf(kind), signal, MOST);
      return { rows, complete: rows.length < MOST };
    },
    refetchInterval: liveInterval(15_000),
  });

/** Rows of a part of another row, as the routes of a service. */
export const partsQuery = (slug: string, id: string, path: string) =>
  queryOptions({
    queryKey: ['entities', slug, 'parts', id, path],
    queryFn: ({ signal }) => readAll<Row>(`/${slug}/${encodeURIComponent(id)}/${path}`, 'workspace', signal, MOST),
    refetchInterval: liveInterval(15_000),
  });

/** One row; `parent` is the id of the row it is under, where rows of its kind are under others. */
export const rowQuery = (kind: Kind, id: string, parent?: string) =>
  queryOptions({
    queryKey: ['entities', kind.slug, 'row', id],
    queryFn: ({ signal }) => readRow(kind, id, parent, signal),
    refetchInterval: liveInterval(5_000),
  });

async function readRow(kind: Kind, id: string, parent?: string, signal?: AbortSignal): Promise<Row> {
  return rowIn(kind, await read<Row>(rowPath(kind, id, parent), scopeOf(kind), signal));
}

/** A row after all that it refers to, and that these refer to, each once. */
export async function rowsReferred(kind: Kind, row: Readonly<Row>): Promise<readonly EntityRow[]> {
  const rows = new Map<string, EntityRow>();
  for (const [field, value] of Object.entries(row)) {
    const id = referredId(value);
    const of = id === null ? undefined : kindByField(field);
    if (id === null || of === undefined) continue;
    for (const one of await rowsReferred(of, await readRow(of, id))) rows.set(String(one.row.id), one);
  }
  return [...rows.values(), { entity: kind.name, row }];
}

/** A row as it is now, with the tag by which a write can say that it is a change of this. */
export async function readForWrite(
  kind: Kind,
  id: string,
  parent?: string,
): Promise<{ readonly row: Row; readonly tag: string | null }> {
  const { body, tag } = await readTagged<Row>(rowPath(kind, id, parent), scopeOf(kind));
  return { row: rowIn(kind, body), tag };
}

function rowPath(kind: Kind, id: string, parent?: string): string {
  const within = kind.under === undefined || parent === undefined ? {} : { [kind.under.field]: { id: parent } };
  const path = collectionPath(kind, within);
  if (path === null) throw new Error(`a ${kind.singular} is found by its ${kind.under?.field}`);
  const members = kind.name === 'consumer_groups' ? '?list_consumers=false' : '';
  return `${path}/${encodeURIComponent(id)}${members}`;
}

/** A consumer group is read with its members, and then stands beside them. */
const rowIn = (kind: Kind, body: Row): Row =>
  kind.name === 'consumer_groups' ? { ...recordOrEmpty(body.consumer_group) } : body;

/** What the control plane fills in, and nobody writes. */
const BOOKKEEPING = new Set(['id', 'created_at', 'updated_at']);

/** The fields of a form; of plugins and vaults with those of the one that is named. */
export const fieldsQuery = (kind: Kind, named: string | null) =>
  queryOptions({
    queryKey: ['schema', kind.name, named],
    async queryFn({ signal }): Promise<readonly FormField[]> {
      const own = fieldsOf(await read<unknown>(`/schemas/${kind.name}?extensions=true`, 'cluster', signal));
      const most = own.filter(({ name }) => !BOOKKEEPING.has(name));
      if (named === null || (kind.name !== 'plugins' && kind.name !== 'vaults')) return most;
      const printed = await read<unknown>(
        `/schemas/${kind.name}/${encodeURIComponent(named)}?extensions=true`,
        'cluster',
        signal,
      );
      const special = new Map(fieldsOf(printed).map((field) => [field.name, field]));
      const barred = barredIn(printed);
      return most // Which kind of vault it is has been settled before.
        .filter(({ name }) => !barred.has(name) && (kind.name !== 'vaults' || name !== 'name'))
        .map((field) => special.get(field.name) ?? field);
    },
    staleTime: 5 * 60_000,
  });

/** Fields that a plugin lets nobody set: those that must be null. */
function barredIn(printed: unknown): ReadonlySet<string> {
  const fields = isRecord(printed) && Array.isArray(printed.fields) ? printed.fields.filter(isRecord) : [];
  const entries = fields.flatMap((field) => Object.entries(field));
  return new Set(
    entries.filter(([, rules]) => isRecord(rules) && 'eq' in rules && rules.eq === null).map(([name]) => name),
  );
}
