import { open, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

/** A file of the UI, as read. */
export interface UiFile {
  readonly contentType: string;
  readonly content: Buffer<ArrayBuffer>;
  /** Changes with the file's content, without reading it. */
  readonly version: string;
  /** Its content as it is to be sent in these encodings, where that was prepared. */
  readonly encoded?: Readonly<Partial<Record<'br' | 'gzip', Buffer<ArrayBuffer>>>>;
}

/** Reads the files of one folder, and no others: see `openUiFolder`. */
export interface UiFolder {
  /** The file at a URL path below the folder, or null when there is none there or the path leaves the folder. */
  read(urlPath: string): Promise<UiFile | null>;
}

/** Written with this base by a build of Kong Manager, and of our own UI, in place of the path it will be served under. */
export const BUILT_BASE = '/__km_base__/';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.otf': 'font/otf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml; charset=utf-8',
  '.ttf': 'font/ttf',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webp': 'image/webp',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
};

/**
 * A folder of static UI files to be served under `base` (which ends with `/`); in its texts the base a build of Kong
 * Manager carries is replaced by it. Throws when the folder is missing or has no `index.html`.
 */
export async function openUiFolder(folder: string, base: string): Promise<UiFolder> {
  const root = await realpath(folder).catch(() => {
    throw new Error(`'${folder}' is not there or cannot be read`);
  });
  const read = async (urlPath: string): Promise<UiFile | null> => {
    const path = await pathInside(root, urlPath);
    if (path === null) return null;
    const file = await readRegularFile(path);
    if (file === null) return null;
    const contentType = CONTENT_TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';
    if (!contentType.includes('charset')) return { ...file, contentType };
    const [br, gzip] = await Promise.all([readRegularFile(`${path}.br`), readRegularFile(`${path}.gz`)]);
    if (br !== null && gzip !== null) {
      return { ...file, contentType, encoded: { br: br.content, gzip: gzip.content } };
    }
    const content = Buffer.from(file.content.toString('utf8').replaceAll(BUILT_BASE, base));
    return { ...file, content, contentType };
  };
  if ((await read('/index.html')) === null) throw new Error(`'${folder}' has no index.html that can be read`);
  return { read };
}

/** The real path a URL path names; null when nothing is there, or it is outside `root`, through a link too. */
async function pathInside(root: string, urlPath: string): Promise<string | null> {
  let decoded: string;
  try {
    decoded = decodeURIComponent(urlPath);
  } catch {
    return null;
  }
  if (decoded.includes('\0') || decoded.includes('\\')) return null;
  const path = await realpath(join(root, decoded)).catch(() => null);
  return path?.startsWith(root.endsWith(sep) ? root : root + sep) ? path : null;
}

async function readRegularFile(path: string): Promise<Pick<UiFile, 'content' | 'version'> | null> {
  const handle = await open(path, 'r').catch(() => null);
  if (handle === null) return null;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) return null;
    return { content: await handle.readFile(), version: `${stat.size.toString(36)}-${stat.mtimeMs.toString(36)}` };
  } finally {
    await handle.close();
  }
}
