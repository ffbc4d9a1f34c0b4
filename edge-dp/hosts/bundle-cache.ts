import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkerBundle } from './bundle-worker.ts';

/** A bundle as it lies on the disk, with what tells whether it still is what would be made. */
interface Kept {
  /** Paths of all files that went into it. */
  readonly files: readonly string[];
  /** Of their contents. */
  readonly digest: string;
  readonly code: string;
  /** Bytes in Base64. */
  readonly wasm: readonly { readonly name: string; readonly bytes: string }[];
  readonly metafile: WorkerBundle['metafile'];
}

const require = createRequire(import.meta.url);
/** What would bundle, if that had to be done. */
const { version }: { readonly version: string } = require('esbuild/package.json');

/** The folder that paths in a metafile are relative to, wherever the process that bundled was started. */
export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Where bundles are kept from start to start: beside the packages this process runs, so that whoever can write one there could have
 * written the code itself.
 */
const FOLDER = join(dirname(require.resolve('esbuild/package.json')), '..', '.cache', 'holdfast');

/**
 * The bundle that was kept under this name, as long as every file that went into it is, byte for byte, what it was; undefined when there is
 * none. Reading all of them takes a tenth of the time that bundling does.
 */
export function keptBundle(name: string, folder = FOLDER): WorkerBundle | undefined {
  try {
    const kept: Kept = JSON.parse(readFileSync(pathOf(name, folder), 'utf8'));
    if (digestOf(kept.files) !== kept.digest) return undefined;
    return {
      code: kept.code,
      wasm: kept.wasm.map(({ name, bytes }) => ({ name, bytes: new Uint8Array(Buffer.from(bytes, 'base64')) })),
      metafile: kept.metafile,
    };
  } catch {
    return undefined;
  }
}

/**
 * Keeps a bundle under this name. `wasm`: by name, the files it imports; `makers`: what it depends on beside the files that esbuild
 * names. Not where nobody may write, nor when one of the files was written since this process began, which may have read an older one.
 */
export function keepBundle(
  name: string,
  { code, wasm: compiled, metafile }: WorkerBundle,
  wasm: ReadonlyMap<string, string>,
  makers: readonly string[],
  folder = FOLDER,
): void {
  const building = join(folder, `building-${randomUUID()}`);
  try {
    const inputs = Object.keys(metafile.inputs).map((path) => resolve(PROJECT, path));
    const files = [...makers, ...inputs.filter(isFile), ...wasm.values()];
    if (files.some((path) => statSync(path).mtimeMs >= performance.timeOrigin)) return;
    const kept: Kept = {
      files,
      digest: digestOf(files),
      code,
      wasm: compiled.map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes).toString('base64') })),
      metafile,
    };
    mkdirSync(folder, { recursive: true });
    writeFileSync(building, JSON.stringify(kept));
    renameSync(building, pathOf(name, folder));
  } catch {
    try {
      rmSync(building, { force: true });
    } catch {
      // Where there is no such folder.
    }
  }
}

/** Not so an entry given as text, which whoever bundles writes. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function pathOf(name: string, folder: string): string {
  return join(folder, `worker-${createHash('sha256').update(`${version} ${name}`).digest('hex').slice(0, 32)}.json`);
}

/** Throws when one of them cannot be read. */
function digestOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) {
    const bytes = readFileSync(file);
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}
