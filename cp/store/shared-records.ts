import {
  LARGEST_PAGE,
  type RecordChange,
  type RecordOutcome,
  type RecordPage,
  type RecordPosition,
  type RecordWrite,
  type SharedRecord,
} from '../../shared/cluster/records.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { KongError, schemaViolation } from '../../shared/schema/errors.ts';
import { isUuid } from '../../shared/uuid.ts';
import type { Catalog } from './catalog.ts';
import { asSqlError, type Database, identifier, type Session, type SqlRow } from './database.ts';
import { CHANNELS, type Notifications } from './notifications.ts';
import { RecordRoom } from './record-room.ts';
import type { SharedRecords } from './store.ts';
import type { Table } from './table.ts';
import { workspaceOver } from './workspaces.ts';

/** Records in one page at most. */
const PAGE = 500;
/** Milliseconds between looks for changes, should a notification get lost. */
const POLL_INTERVAL = 5_000;

const ALIVE = 'value IS NOT NULL AND (expires_at IS NULL OR expires_at > now())';
const SHOWN = 'value, floor(extract(epoch FROM expires_at) * 1000)::double precision AS until';

/** What data planes share. */
export function sharedRecords(database: Database, catalog: Catalog, notifications: Notifications): SharedRecords {
  const room = new RecordRoom(database);
  return {
    async apply(node, changes) {
      const spaces = await room.of(node);
      return database.transaction(async (over) => {
        await over.query(`SELECT set_config('holdfast.node', $1, true)`, [node]);
        const outcomes: RecordOutcome[] = [];
        let left = LARGEST_PAGE;
        for (const change of changes) {
          const outcome: RecordOutcome = left < 0 ? { outcome: 'later' } : await applyOne(change, over);
          left -= Buffer.byteLength(JSON.stringify(outcome));
          outcomes.push(outcome);
        }
        return outcomes;
      });

      async function applyOne(change: RecordChange, over: Session): Promise<RecordOutcome> {
        const written = change.does === 'put' || change.does === 'add';
        if (written && !spaces.take(Buffer.byteLength(JSON.stringify(change.value)))) {
          return { outcome: 'refused', reason: spaces.full };
        }
        const at = backing(catalog, change.collection);
        try {
          return await over.transaction((inside) =>
            at === null ? applyPlain(change, inside) : applyToRow(change, at, catalog, inside),
          );
        } catch (error) {
          if (error instanceof KongError) return { outcome: 'refused', reason: error.message };
          // What a value cannot be (class 22) and what the tables forbid (23): any other failure is the database's own.
          const refusal = asSqlError(error);
          if (refusal === undefined || !/^2[23]/.test(refusal.code)) throw error;
          return { outcome: 'refused', reason: refusal.message };
        }
      }
    },

    position: () => positionOf(database),

    after: (known) =>
      database.snapshot(async (session) => {
        const [state] = await session.query(
          `SELECT records_log AS log, records::double precision AS newest, records_floor::double precision AS floor
           FROM config_serial`,
        );
        const [log, newest, floor] = [String(state?.log), Number(state?.newest), Number(state?.floor)];
        const goesOn = known !== null && known.log === log && known.number >= floor && known.number <= newest;
        const after = goesOn ? known.number : 0;
        const rows = await session.query(
          {
            name: 'records_after',
            text: `SELECT collection, key, number::double precision AS number, ${SHOWN} FROM shared_records
              WHERE number > $1::bigint AND (expires_at IS NULL OR expires_at > now()) ORDER BY number LIMIT ${PAGE}`,
          },
          [after],
        );
        return pageOf(rows, after, { log, number: newest });
      }),

    subscribe(onChange) {
      let seen = '';
      const look = async (): Promise<void> => {
        const { log, number } = await positionOf(database);
        if (seen !== `${log} ${number}`) onChange();
        seen = `${log} ${number}`;
      };
      const stop = notifications.subscribe(CHANNELS.records, () => onChange());
      // A database that cannot be reached is no news, and wakes everyone when it is back.
      const timer = database.concurrent ? setInterval(() => void look().catch(() => undefined), POLL_INTERVAL) : null;
      timer?.unref();
      return () => {
        stop();
        if (timer !== null) clearInterval(timer);
      };
    },
  };
}

async function positionOf(session: Session): Promise<RecordPosition> {
  const [row] = await session.query({
    name: 'records_position',
    text: 'SELECT records_log AS log, records::double precision AS number FROM config_serial',
  });
  return { log: String(row?.log), number: Number(row?.number) };
}

/** As many rows as fit into one order, at least one. */
function pageOf(rows: readonly SqlRow[], after: number, newest: RecordPosition): RecordPage {
  const records: SharedRecord[] = [];
  let bytes = 0;
  let last = newest.number;
  for (const row of rows) {
    const record = { collection: String(row.collection), key: String(row.key), ...shownOf(row) };
    bytes += Buffer.byteLength(JSON.stringify(record));
    if (records.length > 0 && bytes > LARGEST_PAGE) break;
    records.push(record);
    last = Number(row.number);
  }
  const more = records.length < rows.length || rows.length === PAGE;
  return { after, position: { log: newest.log, number: more ? last : newest.number }, records, more };
}

function shownOf({ value, until }: SqlRow): { value: unknown; until: number | null } {
  return { value: value ?? null, until: typeof until === 'number' ? until : null };
}

async function applyPlain(change: RecordChange, session: Session): Promise<RecordOutcome> {
  const { does, collection, key } = change;
  switch (does) {
    case 'put':
      await session.query(PUT, [collection, key, JSON.stringify(change.value), change.until]);
      return { outcome: 'done' };
    case 'add': {
      const there = await find(collection, key, session, 'FOR UPDATE');
      if (there !== null) return { outcome: 'done', found: there };
      const [added] = await session.query(ADD, [collection, key, JSON.stringify(change.value), change.until]);
      // Somebody else was faster.
      return { outcome: 'done', found: added === undefined ? await find(collection, key, session) : null };
    }
    case 'get':
      return { outcome: 'done', found: await find(collection, key, session) };
    case 'delete':
    case 'take': {
      const found = await find(collection, key, session, 'FOR UPDATE');
      if (found !== null) {
        await session.query(
          `UPDATE shared_records SET value = NULL, number = NULL, changed_at = now() WHERE collection = $1 AND key = $2`,
          [collection, key],
        );
      }
      return does === 'take' ? { outcome: 'done', found } : { outcome: 'done' };
    }
  }
}

const WRITTEN = `put_shared_record($1, $2, $3::jsonb, to_timestamp($4::double precision / 1000))`;
const PUT = `SELECT ${WRITTEN}`;
const ADD = `INSERT INTO shared_records AS t (collection, key, value, expires_at, node)
  VALUES ($1, $2, $3::jsonb, to_timestamp($4::double precision / 1000), current_setting('holdfast.node')::uuid)
  ON CONFLICT (collection, key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at,
    node = EXCLUDED.node, number = NULL, changed_at = now()
  WHERE t.value IS NULL OR t.expires_at <= now() RETURNING 1 AS added`;

async function find(collection: string, key: string, session: Session, lock: '' | 'FOR UPDATE' = '') {
  const [row] = await session.query(
    { text: `SELECT ${SHOWN} FROM shared_records WHERE collection = $1 AND key = $2 AND ${ALIVE} ${lock}` },
    [collection, key],
  );
  return row === undefined ? null : shownOf(row);
}

/** An entity whose rows the records of a collection are. */
interface Backing {
  readonly table: Table;
  /** It is the collection in which rows are written; in the others they are only found. */
  readonly writes: boolean;
}

function backing(catalog: Catalog, collection: string): Backing | null {
  const [entity = '', field = ''] = collection.split('.');
  const table = catalog.tables.get(entity);
  const place = table?.schema.records?.indexOf(field) ?? -1;
  return table === undefined || place < 0 ? null : { table, writes: place === 0 };
}

/** Records whose rows stand in a table of their own follow from that table by its trigger. */
async function applyToRow(
  change: RecordChange,
  { table, writes }: Backing,
  catalog: Catalog,
  session: Session,
): Promise<RecordOutcome> {
  const { does, collection, key } = change;
  if (does === 'get') return { outcome: 'done', found: await find(collection, key, session) };
  if (does === 'put' || does === 'add') {
    const there = does === 'add' ? await find(collection, key, session) : null;
    if (there !== null) return { outcome: 'done', found: there };
    if (writes) await writeRow(change, table, catalog, session);
    return { outcome: 'done', ...(does === 'add' && { found: null }) };
  }
  const found = await find(collection, key, session, 'FOR UPDATE');
  const id = isRecord(found?.value) ? String(found.value.id) : '';
  if (isUuid(id)) await session.query(`DELETE FROM ${identifier(table.name)} WHERE "id" = $1::uuid`, [id]);
  return does === 'take' ? { outcome: 'done', found } : { outcome: 'done' };
}

/** Checked like any row that is written through the Admin API: what a data plane says is taken for no more. */
async function writeRow(
  { value, until }: RecordWrite,
  table: Table,
  catalog: Catalog,
  session: Session,
): Promise<void> {
  const said = isRecord(value) ? value : {};
  const input: Row = {};
  for (const { name, field } of table.columns) {
    const given = said[name];
    if (given === undefined || given === null) continue;
    input[field] = name === field ? given : { id: given };
  }
  const { id, ws_id: workspace } = said;
  if (!isUuid(String(id)) || (table.workspaced && !isUuid(String(workspace)))) {
    throw schemaViolation({ id: `a row of ${table.name} has an id and a workspace` });
  }
  const ttl = until === null ? 0 : Math.max(1, Math.ceil((until - Date.now()) / 1000));
  const place = workspaceOver(catalog, session, { id: String(workspace), name: String(workspace) });
  await place.entity(table.name).upsert({ id: String(id) }, input, { ttl });
}
