import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { BUILT_BASE } from './files.ts';

/** The sources of Holdfast's own UI. */
export const WEB = fileURLToPath(new URL('./web', import.meta.url));

/** What a bundle was made of. */
export interface BundleInputs {
  /** Its own sources, relative to the repository; packages are as the lockfile says. */
  readonly sources: readonly string[];
}

/** What a browser must load before it shows anything, in bytes. */
interface FirstLoad {
  readonly raw: number;
  readonly gzip: number;
  readonly brotli: number;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const zip = promisify(gzip);
const brotli = promisify(brotliCompress);

/**
 * Writes the UI that is in `web/` into `folder`, as browsers get it: `index.html` and, in `assets/`, files that are named by their
 * content, each compressed beside it (`.br`, `.gz`). Throws esbuild's errors, and when its packages are not installed.
 */
export async function bundleUi(folder: string): Promise<BundleInputs & { readonly firstLoad: FirstLoad }> {
  // Only who bundles needs it: a start reads what an earlier one has left.
  const { build } = await import('esbuild');
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [join(WEB, 'main.tsx')],
    outdir: join(folder, 'assets'),
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: ['es2022', 'chrome111', 'firefox114', 'safari16.4'],
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'silent',
    metafile: true,
    write: false,
  });
  const named = ([name]: readonly [string, unknown]) => basename(name);
  const outputs = Object.entries(metafile.outputs);
  // What is imported later counts as an entry point, too.
  const entry = outputs.find(([, { entryPoint }]) => entryPoint === relative(ROOT, join(WEB, 'main.tsx')));
  if (entry === undefined) throw new Error('esbuild made no script of main.tsx');
  const style = entry[1].cssBundle;
  const before = [...reached(metafile.outputs, entry[0])].map((name) => basename(name));
  const page = indexPage(
    named(entry),
    before.filter((name) => name !== named(entry)),
    style === undefined ? [] : [basename(style)],
  );
  const first = new Set([...before, ...(style === undefined ? [] : [basename(style)]), 'index.html']);

  const total = { raw: 0, gzip: 0, brotli: 0 };
  const files = [
    ...outputFiles.map(({ path, contents }) => ({ path, content: Buffer.from(contents) })),
    { path: join(folder, 'index.html'), content: Buffer.from(page) },
  ];
  for (const { path, content } of files) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    // Its base is put in when it is served.
    const isPage = path.endsWith('index.html');
    const [gz, br] = await Promise.all([zip(content, { level: 9 }), brotli(content, BROTLI)]);
    if (!isPage) await Promise.all([writeFile(`${path}.gz`, gz), writeFile(`${path}.br`, br)]);
    if (!first.has(basename(path))) continue;
    total.raw += content.length;
    total.gzip += gz.length;
    total.brotli += br.length;
  }
  const sources = Object.keys(metafile.inputs).filter((path) => !path.includes('node_modules/'));
  return { sources: sources.map((path) => relative(ROOT, join(ROOT, path))).sort(), firstLoad: total };
}

/** Nearly as small as the highest quality, in a tenth of its time. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };

/** The scripts that are loaded with one, by what they import at once. */
function reached(
  outputs: Readonly<Record<string, { readonly imports: readonly { path: string; kind: string }[] }>>,
  name: string,
  seen = new Set<string>(),
): Set<string> {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const { path, kind } of outputs[name]?.imports ?? []) {
    if (kind === 'import-statement') reached(outputs, path, seen);
  }
  return seen;
}

/** An anchor in the colours of the UI. */
const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b7285"/><path d="M16 6v20M9 18c0 5 3 8 7 8s7-3 7-8M11 11h10" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/></svg>';

function indexPage(entry: string, preloads: readonly string[], styles: readonly string[]): string {
  const asset = (name: string) => `${BUILT_BASE}assets/${name}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Holdfast Manager</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
${styles.map((name) => `<link rel="stylesheet" href="${asset(name)}">`).join('\n')}
${preloads.map((name) => `<link rel="modulepreload" href="${asset(name)}">`).join('\n')}
<script src="${BUILT_BASE}kconfig.js"></script>
<script type="module" src="${asset(entry)}"></script>
</head>
<body>
<div id="root"></div>
<noscript>The Manager needs JavaScript. The Admin API can be used without it.</noscript>
</body>
</html>
`;
}

/** SHA-256 of files' content and names, in hexadecimal. */
export function digestOf(files: readonly (readonly [name: string, content: Buffer | string])[]): string {
  const hash = createHash('sha256');
  for (const [name, content] of files) hash.update(`${name}\0${content.length}\0`).update(content);
  return hash.digest('hex');
}
