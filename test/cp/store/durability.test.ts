import fs, { rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, expect, it, vi } from 'vitest';
import { openPglite } from '../../../cp/store/pglite/open.ts';
import { freshPrefix } from '../../embedded-database.ts';

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

it('has a write of the embedded database on the disk before it is acknowledged', async () => {
  const prefix = await freshPrefix();
  const database = await openPglite(prefix);
  try {
    expect(await database.query('SHOW fsync')).toEqual([{ fsync: 'on' }]);
    expect(await database.query('SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
    await database.query('CREATE TABLE written (n integer)');
    const fsyncSync = vi.spyOn(fs, 'fsyncSync');
    syncBuiltinESMExports();
    await database.query('INSERT INTO written VALUES (1)');
    expect(fsyncSync).toHaveBeenCalled();
  } finally {
    await database.close();
    rmSync(prefix, { recursive: true, force: true });
  }
});
