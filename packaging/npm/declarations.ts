import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What is imported of the package, by the globals it is written with. */
const PROGRAMS = [
  { entries: ['shared/plugins/kit.ts', 'edge-dp/plugins/kit.ts'], types: '@cloudflare/workers-types', more: [] },
  { entries: ['testing/main.ts'], types: 'node', more: ['cp/lua/webassembly.d.ts'] },
];

/** Writes the declarations of what is imported of the package, and of what they name, into `folder`. Throws what tsc says. */
export async function writeDeclarations(folder: string): Promise<void> {
  await Promise.all(PROGRAMS.map((program) => declare(program, folder)));
}

async function declare({ entries, types, more }: (typeof PROGRAMS)[number], folder: string): Promise<void> {
  // Within the clone, where packages' types are found.
  await mkdir(join(ROOT, 'build'), { recursive: true });
  const made = await mkdtemp(join(ROOT, 'build/declarations-'));
  try {
    const config = {
      extends: '../../tsconfig.json',
      compilerOptions: {
        lib: ['ES2024'],
        types: [types],
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        // `npm run typecheck` does that.
        noCheck: true,
        rootDir: '../..',
        outDir: 'out',
      },
      files: [...entries, ...more].map((file) => `../../${file}`),
    };
    await writeFile(join(made, 'tsconfig.json'), JSON.stringify(config));
    await compile(join(made, 'tsconfig.json'));
    await copyReachable(entries, join(made, 'out'), folder);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

async function compile(config: string): Promise<void> {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', config]).catch((error: { stdout: string }) => {
    throw new Error(`declarations cannot be made: ${error.stdout}`);
  });
}

/** Where a declaration names another file of the package. */
const NEIGHBOUR = /((?:\bfrom |\bimport\(|\bimport )['"])(\.[^'"]+)\.ts(?=['"])/g;

/** Most of what was compiled is behind what is imported, and named by nothing of it. */
async function copyReachable(entries: readonly string[], from: string, to: string): Promise<void> {
  const waiting = [...entries];
  const seen = new Set(waiting);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const name = file.replace(/\.ts$/, '.d.ts');
    const text = await readFile(join(from, name), 'utf8');
    for (const [, , path] of text.matchAll(NEIGHBOUR)) {
      const neighbour = join(dirname(file), `${path}.ts`);
      if (!seen.has(neighbour)) waiting.push(neighbour);
      seen.add(neighbour);
    }
    await mkdir(dirname(join(to, name)), { recursive: true });
    await writeFile(join(to, name), text.replace(NEIGHBOUR, '$1$2.js'));
  }
}
