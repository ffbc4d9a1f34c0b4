import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Settings } from '../settings/properties.ts';
import type { StoreSettings } from '../store/open.ts';
import { CommandError } from './command.ts';

/** The store the settings name. Throws `CommandError` where they name none. */
export function storeSettings(settings: Settings): StoreSettings {
  if (settings.role === 'data_plane')
    throw new CommandError("role 'data_plane' has no database: run this with the settings of a control plane");
  if (settings.database !== 'postgres') return { database: 'embedded', prefix: resolve(settings.prefix) };
  const ca = settings.pg_ssl_ca_cert;
  return { ...settings, database: 'postgres', pg_ssl_ca_cert: ca === null ? null : readFileSync(ca, 'utf8') };
}
