import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { findInstance, type Instance, InstanceNote, NO_RELOADS, notRunning } from '../../../cp/instance/instance.ts';
import { createLog } from '../../../cp/instance/log.ts';

const prefix = mkdtempSync(join(tmpdir(), 'holdfast instance '));
afterAll(() => rmSync(prefix, { recursive: true, force: true }));

const OWN: Instance = { pid: process.pid, role: 'traditional', certificates: [], reloads: NO_RELOADS };
const lines: string[] = [];
const log = createLog('info', (line) => lines.push(line));

it('is found while its process runs, and not in a later process that got the same id', () => {
  const note = new InstanceNote(prefix, log);
  note.write(OWN);
  expect(findInstance(prefix)).toMatchObject({ pid: process.pid, role: 'traditional' });

  // What a killed instance left, its process id now with someone who would not survive a `reload`'s SIGHUP.
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const left = JSON.parse(readFileSync(join(prefix, 'instance.json'), 'utf8'));
  writeFileSync(join(prefix, 'instance.json'), JSON.stringify({ ...left, pid: bystander.pid }));
  expect(findInstance(prefix)).toBeNull();
  bystander.kill('SIGKILL');

  note.remove();
  expect(findInstance(prefix)).toBeNull();
});

it('is noted as soon as that is possible where it was not at first, and says so at both ends', async () => {
  // What stands in the way of a file as a full disk does, also for root.
  mkdirSync(join(prefix, 'instance.json', 'in the way'), { recursive: true });
  const note = new InstanceNote(prefix, log);
  note.write(OWN);
  note.write({ ...OWN, reloads: { count: 1, failure: null } });
  expect(lines).toEqual([
    expect.stringMatching(/warn.*'holdfast reload' will not find this instance until it can be noted: ./),
  ]);
  rmSync(join(prefix, 'instance.json'), { recursive: true });
  await expect
    .poll(() => findInstance(prefix), { message: 'the note' })
    .toMatchObject({ pid: process.pid, reloads: { count: 1 } });
  expect(lines[1]).toMatch(/notice.*find this instance now/);
  note.remove();
});

it('is not said to be away by who may not look', () => {
  const note = new InstanceNote(prefix, log);
  note.write(OWN);
  const own = process.geteuid?.() ?? 0;
  try {
    if (own === 0) process.seteuid?.(65_534);
    else chmodSync(prefix, 0o000);
    expect(notRunning(prefix)).toContain('is not for this user to know');
  } finally {
    if (own === 0) process.seteuid?.(0);
    else chmodSync(prefix, 0o700);
  }
  note.remove();
  expect(notRunning(prefix)).toMatch(/is not running at .*start it/);
});

it('lets an instance end whose note cannot be removed', () => {
  const note = new InstanceNote(prefix, log);
  note.write(OWN);
  rmSync(join(prefix, 'instance.json'));
  // As a disk that has become one to read only.
  mkdirSync(join(prefix, 'instance.json'));
  note.remove();
  expect(lines.at(-1)).toMatch(/warn.*the note of this instance stays: ./);
});
