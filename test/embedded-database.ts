import { createHash } from 'node:crypto';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { catalogOf } from '../cp/store/catalog.ts';
import { openStore } from '../cp/store/open.ts';
import { openPglite } from '../cp/store/pglite/open.ts';
import { schemas } from '../cp/store/schemas.ts';

/**
 * A new prefix with an embedded database: initialised but empty, or with all migrations of this moment's sources. PGlite's
 * initdb takes seconds and the tables one more, always with the same outcome, so each is done once and copied from then on.
 */
export async function freshPrefix(state: 'empty' | 'migrated' = 'empty'): Promise<string> {
  const prefix = mkdtempSync(join(tmpdir(), 'holdfast-prefix-'));
  copy(await (state === 'empty' ? empty() : migrated()), prefix);
  return prefix;
}

function empty(): Promise<string> {
  const version: unknown = JSON.parse(readFileSync(join(PGLITE, 'package.json'), 'utf8'))?.version;
  return template(`pglite-${version}`, async (building) => (await openPglite(building)).close());
}

async function migrated(): Promise<string> {
  const from = await empty();
  const tables = [...catalogOf(schemas).tables.values()].map(({ schema: _, ...table }) => table);
  const store = join(import.meta.dirname, '..', 'cp', 'store');
  const sources = ['migrations.ts', 'table-plan.ts', ...globSync('migrations/*.ts', { cwd: store }).sort()];
  const hash = createHash('sha256').update(JSON.stringify(tables));
  for (const source of sources) hash.update(readFileSync(join(store, source)));
  return template(`${basename(from)}-${hash.digest('hex').slice(0, 16)}`, async (building) => {
    copy(from, building);
    const opened = await openStore({ database: 'embedded', prefix: building }, { migrate: true });
    await opened.close();
  });
}

const PGLITE = join(dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')), '..');
const CACHE = join(PGLITE, '..', '..', '.cache', 'holdfast');

/** Makes a template unless it is there; whoever is quickest makes it for all. */
async function template(name: string, make: (building: string) => Promise<void>): Promise<string> {
  const made = join(CACHE, name);
  if (existsSync(made)) return made;
  mkdirSync(CACHE, { recursive: true });
  const building = mkdtempSync(join(CACHE, 'building-'));
  await make(building);
  try {
    renameSync(building, made);
  } catch {
    rmSync(building, { recursive: true, force: true });
  }
  return made;
}

function copy(from: string, to: string): void {
  cpSync(join(from, 'pgdata'), join(to, 'pgdata'), { recursive: true });
}
