import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { Catalog } from './catalog.ts';
import type { Database, Session } from './database.ts';
import { entityStore } from './entity-store.ts';
import type { EntityStore, Workspace } from './store.ts';
import { listTags } from './tags.ts';

/** Any number will do as long as no other program on the database uses it together with a second one. */
const DOCUMENT_LOCK = 0x686f6c64;

/** The named workspace, or null. */
export async function findWorkspace(
  catalog: Catalog,
  session: Session | Database,
  name: string,
): Promise<Workspace | null> {
  // It can neither go nor be renamed, and who asks for it may want no more than to hear that the database is away.
  if (name === DEFAULT_WORKSPACE.name) return workspaceOver(catalog, session, DEFAULT_WORKSPACE);
  if (name.includes('\0')) return null;
  const [row] = await session.query(
    { name: 'find_workspace', text: 'SELECT id, name FROM workspaces WHERE name = $1' },
    [name],
  );
  return row === undefined ? null : workspaceOver(catalog, session, { id: String(row.id), name: String(row.name) });
}

/** A workspace whose reads and writes go through one session. */
export function workspaceOver(
  catalog: Catalog,
  session: Session | Database,
  identity: { readonly id: string; readonly name: string },
): Workspace {
  const within = (inside: Session): Workspace => workspaceOver(catalog, inside, identity);
  const stores = new Map<string, EntityStore>();
  const workspace: Workspace = {
    ...identity,
    entity(name) {
      const known = stores.get(name) ?? entityStore({ catalog, session, workspace, within }, catalog.table(name));
      stores.set(name, known);
      return known;
    },
    transaction: (work) => session.transaction((inside) => work(within(inside))),
    snapshot: (work) => ('snapshot' in session ? session.snapshot((inside) => work(within(inside))) : work(workspace)),
    async lockForDocument() {
      const [lock] = await session.query(
        `SELECT pg_try_advisory_xact_lock(${DOCUMENT_LOCK}, hashtext(current_schema() || $1)) AS mine`,
        [identity.id],
      );
      return lock?.mine === true;
    },
    tags: (query = {}) => listTags(catalog, session, identity.id, query),
  };
  return workspace;
}
