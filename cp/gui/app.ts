import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

import { adminAddress } from './admin-address.ts';
import type { UiFile, UiFolder } from './files.ts';
import { kconfigScript, type UiConfiguration } from './kconfig.ts';
import { welcomePage } from './welcome.ts';

interface UiOptions {
  /** The files of `admin_gui_dir`, or those of our own UI, which may still have to be made: then what is missing is told on one page. */
  readonly files: UiFolder | (() => Promise<UiFolder>);
  readonly configuration: UiConfiguration;
  /** Holdfast's own version. */
  readonly version: string;
}

/** Answers one request of a browser. */
type UiHandler = (request: Request) => Promise<Response>;

const compress = promisify(gzip);

/** A path that ends like this is a file or nothing; every other path is one of the UI's own, and gets `index.html`. */
const FILE = /\.(css|ico|jpe?g|js|json|map|mjs|otf|png|svg|ttf|txt|wasm|webp|woff2?)$/i;

/** Against being framed, guessed at, and telling other sites where one came from. */
const GUARDS = {
  'X-Frame-Options': 'SAMEORIGIN',
  'X-Content-Type-Options': 'nosniff',
  'X-Permitted-Cross-Domain-Policies': 'none',
  'Referrer-Policy': 'strict-origin-when-cross-origin',
};

/**
 * The server side of a web UI, as Kong's host 8002 is to Kong Manager: static files under `admin_gui_path`, the
 * generated `kconfig.js`, and `index.html` for the paths of the UI's own router.
 */
export function createUi({ files, configuration, version }: UiOptions): UiHandler {
  const isOwn = typeof files === 'function';
  const prefix = configuration.path === '/' ? '' : configuration.path;
  return async function answer(request) {
    const url = new URL(request.url);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return text(request, 405, 'Method not allowed\n', { Allow: 'GET, HEAD' });
    }
    if (url.pathname !== prefix && !url.pathname.startsWith(`${prefix}/`)) {
      return text(request, 404, `The web UI is at ${configuration.path}\n`);
    }
    const path = url.pathname.slice(prefix.length);
    if (path === '/robots.txt') return text(request, 200, 'User-agent: *\nDisallow: /\n');
    if (path === '/kconfig.js') {
      return text(request, 200, kconfigScript(configuration), {
        'Content-Type': 'text/javascript; charset=utf-8',
        'Cache-Control': 'no-store',
      });
    }
    let folder: UiFolder;
    try {
      folder = isOwn ? await files() : files;
    } catch (error) {
      const page = welcomePage(adminAddress(url, configuration), version, String(error));
      return text(request, 503, page, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
    }
    const named = path === '' || path === '/' ? null : await folder.read(path);
    const file = named ?? (FILE.test(path) ? null : await folder.read('/index.html'));
    if (file === null) return text(request, 404, 'Not found\n');
    return send(request, named === null ? '/index.html' : path, file, isOwn ? policy(url, configuration) : {});
  };
}

/**
 * What pages of our own UI may load and ask: their own files and the Admin API. Styles are also set by its components; scripts are
 * files of its own, and nothing else. What `admin_gui_dir` brings has needs of its own.
 */
function policy(page: URL, configuration: UiConfiguration): Record<string, string> {
  // A policy has no word for an IPv6 address, and one that it cannot read counts as none: its port on any host is the least there is.
  const admin = new URL(adminAddress(page, configuration)).origin.replace(/\[.*\]/, '*');
  const rules = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    `connect-src 'self' ${admin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ];
  return { 'Content-Security-Policy': rules.join('; ') };
}

/** Where bundlers put the hash of a file's content: eight characters of base 64 or 32, or more hexadecimal digits. */
const HASH = /[.-]([A-Za-z0-9_-]{8}|[0-9a-f]{10,64})\.(?:js|mjs|css|woff2?|ttf|otf|svg|png|jpe?g|webp|wasm)$/;

/** Whether another content has another name. A word, as in `inter-Variable.woff2`, is no hash. */
function tellsContent(path: string): boolean {
  const [, hash] = HASH.exec(path) ?? [];
  return hash !== undefined && /[0-9]|.[A-Z]/.test(hash);
}

/** A file, to be asked about each time but sent once, unless its name tells its content: a UI may be replaced under the same names. */
async function send(
  request: Request,
  path: string,
  file: UiFile,
  policy: Readonly<Record<string, string>>,
): Promise<Response> {
  const headers = {
    ...GUARDS,
    ...policy,
    'Content-Type': file.contentType,
    'Cache-Control': tellsContent(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
    ETag: `W/"${file.version}"`,
    Vary: 'Accept-Encoding',
  };
  if (request.headers.get('if-none-match') === headers.ETag) return new Response(null, { status: 304, headers });
  const { encoding, content } = await encoded(file, request.headers.get('accept-encoding') ?? '');
  return new Response(request.method === 'HEAD' ? null : new Uint8Array(content), {
    headers: {
      ...headers,
      ...(encoding === null ? {} : { 'Content-Encoding': encoding }),
      'Content-Length': String(content.byteLength),
    },
  });
}

/** A file as a browser can take it, smallest first. */
async function encoded(
  { contentType, content, encoded }: UiFile,
  accepted: string,
): Promise<{ readonly encoding: 'br' | 'gzip' | null; readonly content: Buffer<ArrayBuffer> }> {
  if (encoded?.br !== undefined && /\bbr\b/.test(accepted)) return { encoding: 'br', content: encoded.br };
  if (!contentType.includes('charset') || !/\bgzip\b/.test(accepted)) return { encoding: null, content };
  return { encoding: 'gzip', content: encoded?.gzip ?? (await compress(content)) };
}

function text(request: Request, status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(request.method === 'HEAD' ? null : body, {
    status,
    headers: {
      ...GUARDS,
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(body)),
      ...headers,
    },
  });
}
