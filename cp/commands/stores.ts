import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { dblessFolder } from '../declarative/dbless-folder.ts';
import type { Settings } from '../settings/properties.ts';
import { openStore, type StoreSettings } from '../store/open.ts';
import { schemasFor } from '../store/schemas.ts';
import type { Store, Workspace } from '../store/store.ts';
import { CommandError } from './command.ts';

/** The store the settings name. Throws `CommandError` where they name none. */
export function storeSettings(settings: Settings): StoreSettings {
  if (settings.role === 'data_plane')
    throw new CommandError("role 'data_plane' has no database: run this with the settings of a control plane");
  if (settings.database === 'off') return { database: 'embedded', prefix: dblessFolder(settings.prefix) };
  if (settings.database === 'embedded') return { database: 'embedded', prefix: resolve(settings.prefix) };
  const ca = settings.pg_ssl_ca_cert;
  return { ...settings, database: 'postgres', pg_ssl_ca_cert: ca === null ? null : readFileSync(ca, 'utf8') };
}

/** Opens it for a command that runs beside no instance. With `database = off` nobody migrates, so it is made here if need be. */
export function openOwnStore(settings: Settings): Promise<Store> {
  return openStore(storeSettings(settings), {
    schemas: schemasFor(settings.router_flavor),
    migrate: settings.database === 'off',
  });
}

/** Works in the workspace `default` of the database of the settings. */
export async function inDefaultWorkspace<T>(
  settings: Settings,
  work: (workspace: Workspace) => Promise<T>,
): Promise<T> {
  const store = await openOwnStore(settings);
  try {
    const workspace = await store.workspace('default');
    if (!workspace) throw new CommandError("the database has no workspace 'default': run 'holdfast migrations up'");
    return await work(workspace);
  } finally {
    await store.close();
  }
}
