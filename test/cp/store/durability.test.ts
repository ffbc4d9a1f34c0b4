import { rmSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { openPglite } from '../../../cp/store/pglite/open.ts';
import { freshPrefix } from '../../embedded-database.ts';

const { fsyncSync } = vi.hoisted(() => ({ fsyncSync: vi.fn() }));
vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  fsyncSync.mockImplementation(real.fsyncSync);
  return { ...real, fsyncSync };
});

it('has a write of the embedded database on the disk before it is acknowledged', async () => {
  const prefix = await freshPrefix();
  const database = await openPglite(prefix);
  try {
    expect(await database.query('SHOW fsync')).toEqual([{ fsync: 'on' }]);
    expect(await database.query('SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
    await database.query('CREATE TABLE written (n integer)');
    fsyncSync.mockClear();
    await database.query('INSERT INTO written VALUES (1)');
    expect(fsyncSync).toHaveBeenCalled();
  } finally {
    await database.close();
    rmSync(prefix, { recursive: true, force: true });
  }
});
