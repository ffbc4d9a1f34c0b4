import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { closeToOthers, openFilesNotices } from '../../../cp/instance/private-files.ts';

let prefix: string;
beforeEach(() => {
  prefix = mkdtempSync(join(tmpdir(), 'private files '));
});
afterEach(() => rmSync(prefix, { recursive: true, force: true }));

/** Whatever the umask of the test is. */
function make(path: string, mode: number): string {
  const whole = join(prefix, path);
  if (path.endsWith('/')) mkdirSync(whole);
  else writeFileSync(whole, '');
  chmodSync(whole, mode);
  return whole;
}

const modeOf = (path: string) => (statSync(join(prefix, path)).mode & 0o7777).toString(8);

it('closes its own files to other users, and says once how many there were', () => {
  chmodSync(prefix, 0o777);
  make('pgdata/', 0o755);
  make('pgdata/base', 0o666);
  make('cluster.key', 0o640);
  // As a rotation leaves it beside the one before.
  make('bundle-signing.kid-of_43.key', 0o644);
  make('fallback/', 0o755);
  make('cluster.crt', 0o666);
  make('bundle-keys.json', 0o644);
  const found = closeToOthers(prefix);
  const closed = [
    '.',
    'bundle-signing.kid-of_43.key',
    'cluster.crt',
    'cluster.key',
    'fallback',
    'pgdata',
    'pgdata/base',
  ];
  expect({ ...found, closed: found.closed.toSorted() }).toEqual({ closed, open: [] });
  expect(openFilesNotices(prefix, found)).toEqual([
    expect.stringMatching(/^7 files and folders in .* could be read or written by other users/),
  ]);
  expect(['.', 'pgdata', 'pgdata/base', 'cluster.key', 'cluster.crt', 'bundle-keys.json'].map(modeOf)).toEqual([
    '775',
    '700',
    '600',
    '600',
    '644',
    '644',
  ]);
  expect(openFilesNotices(prefix, closeToOthers(prefix))).toEqual([]);
});

it('leaves alone what lies in the same folder and is not its own, and does not follow links', () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'elsewhere '));
  writeFileSync(join(elsewhere, 'file'), '');
  chmodSync(join(elsewhere, 'file'), 0o644);
  symlinkSync(elsewhere, join(prefix, 'ssl'));
  make('holdfast.conf', 0o644);
  make('src/', 0o755);
  expect(closeToOthers(prefix)).toEqual({ closed: [], open: [] });
  expect(statSync(join(elsewhere, 'file')).mode & 0o777).toBe(0o644);
  expect(modeOf('holdfast.conf')).toBe('644');
  rmSync(elsewhere, { recursive: true, force: true });
});
