import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions, Metafile, Plugin } from 'esbuild';
import { builtinModules } from './builtin-modules.ts';
import { keepBundle, keptBundle, PROJECT } from './bundle-cache.ts';
import { moduleFile } from './module-file.ts';
import { kits } from './plugin-kits.ts';
import { wasmBytes } from './wasm-files.ts';

/** A Worker as one ES module, ready to be embedded in a workerd or Miniflare configuration. */
export interface WorkerBundle {
  /** UTF-8. */
  readonly code: Uint8Array<ArrayBuffer>;
  /** WebAssembly that the code imports by these names, for the host to compile. */
  readonly wasm: readonly { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }[];
  /** What went into it, and from where (esbuild's own description). */
  readonly metafile: Metafile;
}

/** Both hosts run the data plane under the same rules of the runtime. */
export const COMPATIBILITY_DATE = '2026-07-01';
export const COMPATIBILITY_FLAGS: readonly string[] = [
  // `request.signal` tells that the client has left, where the runtime notices.
  'enable_request_signal',
];

/** The data plane Worker. */
export const WORKER_ENTRY = moduleFile('../worker', import.meta.url);

/** The same, with a clock that tests can put ahead. */
export const TESTED_ENTRY = moduleFile('../worker-under-test', import.meta.url);

/** What is here decides what comes out of the same files. */
const MAKERS = [
  fileURLToPath(import.meta.url),
  ...['./builtin-modules', './plugin-kits', './wasm-files', '../../shared/lua/metering'].map((path) =>
    moduleFile(path, import.meta.url),
  ),
];

const bundles = new Map<string, Promise<WorkerBundle>>();

/** `node`: with what runs it in a process of Node's. */
type Target = 'workers' | 'node';

/**
 * Bundles the Worker whose entry file is `entry` (milliseconds); the same entry is bundled once per process, and read
 * from what an earlier one kept while its sources are the same. Modules
 * the runtime itself provides (`cloudflare:*`, `node:*`) stay imports. Throws esbuild's errors, which name the file and line.
 */
export function bundleWorker(entry: string = WORKER_ENTRY, target: Target = 'workers'): Promise<WorkerBundle> {
  const key = `${target} ${entry}`;
  let bundle = bundles.get(key);
  if (bundle === undefined) {
    bundle = run(entry, target);
    // A failure is not kept: the file may be mended while this process lives (development).
    bundle.catch(() => bundles.delete(key));
    bundles.set(key, bundle);
  }
  return bundle;
}

async function run(entry: string, target: Target): Promise<WorkerBundle> {
  // Entries that are written anew at each start (with an operator's own plugins) are not kept.
  if (!entry.startsWith(PROJECT)) return make(entry, target, new Map());
  const name = `${target} ${entry}`;
  const kept = keptBundle(name);
  if (kept !== undefined) return kept;
  const wasm = new Map<string, string>();
  const bundle = await make(entry, target, wasm);
  keepBundle(name, bundle, wasm, MAKERS);
  return bundle;
}

async function make(entry: string, target: Target, wasm: Map<string, string>): Promise<WorkerBundle> {
  // Seldom wanted: a bundle that was made is kept.
  const { build } = await import('esbuild');
  const { outputFiles, metafile } = await build({
    absWorkingDir: PROJECT,
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2024',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
    ...(target === 'node' ? nodeOptions(entry) : workerOptions(entry, wasm)),
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`${entry}: esbuild made no output`);
  return {
    code: new Uint8Array(file.contents),
    wasm: [...wasm].map(([name, path]) => ({ name, bytes: wasmBytes(path) })),
    metafile,
  };
}

function workerOptions(entry: string, wasm: Map<string, string>) {
  return {
    entryPoints: [entry],
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*', 'node:*'],
    plugins: [importedWasm(wasm), kits],
  } satisfies BuildOptions;
}

/** Characters of a line, about. */
const LINE = 160;

const NODE_MAIN = moduleFile('./node/process/main', import.meta.url);

function nodeOptions(entry: string) {
  const lines = [`import * as worker from ${JSON.stringify(entry)};`];
  lines.push(`import { run } from ${JSON.stringify(NODE_MAIN)};`, 'run(worker);');
  return {
    stdin: {
      contents: lines.join('\n'),
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
      sourcefile: 'node-process.ts',
    },
    platform: 'node',
    conditions: ['worker', 'import'],
    // What Node reads, copies and hashes at each start; lines are there for who reads where an error came from.
    charset: 'ascii',
    minifyWhitespace: true,
    lineLimit: LINE,
    plugins: [builtinModules, installedPackages, compiledWasm, kits],
    alias: {
      'cloudflare:workers': moduleFile('./node/runtime/workers', import.meta.url),
      'cloudflare:sockets': moduleFile('./node/runtime/sockets', import.meta.url),
    },
  } satisfies BuildOptions;
}

/** Packages written for Node, which are no ES modules, are loaded from where they are installed: the bundle lies elsewhere. */
const installedPackages: Plugin = {
  name: 'installed packages',
  setup(building) {
    building.onResolve({ filter: /^(?:undici|ws|@hono\/node-server)$/ }, ({ path }) => ({
      path: import.meta.resolve(path),
      external: true,
    }));
  },
};

/** `.wasm` files as modules compiled when the process starts, as the other runtimes do. */
const compiledWasm: Plugin = {
  name: 'compiled wasm',
  setup(building) {
    building.onLoad({ filter: /\.wasm$/ }, ({ path }) => ({
      contents: `export default new WebAssembly.Module(Buffer.from('${Buffer.from(wasmBytes(path)).toString('base64')}', 'base64'));`,
      loader: 'js',
    }));
  },
};

/** Leaves imports of `.wasm` files as imports of modules of the same name, and notes which files those are. */
function importedWasm(found: Map<string, string>): Plugin {
  return {
    name: 'wasm',
    setup(building) {
      building.onResolve({ filter: /\.wasm$/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData === RESOLVING) return undefined;
        const file = await building.resolve(path, { importer, resolveDir, kind, pluginData: RESOLVING });
        if (file.errors.length > 0) return { errors: file.errors };
        const name = basename(file.path);
        if ((found.get(name) ?? file.path) !== file.path) {
          return { errors: [{ text: `two WebAssembly files are called ${name}` }] };
        }
        found.set(name, file.path);
        return { path: `./${name}`, external: true };
      });
    },
  };
}

const RESOLVING = Symbol('already on the way');
