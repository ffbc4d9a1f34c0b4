import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { bundleUi } from '../../cp/gui/bundle.ts';
import manifest from '../../package.json' with { type: 'json' };
import { writeDeclarations } from './declarations.ts';
import { packageLock } from './lockfile.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What of the sources is part of the package, besides the planes and what they share. */
const FOLDERS = ['cp', 'edge-dp', 'shared', 'testing'];
/** Sources that nobody needs who has what is made of them. */
const BUNDLED = 'cp/gui/web/';
/** JavaScript, too, that imports what is none yet. */
const ENTRY = 'cp/holdfast.js';
const MORE_SOURCES = ['test/edge-dp/plugins/fakes.ts'];
const DOCUMENTS = ['LICENSE', 'README.md', 'CHANGELOG.md', 'docs'];

/**
 * Writes the npm package into `folder`, ready for `npm pack` or `npm publish`: the files where they are in a clone, each as JavaScript,
 * since Node runs no TypeScript in node_modules, with declarations of what is imported of it, and the web UI as browsers get it. The Worker is bundled from them when it starts, as in
 * a clone. What was in the folder goes. Throws esbuild's errors.
 */
export async function buildPackage(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  const found = (await Promise.all(FOLDERS.map(filesIn))).flat();
  const files = [...found.filter((file) => !file.startsWith(BUNDLED)), ...MORE_SOURCES];
  const sources = files.filter((file) => (file.endsWith('.ts') && !file.endsWith('.d.ts')) || file === ENTRY);
  await build({
    absWorkingDir: ROOT,
    entryPoints: sources,
    outdir: folder,
    outbase: ROOT,
    bundle: true,
    platform: 'neutral',
    format: 'esm',
    target: 'es2024',
    supported: { 'import-attributes': true },
    charset: 'utf8',
    logLevel: 'silent',
    plugins: [besideEachOther],
  });
  const others = files.filter((file) => !sources.includes(file) && !/(?:\.ts|tsconfig\.json)$/.test(file));
  for (const file of [...others, ...DOCUMENTS]) await copy(file, join(folder, file));
  await Promise.all([bundleUi(join(folder, BUNDLED)), writeDeclarations(folder)]);
  await copy('packaging/npm/launcher.js', join(folder, 'launcher.js'));
  const made = packageJson();
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(made, null, 2)}\n`);
  // npm publishes none: it is for `npm ci` in the folder itself, as the image does.
  await writeFile(join(folder, 'package-lock.json'), `${JSON.stringify(packageLock(made), null, 2)}\n`);
}

/** Imports stay imports: of packages, and of the neighbour, which is JavaScript by then. */
const besideEachOther: Plugin = {
  name: 'beside each other',
  setup(building) {
    building.onResolve({ filter: /.*/ }, ({ path, kind }) => {
      if (kind === 'entry-point') return undefined;
      return { path: path.startsWith('.') ? path.replace(/\.ts$/, '.js') : path, external: true };
    });
  },
};

function packageJson() {
  const { version, description, license, type, engines, dependencies, optionalDependencies } = manifest;
  return {
    name: '@holdfast-gateway/holdfast',
    version,
    description,
    license,
    type,
    engines,
    bin: { holdfast: 'launcher.js' },
    exports: Object.fromEntries(
      Object.entries(manifest.exports).map(([name, file]) => [
        name,
        { types: file.replace(/\.ts$/, '.d.ts'), default: file.replace(/\.ts$/, '.js') },
      ]),
    ),
    dependencies,
    optionalDependencies,
    // For `holdfast/testing` and `holdfast dev`.
    peerDependencies: { miniflare: manifest.devDependencies.miniflare },
    peerDependenciesMeta: { miniflare: { optional: true } },
    publishConfig: { access: 'public' },
  };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, folder), { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length))
    .sort();
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(join(ROOT, from), to, { recursive: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = resolve(process.argv[2] ?? join(ROOT, 'build/package'));
  await buildPackage(folder);
  process.stdout.write(`${folder}\n`);
}
