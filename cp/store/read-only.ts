import { KongError, operationUnsupported } from '../../shared/schema/errors.ts';
import type { EntityStore, RowKey, Store, Workspace } from './store.ts';

/**
 * The store as the Admin API has it with `database = off`: everything can be read, and every write is refused as Kong refuses
 * it there (code 12, status 405). What is wrong with the input itself is said first, as there.
 */
export function readOnly(store: Store): Store {
  return {
    ...store,
    async workspace(name) {
      const workspace = await store.workspace(name);
      return workspace === null ? null : readOnlyWorkspace(workspace);
    },
  };
}

function readOnlyWorkspace(workspace: Workspace): Workspace {
  return {
    id: workspace.id,
    name: workspace.name,
    entity: (name) => readOnlyEntity(workspace, name),
    transaction: (work) => workspace.transaction((inside) => work(readOnlyWorkspace(inside))),
    snapshot: (work) => workspace.snapshot((inside) => work(readOnlyWorkspace(inside))),
    lockForDocument: () => workspace.lockForDocument(),
    tags: (query) => workspace.tags(query),
  };
}

/** Kong's words for what cannot be done, by method. */
const OPERATIONS = {
  insert: 'create',
  update: 'update',
  upsert: 'create or update',
  delete: 'remove',
  insertMany: 'create',
  upsertMany: 'create or update',
  vacate: 'update',
  deleteMany: 'remove',
} as const;

function readOnlyEntity(workspace: Workspace, name: string): EntityStore {
  const stored = workspace.entity(name);

  function unsupported(method: keyof typeof OPERATIONS, key?: RowKey): KongError {
    const by = key === undefined || 'id' in key ? '' : ` by '${key.field}'`;
    return operationUnsupported(`cannot ${OPERATIONS[method]} '${name}' entities${by} when not using a database`);
  }

  /** Does the write and takes it back: so its input is looked at as ever, and no serial is used. */
  async function refused<T>(refusal: KongError, write: (entity: EntityStore) => Promise<T>): Promise<never> {
    try {
      return await workspace.transaction(async (inside) => {
        await write(inside.entity(name));
        throw refusal;
      });
    } catch (error) {
      throw error instanceof KongError && OF_THE_DATABASE.has(error.code) ? refusal : error;
    }
  }

  return {
    page: (query) => stored.page(query),
    select: (key) => stored.select(key),
    selectMany: (ids) => stored.selectMany(ids),
    related: (rows) => stored.related(rows),
    insert: (input, options) => refused(unsupported('insert'), (entity) => entity.insert(input, options)),
    update: (key, input, options) =>
      refused(unsupported('update', key), (entity) => entity.update(key, input, options)),
    upsert: (key, input, options) =>
      refused(unsupported('upsert', key), (entity) => entity.upsert(key, input, options)),
    insertMany: (inputs) => refused(unsupported('insertMany'), (entity) => entity.insertMany(inputs)),
    upsertMany: (inputs, options) => refused(unsupported('upsertMany'), (entity) => entity.upsertMany(inputs, options)),
    // What is not there is gone already, which Kong says of it without a database, too.
    async delete(key) {
      if ((await stored.select(key)) === null) return false;
      throw unsupported('delete', key);
    },
    vacate: (ids) => refused(unsupported('vacate'), (entity) => entity.vacate(ids)),
    deleteMany: (ids) => refused(unsupported('deleteMany'), (entity) => entity.deleteMany(ids)),
  };
}

/** What only a write finds out, which Kong never gets to: keys that are taken, references to and from other rows. */
const OF_THE_DATABASE: ReadonlySet<number> = new Set([3, 4, 5]);
