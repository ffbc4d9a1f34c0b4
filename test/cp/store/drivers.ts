import { rmSync } from 'node:fs';

import { afterAll, beforeAll, describe } from 'vitest';

import type { StoreSettings } from '../../../cp/store/open.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';

/** Where a suite keeps its data: the same tests run on both, told apart by settings alone. */
interface Backend {
  /** Settings of the next database, which is empty, or may already have its tables to save their making. */
  fresh(state?: 'empty' | 'migrated'): Promise<StoreSettings>;
}

/** Runs a suite against the embedded database and against a real PostgreSQL server. */
export function onBothDrivers(title: string, suite: (backend: Backend) => void): void {
  describe(`${title} (embedded)`, () => {
    const prefixes: string[] = [];
    afterAll(() => {
      for (const prefix of prefixes) rmSync(prefix, { recursive: true, force: true });
    });
    suite({
      async fresh(state = 'migrated') {
        const prefix = await freshPrefix(state);
        prefixes.push(prefix);
        return { database: 'embedded', prefix };
      },
    });
  });
  describe(`${title} (PostgreSQL)`, () => {
    let server: PostgresServer | undefined;
    let schemas = 0;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server?.stop());
    suite({
      async fresh() {
        if (server === undefined) throw new Error('the server did not start');
        schemas += 1;
        // A name that SQL would read as something else.
        return server.settings(`Fresh "${schemas}".Schema`);
      },
    });
  });
}

/** Waits for a promise to reject and gives the error, so that its parts can be looked at. */
export async function refusal(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}
