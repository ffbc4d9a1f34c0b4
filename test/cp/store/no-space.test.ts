import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs, { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { openStore } from '../../../cp/store/open.ts';
import { DatabaseUnavailable } from '../../../cp/store/unavailable.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { refusal } from './drivers.ts';
import { workspaceOf } from './workspace-of.ts';

const CLI = join(import.meta.dirname, '..', '..', '..', 'cp', 'holdfast.js');
let prefix: string;
beforeEach(() => {
  prefix = mkdtempSync(join(tmpdir(), 'no space '));
});
afterEach(() => rmSync(prefix, { recursive: true, force: true }));

/** Runs a command that may write no file beyond this many blocks of 512 bytes: what a full disk does, for any user. */
function limited(blocks: number, ...words: string[]): Promise<string> {
  const script = `ulimit -f ${blocks}; exec "$@"`;
  return new Promise((resolve) => {
    execFile(
      'sh',
      ['-c', script, 'sh', process.execPath, CLI, ...words, '--prefix', prefix],
      { env: { PATH: process.env.PATH } },
      (_, stdout, stderr) => resolve(stdout + stderr),
    );
  });
}

test('a disk without room for the embedded database is told in words, and nothing half made is left', async () => {
  const output = await limited(4096, 'migrations', 'bootstrap');
  expect(output).toMatch(
    /^holdfast: the embedded database cannot be made in .*pgdata: (?:could not|a file would grow) [^\n]+\n$/,
  );
  expect(readdirSync(prefix).filter((name) => name.startsWith('pgdata.new'))).toEqual([]);
});

test('a database that ended itself for want of space hangs nobody, and goes on when there is some', async () => {
  const here = await freshPrefix('migrated');
  const store = await openStore({ database: 'embedded', prefix: here });
  const consumers = (await workspaceOf(store)).entity('consumers');
  let woken = 0;
  store.changes.subscribe(() => {
    woken += 1;
  });
  const acknowledged: string[] = [];
  const write = async (username: string) => {
    await consumers.insert({ username });
    acknowledged.push(username);
  };
  await write('before');
  const stopFilling = fillDisk('pg_wal');
  const refused = await refusal(
    (async () => {
      // More than is left of the log's first file, which has its space.
      for (let n = 0; n < 200; n++) {
        const usernames = Array.from({ length: 100 }, () => randomBytes(1_000).toString('hex'));
        await consumers.insertMany(usernames.map((username) => ({ username })));
        acknowledged.push(...usernames);
      }
    })(),
  );
  expect(refused).toBeInstanceOf(DatabaseUnavailable);
  for (const again of [
    () => write('again'),
    () => store.changes.serial(),
    () => consumers.insertMany([{ username: 'x' }]),
  ]) {
    expect(String(await refusal(again()))).toMatch(/ended itself and is started again \(could not write/);
  }
  expect(await store.condition(5_000)).toMatchObject({
    reachable: false,
    reason: expect.stringContaining('ended itself'),
  });

  // Its whole folder may be away for a while, too.
  const away = vi.spyOn(fs, 'statfsSync').mockImplementation(() => {
    throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
  });
  syncBuiltinESMExports();
  await expect.poll(() => away.mock.calls.length, { message: 'looks at the disk' }).toBeGreaterThan(0);
  away.mockRestore();
  syncBuiltinESMExports();
  stopFilling();
  await expect.poll(() => write('after').then(() => 'written', String), { timeout: 60_000 }).toBe('written');
  const before = woken;
  await write('later');
  await expect.poll(() => woken, { message: 'a notification after the new start' }).toBeGreaterThan(before);
  const lost = [];
  for (const value of acknowledged) {
    if ((await consumers.select({ field: 'username', value })) === null) lost.push(value);
  }
  expect(lost).toEqual([]);
  expect(await consumers.select({ field: 'username', value: 'again' })).toBeNull();
  await store.close();
  rmSync(here, { recursive: true, force: true });
});

/** From now on no file below a folder of this name can be written, as when the disk is full; returns how to end that. */
function fillDisk(folder: string): () => void {
  const full = new Set<number>();
  const { openSync, writeSync } = fs;
  const opening = vi.spyOn(fs, 'openSync').mockImplementation((path, ...rest) => {
    const descriptor = openSync(path, ...rest);
    if (String(path).includes(`/${folder}/`)) full.add(descriptor);
    else full.delete(descriptor);
    return descriptor;
  });
  const writing = vi.spyOn(fs, 'writeSync').mockImplementation((descriptor: number, ...rest: unknown[]) => {
    if (full.has(descriptor)) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', errno: -28 });
    return Reflect.apply(writeSync, fs, [descriptor, ...rest]);
  });
  return () => {
    opening.mockRestore();
    writing.mockRestore();
  };
}
