import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

/** A Worker as one ES module, ready to be embedded in a workerd or Miniflare configuration. */
export interface WorkerBundle {
  readonly code: string;
  /** What went into it, and from where (esbuild's own description). */
  readonly metafile: Metafile;
}

/** Both hosts run the data plane under the same rules of the runtime. */
export const COMPATIBILITY_DATE = '2026-07-01';
export const COMPATIBILITY_FLAGS: readonly string[] = [];

/** The data plane Worker. */
export const WORKER_ENTRY = fileURLToPath(new URL('../worker.ts', import.meta.url));

const bundles = new Map<string, Promise<WorkerBundle>>();

/**
 * Bundles the Worker whose entry file is `entry` (milliseconds); the same entry is bundled once per process. Modules
 * the runtime itself provides (`cloudflare:*`, `node:*`) stay imports. Throws esbuild's errors, which name the file and line.
 */
export function bundleWorker(entry: string = WORKER_ENTRY): Promise<WorkerBundle> {
  let bundle = bundles.get(entry);
  if (bundle === undefined) {
    bundle = run(entry);
    // A failure is not kept: the file may be mended while this process lives (development).
    bundle.catch(() => bundles.delete(entry));
    bundles.set(entry, bundle);
  }
  return bundle;
}

async function run(entry: string): Promise<WorkerBundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*', 'node:*'],
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`${entry}: esbuild made no output`);
  return { code: file.text, metafile };
}
