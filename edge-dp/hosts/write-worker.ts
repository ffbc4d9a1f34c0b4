import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorker } from './bundle-worker.ts';
import { type PluginChoice, workerEntry } from './own-plugins.ts';

/**
 * Bundles the Worker with these plugins into `folder`, as `wrangler` uploads it: `worker.js` and the WebAssembly it imports. What
 * an earlier call left there of either kind goes. Resolves with the files' paths; throws esbuild's errors.
 */
export async function writeWorker(choice: PluginChoice, folder: string): Promise<readonly string[]> {
  const entries = await mkdtemp(join(tmpdir(), 'holdfast-worker-'));
  try {
    const { code, wasm } = await bundleWorker(await workerEntry(choice, entries));
    await mkdir(folder, { recursive: true });
    const files = [{ name: 'worker.js', bytes: code }, ...wasm];
    const stale = (await readdir(folder)).filter((name) => name.endsWith('.wasm'));
    await Promise.all(stale.map((name) => rm(join(folder, name))));
    await Promise.all(files.map(({ name, bytes }) => writeFile(join(folder, name), bytes)));
    return files.map(({ name }) => join(folder, name));
  } finally {
    await rm(entries, { recursive: true, force: true });
  }
}
