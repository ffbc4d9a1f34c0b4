import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockPrefix } from '../../../edge-dp/hosts/prefix-lock.ts';
import { atOnce } from '../../at-once.ts';

let prefix: string;
let other: ChildProcess | undefined;
beforeEach(async () => {
  prefix = await mkdtemp(join(tmpdir(), 'holdfast lock '));
});
afterEach(() => {
  other?.kill('SIGKILL');
  return rm(prefix, { recursive: true });
});

const note = (): string => join(prefix, 'data-plane.lock');

test('a prefix is one node’s until it lets go of it', async () => {
  const lock = await lockPrefix(prefix);
  await expect(lockPrefix(prefix)).rejects.toThrow(
    `prefix: a data plane already runs in ${prefix} (process ${process.pid}); give this one another`,
  );
  lock.release();
  (await lockPrefix(prefix)).release();
});

test('of two that ask at once one has it', async () => {
  const rounds = 25;
  for (let round = 0; round < rounds; round++) mkdirSync(join(prefix, `${round}`));
  const outcomes = await atOnce(
    rounds,
    "const lock = await module.lockPrefix(directory + '/' + round); return () => lock.release()",
    join(import.meta.dirname, '..', '..', '..', 'edge-dp', 'hosts', 'prefix-lock.ts'),
    prefix,
  );
  expect(outcomes.filter((both) => both.filter((outcome) => outcome === null).length !== 1)).toEqual([]);
  for (const refused of outcomes.flat()) if (refused !== null) expect(refused).toContain('already runs in');
});

test('holds whatever its note says: of who shares the disk from another container, and of one that was cut off', async () => {
  const lock = await lockPrefix(prefix);
  for (const text of ['1 12345', '', `${process.pid}`]) {
    writeFileSync(note(), text);
    await expect(lockPrefix(prefix)).rejects.toThrow('already runs in');
  }
  lock.release();
});

test('is free once what is left of a killed host has ended', async () => {
  const lock = await lockPrefix(prefix);
  other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  lock.shareWith(Number(other.pid));
  const [, supervisor] = readFileSync(note(), 'utf8').split('\n');
  lock.release();
  writeFileSync(note(), `999999999 1\n${supervisor}`);
  let taken = false;
  const next = lockPrefix(prefix).then((lock) => {
    taken = true;
    return lock;
  });
  expect(taken).toBe(false);
  other.kill('SIGKILL');
  (await next).release();
});

test('what is no lock of Holdfast stays, and is named', async () => {
  writeFileSync(join(prefix, 'data-plane.exclusive'), 'something else, of a person who keeps it here');
  await expect(lockPrefix(prefix)).rejects.toThrow('is no lock file of Holdfast; remove it (it holds no data)');
});

test('a prefix that takes no lock is named', async () => {
  mkdirSync(join(prefix, 'data-plane.exclusive'));
  await expect(lockPrefix(prefix)).rejects.toThrow(/^prefix: .*data-plane\.exclusive cannot be locked: unable to open/);
});
