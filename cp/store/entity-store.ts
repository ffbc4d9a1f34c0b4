import type { Row } from '../../shared/record.ts';
import {
  type Context,
  completeInsert,
  completeUpdate,
  completeUpsert,
  shapeFor,
} from '../../shared/schema/complete.ts';
import { deprecationNotices } from '../../shared/schema/deprecated.ts';
import { invalidOptions, notFound, primaryKeyViolation, uniqueViolation } from '../../shared/schema/errors.ts';
import { authorText } from './author.ts';
import type { Behaviour, Write } from './behaviours/behaviour.ts';
import { behaviours } from './behaviours/registry.ts';
import type { Catalog } from './catalog.ts';
import type { Session, SqlValue, Statement } from './database.ts';
import { resolveReferences } from './foreign-references.ts';
import { readPage } from './page.ts';
import { fromRecord, toRecord } from './row-json.ts';
import { keyFields, primaryKey } from './row-key.ts';
import { RowChanged, rowTag } from './row-tag.ts';
import type { EntityStore, RowKey, Workspace, WriteOptions } from './store.ts';
import type { Table } from './table.ts';
import { refuseCrowding, refuseUntravelling } from './travel-size.ts';
import { refusedDelete, refusedWrite } from './violations.ts';

/** Kong's bound on `ttl`, in seconds: a little over three years. */
const LONGEST_TTL = 100_000_000;
const BATCH = 500;

/** Where an entity store works: over one session, on the rows of one workspace. */
interface Place {
  readonly catalog: Catalog;
  readonly session: Session;
  readonly workspace: Workspace;
  /** The same workspace over a session inside a transaction. */
  within(session: Session): Workspace;
}

/** The rows of one entity in one workspace, as `EntityStore` promises them. */
export function entityStore(place: Place, table: Table): EntityStore {
  const { catalog, session, workspace } = place;
  const statements = catalog.statements(table);
  const behaviour: Behaviour = behaviours[table.name] ?? {};

  /** Statements take the workspace only where rows have one. */
  const scoped = (value: SqlValue): SqlValue[] => (table.workspaced ? [value, workspace.id] : [value]);
  const signed = (value: SqlValue): SqlValue[] => [...scoped(value), authorText()];

  const shown = async (rows: readonly Row[], over: Session): Promise<Row[]> =>
    behaviour.afterRead === undefined ? [...rows] : behaviour.afterRead(rows, over);

  async function find(key: RowKey, over: Session, lock = false): Promise<Row | null> {
    const rows =
      'id' in key
        ? await over.query(lock ? statements.selectLocked : statements.select, scoped(primaryKey(table, key.id)))
        : key.value.includes('\0')
          ? []
          : await over.query(statements.selectBy(key.field), scoped(key.value));
    return rows[0] === undefined ? null : fromRecord(table, rows[0]);
  }

  /** Sends complete rows; what the database refuses is told in terms of the row. */
  async function store(statement: Statement, rows: readonly Timed[], over: Session): Promise<Row[]> {
    const records = rows.map(({ row, ttl }) => ({ ...toRecord(table, row), ...(ttl === undefined ? {} : { ttl }) }));
    const text = JSON.stringify(records);
    refuseUntravelling(table, records, text);
    await refuseCrowding(table, records, over);
    try {
      const stored = await over.query(statement, signed(text));
      return stored.map((answer) => fromRecord(table, answer));
    } catch (error) {
      const [only] = rows;
      if (rows.length !== 1 || only === undefined) throw error;
      throw refusedWrite(error, table, only.row, workspace.name) ?? error;
    }
  }

  /** Runs a write that also touches other rows in a transaction, and any other as the single statement it is. */
  function writing(input: Row, work: (over: Session) => Promise<Row>): Promise<Row> {
    const whole = behaviour.afterWrite !== undefined || behaviour.binds?.(input) === true;
    return whole ? session.transaction(work) : work(session);
  }

  async function contextOf(rows: readonly Row[], over: Session, context: Context = catalog.context): Promise<Context> {
    return behaviour.context === undefined ? context : behaviour.context(context, rows, over);
  }

  async function resolved(input: Row, over: Session): Promise<Row> {
    return resolveReferences(input, table, catalog, over, workspace.id);
  }

  function warnOfDeprecated(rows: readonly { readonly row: Row; readonly input: Row }[], context: Context): void {
    const notices = rows.flatMap(({ row, input }) => {
      const kind = row[table.schema.subschema_key ?? ''];
      const subject = typeof kind === 'string' ? kind : table.name;
      return deprecationNotices(subject, shapeFor(table.schema, row, context), row, input);
    });
    for (const notice of new Set(notices)) catalog.warn(notice);
  }

  async function before(row: Row, write: Write): Promise<Row> {
    return behaviour.beforeWrite === undefined ? row : behaviour.beforeWrite(row, write);
  }

  async function after(stored: Row, write: Write): Promise<Row> {
    return behaviour.afterWrite === undefined ? stored : behaviour.afterWrite(stored, write);
  }

  const writeOf = (
    operation: Write['operation'],
    input: Row,
    over: Session,
    { current = null, bulk = false }: { current?: Row | null; bulk?: boolean } = {},
  ): Write => ({
    operation,
    catalog,
    bulk,
    input,
    current,
    session: over,
    workspace: over === session ? workspace : place.within(over),
  });

  /** Refuses a write to a row that is not what it was taken for. `current`: the row, locked; null: there is none. */
  async function expect(current: Row | null, options: WriteOptions | undefined, over: Session): Promise<void> {
    if (options?.expected === undefined) return;
    const [row] = current === null ? [] : await shown([current], over);
    if (row === undefined || (options.expected !== '*' && !options.expected.includes(rowTag(row))))
      throw new RowChanged();
  }

  async function locked(key: RowKey, over: Session): Promise<Row | null> {
    const id = 'id' in key ? key.id : (await find(key, over))?.[table.key];
    return id === undefined ? null : find({ id: String(id) }, over, true);
  }

  async function insertOne(given: Row, options: WriteOptions | undefined, over: Session): Promise<Row> {
    const { input: taken, ttl } = takeTtl(table, given, options);
    const input = await resolved(taken, over);
    const write = writeOf('insert', input, over);
    const context = await contextOf([input], over);
    const row = await before(await completeInsert(table.schema, input, context), write);
    const [stored] = await store(statements.insert, [{ row, ttl }], over);
    warnOfDeprecated([{ row, input }], context);
    return after(stored ?? row, write);
  }

  async function upsertOne(key: RowKey, given: Row, options: WriteOptions | undefined, over: Session): Promise<Row> {
    const { input: taken, ttl } = takeTtl(table, given, options);
    const { [table.key]: _ignored, ...rest } = await resolved(taken, over);
    const input = 'id' in key ? rest : { ...rest, [key.field]: key.value };
    const existing = 'id' in key ? { [table.key]: primaryKey(table, key.id) } : null;
    const write = writeOf('upsert', input, over);
    const context = await contextOf([input], over);
    const row = await before(await completeUpsert(table.schema, input, existing, context), write);
    const statement = 'id' in key ? statements.upsert : statements.upsertBy(uniqueOf(table, key.field));
    const [stored] = await store(statement, [{ row, ttl: ttl ?? null }], over);
    if (stored === undefined) throw takenElsewhere(table, key);
    warnOfDeprecated([{ row, input }], context);
    return after(stored, write);
  }

  async function updateOne(key: RowKey, given: Row, options: WriteOptions | undefined, over: Session): Promise<Row> {
    const { input: taken, ttl } = takeTtl(table, given, options);
    const current = await locked(key, over);
    if (current === null) throw notFound(keyFields(table, key));
    await expect(current, options, over);
    const { [table.key]: _ignored, ...input } = await resolved(taken, over);
    const write = writeOf('update', input, over, { current });
    const { ttl: _left, ...existing } = current;
    const context = await contextOf([{ ...existing, ...input }], over);
    const row = await before(await completeUpdate(table.schema, input, existing, context), write);
    const [stored] = await store(statements.update, [{ row, ttl }], over);
    if (stored === undefined) throw notFound(keyFields(table, key));
    warnOfDeprecated([{ row, input }], context);
    return after(stored, write);
  }

  async function writeMany(inputs: readonly Row[], replace: boolean, context: Context): Promise<Row[]> {
    const written: Row[] = [];
    await session.transaction(async (over) => {
      for (let start = 0; start < inputs.length; start += BATCH) {
        written.push(...(await writeBatch(inputs.slice(start, start + BATCH), replace, context, over)));
      }
    });
    return written;
  }

  async function writeBatch(inputs: readonly Row[], replace: boolean, given: Context, over: Session): Promise<Row[]> {
    const context = await contextOf(inputs, over, given);
    const writes: Write[] = [];
    const rows: Timed[] = [];
    for (const row of inputs) {
      const { input: taken, ttl } = takeTtl(table, row, undefined);
      const input = await resolved(taken, over);
      const write = writeOf(replace ? 'upsert' : 'insert', input, over, { bulk: true });
      const complete = await before(await completeInsert(table.schema, input, context), write);
      writes.push(write);
      rows.push({ row: complete, ttl });
    }
    const statement = replace ? statements.upsert : statements.insert;
    const stored = await storeAll(statement, rows, over);
    if (stored.length < rows.length)
      throw primaryKeyViolation(keyFields(table, { id: missingKey(table, rows, stored) }));
    warnOfDeprecated(
      rows.map(({ row }, at) => ({ row, input: writes[at]?.input ?? row })),
      context,
    );
    if (behaviour.afterWrite === undefined) return stored;
    const shownRows: Row[] = [];
    for (const [index, row] of stored.entries()) {
      const write = writes[index];
      shownRows.push(write === undefined ? row : await after(row, write));
    }
    return shownRows;
  }

  /** A batch that is refused is gone through row by row, to say which row it was. */
  async function storeAll(statement: Statement, rows: readonly Timed[], over: Session): Promise<Row[]> {
    try {
      return await over.transaction((batch) => store(statement, rows, batch));
    } catch (error) {
      if (rows.length === 1) throw error;
      const stored: Row[] = [];
      for (const row of rows) stored.push(...(await store(statement, [row], over)));
      return stored;
    }
  }

  return {
    async page(query = {}) {
      const page = await readPage(session, table, workspace.id, query);
      return { ...page, rows: await shown(page.rows, session) };
    },
    async select(key) {
      const row = await find(key, session);
      return row === null ? null : ((await shown([row], session))[0] ?? null);
    },
    async selectMany(ids) {
      const keys = ids.map((id) => primaryKey(table, id));
      const found = new Map<unknown, Row>();
      for (const answer of await session.query(statements.selectMany, scoped(keys))) {
        const row = fromRecord(table, answer);
        found.set(row[table.key], row);
      }
      const rows = keys.map((id) => found.get(id)).filter((row) => row !== undefined);
      return shown(rows, session);
    },
    async related(rows) {
      const compared = new Set([table.key, ...table.uniques.flatMap(({ columns }) => columns)]);
      const found = new Map<unknown, Row>();
      for (let start = 0; start < rows.length; start += BATCH) {
        const records = rows.slice(start, start + BATCH).map((row) => {
          const entries = Object.entries(toRecord(table, row)).filter(([column]) => compared.has(column));
          return Object.fromEntries(entries);
        });
        for (const answer of await session.query(statements.related, scoped(JSON.stringify(records)))) {
          const row = fromRecord(table, answer);
          found.set(row[table.key], row);
        }
      }
      return shown([...found.values()], session);
    },
    insert: (input, options) => writing(input, (over) => insertOne(input, options, over)),
    update: (key, input, options) => session.transaction((over) => updateOne(key, input, options, over)),
    upsert: (key, input, options) =>
      options?.expected === undefined
        ? writing(input, (over) => upsertOne(key, input, options, over))
        : session.transaction(async (over) => {
            await expect(await locked(key, over), options, over);
            return upsertOne(key, input, options, over);
          }),
    insertMany: (inputs) => writeMany(inputs, false, catalog.context),
    upsertMany: (inputs, { verbatim = false } = {}) => writeMany(inputs, true, { ...catalog.context, verbatim }),
    async delete(key, options) {
      const remove = async (id: string, over: Session): Promise<boolean> => {
        await behaviour.beforeDelete?.(id, { session: over, workspace: place.within(over) });
        try {
          return (await over.query(statements.delete, signed(id))).length > 0;
        } catch (error) {
          throw refusedDelete(error, table, catalog.tables) ?? error;
        }
      };
      if (options?.expected !== undefined) {
        return session.transaction(async (over) => {
          const current = await locked(key, over);
          await expect(current, options, over);
          return current !== null && remove(String(current[table.key]), over);
        });
      }
      const id = 'id' in key ? primaryKey(table, key.id) : (await find(key, session))?.[table.key];
      if (typeof id !== 'string') return false;
      return behaviour.beforeDelete === undefined
        ? remove(id, session)
        : session.transaction((over) => remove(id, over));
    },
    async vacate(ids) {
      const keys = ids.map((id) => primaryKey(table, id));
      for (let start = 0; start < keys.length; start += BATCH) {
        await session.query(statements.vacate, scoped(keys.slice(start, start + BATCH)));
      }
    },
    async deleteMany(ids) {
      const keys = ids.map((id) => primaryKey(table, id));
      return session.transaction(async (over) => {
        const deletion = { session: over, workspace: place.within(over) };
        for (const id of keys) await behaviour.beforeDelete?.(id, deletion);
        let gone = 0;
        for (let start = 0; start < keys.length; start += BATCH) {
          try {
            gone += (await over.query(statements.deleteMany, signed(keys.slice(start, start + BATCH)))).length;
          } catch (error) {
            throw refusedDelete(error, table, catalog.tables) ?? error;
          }
        }
        return gone;
      });
    },
  };
}

/** A complete row and the seconds it lives: null for ever, undefined to leave a stored row's time alone. */
interface Timed {
  readonly row: Row;
  readonly ttl: number | null | undefined;
}

/** `ttl` comes as an option or with the row, and is no field of it. Throws code 11. */
function takeTtl(table: Table, given: Row, options: WriteOptions | undefined): { input: Row; ttl: Timed['ttl'] } {
  if (!table.expires) {
    if (options?.ttl !== undefined) throw invalidOptions({ ttl: `cannot be used with '${table.name}'` });
    return { input: given, ttl: undefined };
  }
  const { ttl: inRow, ...input } = given;
  const ttl = options?.ttl ?? inRow;
  if (ttl === undefined) return { input, ttl: undefined };
  if (ttl === null || ttl === 0) return { input, ttl: null };
  if (typeof ttl !== 'number' || !Number.isInteger(ttl) || ttl < 0 || ttl > LONGEST_TTL) {
    throw invalidOptions({ ttl: `must be an integer between 0 and ${LONGEST_TTL}` });
  }
  return { input, ttl };
}

function uniqueOf(table: Table, field: string) {
  const unique = table.uniques.find(({ fields }) => fields.length === 1 && fields[0] === field);
  if (unique === undefined)
    throw new TypeError(`${table.name}.${field} is not unique, so it cannot name a row to replace`);
  return unique;
}

/** The key belongs to a row of another workspace. */
function takenElsewhere(table: Table, key: RowKey): Error {
  const fields = keyFields(table, key);
  return 'id' in key ? primaryKeyViolation(fields) : uniqueViolation(fields);
}

function missingKey(table: Table, rows: readonly Timed[], stored: readonly Row[]): string {
  const known = new Set(stored.map((row) => row[table.key]));
  return String(rows.find(({ row }) => !known.has(row[table.key]))?.row[table.key]);
}
