import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { findInstance, NO_RELOADS, recordInstance } from '../../../cp/instance/instance.ts';

const prefix = mkdtempSync(join(tmpdir(), 'holdfast instance '));
afterAll(() => rmSync(prefix, { recursive: true, force: true }));

it('is found while its process runs, and not in a later process that got the same id', () => {
  const forget = recordInstance(prefix, {
    pid: process.pid,
    role: 'traditional',
    certificates: [],
    reloads: NO_RELOADS,
  });
  expect(findInstance(prefix)).toMatchObject({ pid: process.pid, role: 'traditional' });

  // What a killed instance left, its process id now with someone who would not survive a `reload`'s SIGHUP.
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const left = JSON.parse(readFileSync(join(prefix, 'instance.json'), 'utf8'));
  writeFileSync(join(prefix, 'instance.json'), JSON.stringify({ ...left, pid: bystander.pid }));
  expect(findInstance(prefix)).toBeNull();
  bystander.kill('SIGKILL');

  forget();
  expect(findInstance(prefix)).toBeNull();
});
