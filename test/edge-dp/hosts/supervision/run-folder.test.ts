import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunFolder } from '../../../../edge-dp/hosts/supervision/run-folder.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast run '));
});
afterEach(() => rm(folder, { recursive: true }));

it('gives no generation the files of another that processes may still be started from', () => {
  const run = new RunFolder(folder);
  const first = run.nextGeneration();
  first.write('config', 'first');
  // Each a reload that failed half-way.
  const failed = Array.from({ length: 20 }, () => run.nextGeneration());
  expect(new Set([first, ...failed].map(({ path }) => path)).size).toBe(21);
  expect(new Set([first, ...failed].map(({ name }) => name)).size).toBe(21);
  const good = run.nextGeneration();
  run.keepOnly(good);
  expect(readdirSync(run.path)).toEqual([good.path.slice(run.path.length + 1)]);
  run.remove();
});

it('has sockets where their paths fit, its owner’s alone, and leaves none of a node that was killed', () => {
  const long = join(folder, 'ordner '.repeat(8), 'größe');
  const killed = new RunFolder(long);
  expect(Buffer.byteLength(join(killed.sockets, 'control-plane-1.sock.new'))).toBeLessThan(104);
  expect(statSync(killed.sockets).mode & 0o077).toBe(0);
  const next = new RunFolder(long);
  expect(existsSync(killed.sockets)).toBe(false);
  expect(existsSync(next.sockets)).toBe(true);
  next.remove();
  expect(existsSync(next.sockets)).toBe(false);
});
