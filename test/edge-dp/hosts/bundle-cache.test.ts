import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keepBundle, keptBundle } from '../../../edge-dp/hosts/bundle-cache.ts';
import type { WorkerBundle } from '../../../edge-dp/hosts/bundle-worker.ts';

let folder: string;
const at = (name: string) => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast bundles '));
  write('entry.ts', "import { word } from './word.ts';\nconsole.log(word);\n");
  write('word.ts', "export const word = 'one';\n");
  write('lua.wasm', '\0asm');
  write('maker.ts', '');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** As a file that was there before this process. */
function write(name: string, content: string, time = new Date(performance.timeOrigin - 60_000)): void {
  writeFileSync(at(name), content);
  utimesSync(at(name), time, time);
}

async function bundle(): Promise<WorkerBundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [at('entry.ts')],
    bundle: true,
    write: false,
    metafile: true,
  });
  return {
    code: new Uint8Array(outputFiles[0]?.contents ?? []),
    wasm: [{ name: 'lua.wasm', bytes: new Uint8Array(readFileSync(at('lua.wasm'))) }],
    metafile,
  };
}

async function keep(): Promise<WorkerBundle> {
  const made = await bundle();
  keepBundle('worker', made, new Map([['lua.wasm', at('lua.wasm')]]), [at('maker.ts')], at('cache'));
  return made;
}

const kept = () => keptBundle('worker', at('cache'));

it('gives back what was kept, under its own name', async () => {
  expect(kept()).toBeUndefined();
  const made = await keep();
  expect(new TextDecoder().decode(made.code)).toContain('one');
  expect(kept()).toEqual(made);
  expect(keptBundle('another', at('cache'))).toBeUndefined();
});

it.each(['word.ts', 'lua.wasm', 'maker.ts'])(
  'gives nothing back once %s has another content of the same size and time',
  async (name) => {
    await keep();
    const { size, mtime } = statSync(at(name));
    const other = size === 0 ? ' ' : readFileSync(at(name), 'utf8').replace(/one|asm/, 'two');
    write(name, other, mtime);
    expect(kept()).toBeUndefined();
  },
);

it('looks through large files to their end', async () => {
  const large = 'x'.repeat(3 << 20);
  write('maker.ts', large);
  await keep();
  expect(kept()).toBeDefined();
  write('maker.ts', `${large.slice(1)}y`, statSync(at('maker.ts')).mtime);
  expect(kept()).toBeUndefined();
});

it('gives nothing back once a file is gone, or what was kept was cut off', async () => {
  await keep();
  rmSync(at('word.ts'));
  expect(kept()).toBeUndefined();
  write('word.ts', "export const word = 'one';\n");
  expect(kept()).toBeDefined();
  const [file = ''] = readdirSync(at('cache'));
  writeFileSync(join(at('cache'), file), readFileSync(join(at('cache'), file)).subarray(0, 500));
  expect(kept()).toBeUndefined();
});

it('keeps nothing of files that were written since the process began, which may have read older ones', async () => {
  write('maker.ts', '', new Date());
  await keep();
  expect(kept()).toBeUndefined();
});

it('goes on without where it cannot write', async () => {
  writeFileSync(at('cache'), 'a file in the place of the folder');
  await keep();
  expect(kept()).toBeUndefined();
  rmSync(at('cache'));
  mkdirSync(at('cache'));
  await keep();
  expect(kept()).toBeDefined();
});
