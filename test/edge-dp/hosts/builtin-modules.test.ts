import { execFileSync } from 'node:child_process';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { builtinModules } from '../../../edge-dp/hosts/builtin-modules.ts';
import { bundleWorker } from '../../../edge-dp/hosts/bundle-worker.ts';

/** What a program with these imports writes. */
async function run(program: string): Promise<unknown> {
  const { outputFiles } = await build({
    stdin: { contents: program },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    plugins: [builtinModules],
  });
  const code = outputFiles[0]?.text ?? '';
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' }));
}

test("imports of Node's modules are what those have, by name and as a whole", async () => {
  const told = await run(`
    import http, { createServer } from 'node:http';
    import { webcrypto as crypto, constants } from 'node:crypto';
    import { connect as secure } from 'node:tls';
    import { connect } from 'node:net';
    import * as path from 'node:path';
    console.log(JSON.stringify([
      http.createServer === createServer, typeof crypto.subtle, 'SSL_OP_ALL' in constants, secure !== connect, path.join('a', 'b'),
    ]));
  `);
  expect(told).toEqual([true, 'object', true, true, 'a/b']);
});

test("what is imported of Node's HTTP does not bring its Fetch along", async () => {
  const fetchIsThere = "process.moduleLoadList.includes('NativeModule internal/deps/undici/undici')";
  const told = await run(`
    import { createServer } from 'node:http';
    const before = ${fetchIsThere};
    new Request('http://localhost/');
    console.log(JSON.stringify([typeof createServer, before, ${fetchIsThere}]));
  `);
  expect(told).toEqual(['function', false, true]);
});

test("the Worker that processes on Node run imports none of Node's modules as ES modules", async () => {
  const { metafile } = await bundleWorker(undefined, 'node');
  const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports);
  const statements = imported.filter(({ kind, path }) => kind === 'import-statement' && path.startsWith('node:'));
  expect(statements).toEqual([]);
});
