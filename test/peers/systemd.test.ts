import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);
const UNITS = ['holdfast-control-plane.service', 'holdfast-data-plane.service'];
/** What every system has, and the units name. */
const TARGETS = ['sysinit', 'basic', 'shutdown', 'network-online', 'multi-user'];

/** A system with nothing but the units, and something in place of the command. */
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-systemd-'));
  const units = join(root, 'etc/systemd/system');
  const commands = join(root, 'usr/local/bin');
  await Promise.all([units, commands].map((folder) => mkdir(folder, { recursive: true })));
  for (const name of TARGETS) await writeFile(join(units, `${name}.target`), `[Unit]\nDescription=${name}\n`);
  for (const name of UNITS) await copyFile(file(name), join(units, name));
  await writeFile(join(commands, 'holdfast'), '#!/bin/sh\n');
  await chmod(join(commands, 'holdfast'), 0o755);
});
afterAll(() => rm(root, { recursive: true, force: true }));

function file(name: string): string {
  return fileURLToPath(new URL(`../../packaging/systemd/${name}`, import.meta.url));
}

const analyze = (...words: string[]) => run(peerExecutable('systemd-analyze'), words, { env: { LC_ALL: 'C' } });

it('takes the units without a word', async () => {
  expect(await analyze('verify', '--man=no', `--root=${root}`, ...UNITS)).toEqual({ stdout: '', stderr: '' });
});

it.each(UNITS)('finds %s well confined', async (name) => {
  // Of 10; one that confines nothing has 9.6, and 2.0 is what a service of its kind can come to. It exits with 1 above that.
  const { stdout } = await analyze('security', '--offline=true', '--threshold=20', '--no-pager', file(name));
  expect(stdout).toMatch(/Overall exposure level for \S+: 1\.\d OK/);
});
