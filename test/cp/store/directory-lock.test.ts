import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';
import { lockDirectory } from '../../../cp/store/directory-lock.ts';
import { atOnce } from '../../at-once.ts';
import { once } from '../../once.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-lock-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const module = join(import.meta.dirname, '..', '..', '..', 'cp', 'store', 'directory-lock.ts');

const HOLDER = `
  const { lockDirectory } = await import(process.argv[1]);
  lockDirectory(process.argv[2]);
  process.stdout.write('locked');
  setInterval(() => {}, 1000);
`;

test('keeps a second process out by name, and lets it in the moment the first is dead', async () => {
  const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, module, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  expect(() => lockDirectory(directory)).toThrow(`in use by process ${holder.pid}`);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const unlock = lockDirectory(directory);
  expect(() => lockDirectory(directory)).toThrow(`in use by process ${process.pid}`);
  unlock();
  lockDirectory(directory)();
});

test('of two that ask at once one has it', async () => {
  const outcomes = await atOnce(25, "return module.lockDirectory(directory + '/' + round)", module, directory);
  expect(outcomes.filter((both) => both.filter((outcome) => outcome === null).length !== 1)).toEqual([]);
  for (const refused of outcomes.flat()) if (refused !== null) expect(refused).toContain('is in use by process');
});
