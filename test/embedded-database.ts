import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { openPglite } from '../cp/store/pglite.ts';

/**
 * A new prefix whose embedded database is initialised but empty: PGlite's initdb takes seconds, and its outcome is always
 * the same, so it runs once per installation and is copied from then on.
 */
export async function freshPrefix(): Promise<string> {
  const prefix = mkdtempSync(join(tmpdir(), 'holdfast-prefix-'));
  cpSync(join(await template(), 'pgdata'), join(prefix, 'pgdata'), { recursive: true });
  return prefix;
}

async function template(): Promise<string> {
  const pglite = join(dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')), '..');
  const cache = join(pglite, '..', '..', '.cache', 'holdfast');
  const version: unknown = JSON.parse(readFileSync(join(pglite, 'package.json'), 'utf8'))?.version;
  const made = join(cache, `pglite-${version}`);
  if (existsSync(made)) return made;
  mkdirSync(cache, { recursive: true });
  const building = mkdtempSync(join(cache, 'building-'));
  await (await openPglite(building)).close();
  try {
    renameSync(building, made);
  } catch {
    // Another test file was quicker.
    rmSync(building, { recursive: true, force: true });
  }
  return made;
}
