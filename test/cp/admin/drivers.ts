import { rm } from 'node:fs/promises';
import type { StoreSettings } from '../../../cp/store/open.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { startPostgres } from '../../postgres-server.ts';

/** A database that is there for the length of a test file. */
export interface Database {
  readonly settings: StoreSettings;
  readonly drop: () => Promise<void>;
}

/** The drivers every behaviour must be the same on; nothing but settings tells a test which one it runs on. */
export const drivers: readonly { readonly driver: string; readonly create: () => Promise<Database> }[] = [
  { driver: 'embedded', create: createEmbedded },
  {
    driver: 'postgres',
    async create() {
      const server = await startPostgres();
      return { settings: server.settings(), drop: () => server.stop() };
    },
  },
];

export async function createEmbedded(): Promise<Database> {
  const prefix = await freshPrefix();
  return {
    settings: { database: 'embedded', prefix },
    drop: () => rm(prefix, { recursive: true, force: true }),
  };
}
