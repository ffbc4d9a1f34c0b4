import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

import type { UiFile, UiFolder } from './files.ts';
import { kconfigScript, type UiConfiguration } from './kconfig.ts';
import { welcomePage } from './welcome.ts';

interface UiOptions {
  /** The UI's files; null: one page says that there is none. */
  readonly folder: UiFolder | null;
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
export function createUi({ folder, configuration, version }: UiOptions): UiHandler {
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
    if (folder === null) {
      if (path !== '' && path !== '/') return text(request, 404, 'Not found\n');
      const page = welcomePage(adminApi(url, configuration), version);
      return text(request, 200, page, { 'Content-Type': 'text/html; charset=utf-8' });
    }
    const named = path === '' || path === '/' ? null : await folder.read(path);
    const file = named ?? (FILE.test(path) ? null : await folder.read('/index.html'));
    return file === null
      ? text(request, 404, 'Not found\n')
      : send(request, named === null ? '/index.html' : path, file);
  };
}

/** Where the Admin API is for a browser that found this server at `url`; as Kong Manager concludes from `kconfig.js`. */
function adminApi(url: URL, { apiUrl, apiPort, apiTlsPort }: UiConfiguration): string {
  if (apiUrl !== null) return /^(https?:)?\/\//.test(apiUrl) ? apiUrl : `${url.protocol}//${apiUrl}`;
  const port = url.protocol === 'https:' ? apiTlsPort : apiPort;
  if (port !== null) return `${url.protocol}//${url.hostname}:${port}`;
  const [protocol, other] = apiPort === null ? ['https:', apiTlsPort] : ['http:', apiPort];
  return `${protocol}//${url.hostname}:${other ?? ''}`;
}

/** Where bundlers put the hash of a file's content: eight characters of base 64 or 32, or more hexadecimal digits. */
const HASH = /[.-]([A-Za-z0-9_-]{8}|[0-9a-f]{10,64})\.(?:js|mjs|css|woff2?|ttf|otf|svg|png|jpe?g|webp|wasm)$/;

/** Whether another content has another name. A word, as in `inter-Variable.woff2`, is no hash. */
function tellsContent(path: string): boolean {
  const [, hash] = HASH.exec(path) ?? [];
  return hash !== undefined && /[0-9]|.[A-Z]/.test(hash);
}

/** A file, to be asked about each time but sent once, unless its name tells its content: a UI may be replaced under the same names. */
async function send(request: Request, path: string, file: UiFile): Promise<Response> {
  const headers = {
    ...GUARDS,
    'Content-Type': file.contentType,
    'Cache-Control': tellsContent(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
    ETag: `W/"${file.version}"`,
    Vary: 'Accept-Encoding',
  };
  if (request.headers.get('if-none-match') === headers.ETag) return new Response(null, { status: 304, headers });
  const zips = file.contentType.includes('charset') && /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '');
  const content = zips ? new Uint8Array(await compress(file.content)) : file.content;
  return new Response(request.method === 'HEAD' ? null : content, {
    headers: {
      ...headers,
      ...(zips ? { 'Content-Encoding': 'gzip' } : {}),
      'Content-Length': String(content.byteLength),
    },
  });
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
