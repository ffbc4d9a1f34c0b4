import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { bundleWorker, WORKER_ENTRY } from '../../edge-dp/hosts/bundle-worker.ts';

test('the Worker carries no schemas, no schema library and nothing of the control plane', async () => {
  const { metafile } = await bundleWorker();
  // Inputs of which nothing was left over in the output: types, and constants that were folded in.
  const [output] = Object.values(metafile.outputs);
  const inputs = Object.entries(output?.inputs ?? {}).flatMap(([file, { bytesInOutput }]) =>
    bytesInOutput > 0 ? [file] : [],
  );
  expect(inputs).toContain('edge-dp/worker.ts');
  expect(inputs.filter((file) => /^shared\/(schema|entities|plugins)\/|^cp\/|^edge-dp\/hosts\//.test(file))).toEqual(
    [],
  );
  const packages = new Set(inputs.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
  expect([...packages].toSorted()).toEqual(expect.arrayContaining(['jose']));
  for (const library of ['zod', 'ajv', 'hono', 'undici', 'valibot', 'typebox']) expect(packages).not.toContain(library);
});

/** Whether a WebAssembly module exports what Lua's work is counted by. */
const counts = (bytes: Uint8Array<ArrayBuffer>) =>
  WebAssembly.Module.exports(new WebAssembly.Module(bytes)).some((each) => 'name' in each && each.name === 'work');

test('Lua counts its work in every bundle, whatever it is for and from where it is read', async () => {
  const { wasm } = await bundleWorker();
  expect(wasm.filter(({ bytes }) => counts(bytes)).map(({ name }) => name)).toEqual(['liblua5.1.wasm']);
  const { code } = await bundleWorker(WORKER_ENTRY, 'node');
  const embedded = [
    ...new TextDecoder()
      .decode(code)
      .matchAll(/WebAssembly\.Module\(Buffer\.from\(["']([^"']+)["'], ?["']base64["']\)\)/g),
  ];
  expect(embedded.map(([, text = '']) => counts(new Uint8Array(Buffer.from(text, 'base64')))).toSorted()).toEqual([
    false,
    true,
  ]);
});

test('wrangler has the Worker bundled with the plugins of the settings, and takes it with the repository configuration', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast wrangler '));
  try {
    const wrangler = resolve('node_modules/wrangler/bin/wrangler.js');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [wrangler, 'deploy', '--dry-run', '--outdir', folder],
      {
        env: {
          ...process.env,
          HOLDFAST_PLUGINS: 'key-auth, pre-function, teapot',
          HOLDFAST_PLUGINS_DIR: resolve('test/own-plugins'),
          WRANGLER_SEND_METRICS: 'false',
          CI: 'true',
          HOME: folder,
          XDG_CONFIG_HOME: folder,
        },
      },
    );
    expect(stdout).toContain('a Worker with 3 plugins, of your own: teapot');
    expect(stdout).toMatch(/liblua5\.1\.wasm\W+compiled-wasm/);
    const [lua = ''] = (await readdir(folder)).filter((file) => file.endsWith('liblua5.1.wasm'));
    expect(counts(new Uint8Array(await readFile(join(folder, lua))))).toBe(true);
    for (const binding of ['env.LINK', 'env.KV', 'env.NODE', 'env.SETTINGS', 'env.CONTROL_PLANE']) {
      expect(stdout).toContain(binding);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
