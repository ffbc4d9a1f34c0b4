import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRecord } from '../../shared/record.ts';
import { bundleUi, digestOf, WEB } from './bundle.ts';
import { openUiFolder, type UiFolder } from './files.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(ROOT, 'node_modules', '.cache', 'holdfast-ui');
const MADE_OF = 'made-of.json';
/** As this process runs it, which may be older than the file by the time that somebody asks for the UI. */
const BUNDLER = readFile(fileURLToPath(new URL('./bundle.ts', import.meta.url))).catch(() => '');

/**
 * Holdfast's own UI, to be served under `base`. A package brings it bundled; in a clone it is bundled when a browser first asks, and
 * again when its sources have changed, so that a start costs nothing. Rejects with what is missing, and tries again the next time.
 */
export function ownUi(base: string): () => Promise<UiFolder> {
  let opening: Promise<UiFolder> | null = null;
  return () => {
    opening ??= bundledFolder()
      .then((folder) => openUiFolder(folder, base))
      .catch((error) => {
        opening = null;
        throw error;
      });
    return opening;
  };
}

async function bundledFolder(): Promise<string> {
  // In a package the sources are not there, and the bundle is in their place.
  if (await isFile(join(WEB, 'index.html'))) return WEB;
  const known = await readFile(join(CACHE, MADE_OF), 'utf8').catch(() => null);
  if (known !== null) {
    const made: unknown = JSON.parse(known);
    if (isRecord(made) && Array.isArray(made.sources) && made.digest === (await digest(made.sources))) return CACHE;
  }
  return bundleInto(CACHE).catch(async (error: NodeJS.ErrnoException) => {
    // An installation that is not ours to write to, as in a container.
    if (error.code !== 'EACCES' && error.code !== 'EROFS' && error.code !== 'EPERM') throw error;
    return bundleInto(join(tmpdir(), `holdfast-ui-${process.pid}`));
  });
}

/** Others may be at it at the same time, or be reading it: the folder is whole whenever it has its name. */
async function bundleInto(folder: string): Promise<string> {
  const mine = `${folder}-${process.pid}`;
  await rm(mine, { recursive: true, force: true });
  const { sources } = await bundleUi(mine);
  await writeFile(join(mine, MADE_OF), JSON.stringify({ digest: await digest(sources), sources }));
  await rm(folder, { recursive: true, force: true });
  await rename(mine, folder).catch(async (error: NodeJS.ErrnoException) => {
    // Someone else's is there by now, of the same sources.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    await rm(mine, { recursive: true, force: true });
  });
  return folder;
}

async function digest(sources: readonly unknown[]): Promise<string> {
  const names = ['package-lock.json', ...sources.map(String)];
  const contents = await Promise.all(names.map((name) => readFile(join(ROOT, name)).catch(() => '')));
  return digestOf([['bundler', await BUNDLER], ...names.map((name, i) => [name, contents[i] ?? ''] as const)]);
}

const isFile = (path: string): Promise<boolean> =>
  readFile(path).then(
    () => true,
    () => false,
  );
