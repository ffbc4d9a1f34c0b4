import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { createUi } from '../../../cp/gui/app.ts';
import { ownUi } from '../../../cp/gui/own-ui.ts';
import { startUi, type UiListeners } from '../../../cp/gui/start.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { BrowserGuard } from '../../../cp/listeners/browser-guard.ts';
import type { ListenAddress } from '../../../cp/settings/addresses.ts';
import { loadSettings } from '../../../cp/settings/load.ts';

const ADMIN: ListenAddress[] = [
  { host: '127.0.0.1', port: 9444, tls: true, http2: false },
  { host: '127.0.0.1', port: 9001, tls: false, http2: false },
];
const PIXEL = Buffer.from('89504e470d0a1a0a2f5f5f6b6d5f626173655f5f2fff', 'hex');

/** As Rollup, esbuild and webpack name what they make, and as people name things. */
const HASHED = ['index-DqX3_1b2.js', 'chunk-7F3KQ2AB.css', 'main.8f14e45fceea167a5a36.js', 'Inter-kZpQwErT.woff2'];
const PLAIN = ['kong-manager-logo.svg', 'inter-Variable.woff2', 'service-worker.js', 'jquery.min.js', 'favicon.png'];

let folder: string;
let dist: string;
let running: UiListeners | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'a ui '));
  dist = join(folder, 'dist');
  mkdirSync(join(dist, 'assets'), { recursive: true });
  writeFileSync(join(dist, 'index.html'), '<script src="/__km_base__/kconfig.js"></script><a href="/__km_base__/x">');
  writeFileSync(join(dist, 'assets', 'a b.js'), 'import("/__km_base__/assets/c.js")');
  writeFileSync(join(dist, 'pixel.png'), PIXEL);
  for (const name of [...HASHED, ...PLAIN]) writeFileSync(join(dist, 'assets', name), name);
  writeFileSync(join(folder, 'secret.js'), 'secret');
  symlinkSync(join(folder, 'secret.js'), join(dist, 'linked.js'));
});
afterEach(() => running?.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Serves the UI with these settings; returns its address. */
async function serve(environment: Record<string, string>, admin = ADMIN): Promise<string> {
  const { settings } = loadSettings({ environment: { HOLDFAST_ADMIN_GUI_LISTEN: '127.0.0.1:0', ...environment } });
  running = await startUi(settings, admin, new BrowserGuard(settings, () => undefined), createLog('crit'));
  return `http://127.0.0.1:${running.addresses[0]?.port}`;
}

/** The status of a path sent as it is, which `fetch` would normalise. */
function statusOf(base: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(base, { path }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    sent.on('error', reject).end();
  });
}

describe('a web UI from admin_gui_dir', () => {
  it('is served with its base path put in, and index.html for the paths of its own router', async () => {
    const base = await serve({ HOLDFAST_ADMIN_GUI_DIR: dist });
    const index = '<script src="/kconfig.js"></script><a href="/x">';
    for (const path of ['/', '/index.html', '/services/a%20b/routes', '/plugins/select?x=1']) {
      const response = await fetch(base + path);
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(await response.text()).toBe(index);
    }
    expect(await (await fetch(`${base}/assets/a%20b.js`)).text()).toBe('import("/assets/c.js")');
    expect((await fetch(`${base}/assets/missing.js`)).status).toBe(404);
    expect((await fetch(base, { method: 'POST' })).status).toBe(405);
  });

  it('sends what is no text byte for byte', async () => {
    const base = await serve({ HOLDFAST_ADMIN_GUI_DIR: dist });
    const response = await fetch(`${base}/pixel.png`);
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(Buffer.from(await response.arrayBuffer())).toEqual(PIXEL);
  });

  it('lives under admin_gui_path and nowhere else', async () => {
    const base = await serve({ HOLDFAST_ADMIN_GUI_DIR: dist, KONG_ADMIN_GUI_PATH: '/kong/manager' });
    for (const path of ['/kong/manager', '/kong/manager/', '/kong/manager/services']) {
      expect(await (await fetch(base + path)).text()).toContain('"/kong/manager/kconfig.js"');
    }
    expect(await (await fetch(`${base}/kong/manager/kconfig.js`)).text()).toContain(
      "'ADMIN_GUI_PATH': '/kong/manager'",
    );
    for (const path of ['/', '/kong/managers', '/kconfig.js']) expect((await fetch(base + path)).status).toBe(404);
  });

  it('sends a file again only when it changed', async () => {
    const base = await serve({ HOLDFAST_ADMIN_GUI_DIR: dist });
    const file = join(dist, 'assets', 'app.js');
    writeFileSync(file, 'one');
    const etag = (await fetch(`${base}/assets/app.js`)).headers.get('etag') ?? '';
    const again = () => fetch(`${base}/assets/app.js`, { headers: { 'if-none-match': etag } });
    expect((await again()).status).toBe(304);
    writeFileSync(file, 'three');
    expect(await (await again()).text()).toBe('three');
  });

  it.each([
    '/../secret.js',
    '/%2e%2e/secret.js',
    '/..%2fsecret.js',
    '/assets/..%2f..%2fsecret.js',
    '/..%5csecret.js',
    '/linked.js',
    '/assets/x%00.js',
    '/%ff.js',
  ])('does not leave its folder for %s', async (path) => {
    const base = await serve({ HOLDFAST_ADMIN_GUI_DIR: dist });
    expect(await statusOf(base, path)).toBe(404);
  });

  it('is kept by browsers as far as names of files tell their content, and asked about otherwise', async () => {
    const base = await serve({ HOLDFAST_ADMIN_GUI_DIR: dist });
    const kept = async (path: string) => (await fetch(base + path)).headers.get('cache-control');
    for (const name of HASHED) expect(await kept(`/assets/${name}`), name).toBe('public, max-age=31536000, immutable');
    for (const name of PLAIN) expect(await kept(`/assets/${name}`), name).toBe('no-cache');
    expect(await kept('/')).toBe('no-cache');
  });

  it.each([
    ['is not there', 'nowhere', 'is not there'],
    ['has no index.html', 'dist/assets', 'has no index.html'],
  ])('is refused at start when the folder %s', async (_, name, reason) => {
    await expect(serve({ HOLDFAST_ADMIN_GUI_DIR: join(folder, name) })).rejects.toThrow(
      new RegExp(`^admin_gui_dir: .*${reason}`),
    );
  });
});

describe('kconfig.js', () => {
  /** The object the script gives a browser. */
  async function configOf(base: string): Promise<unknown> {
    const response = await fetch(`${base}/kconfig.js`);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const window: { K_CONFIG?: unknown } = {};
    new Function('window', await response.text())(window);
    return window.K_CONFIG;
  }

  it('tells where the UI and the Admin API are, all as text', async () => {
    expect(await configOf(await serve({}))).toEqual({
      ADMIN_GUI_PATH: '/',
      ADMIN_API_URL: '',
      ADMIN_API_PORT: '9001',
      ADMIN_API_SSL_PORT: '9444',
      ANONYMOUS_REPORTS: 'false',
    });
  });

  it('holds whatever admin_gui_api_url is, as text', async () => {
    const url = `https://api.test/it's"\\</script>`;
    expect(await configOf(await serve({ HOLDFAST_ADMIN_GUI_API_URL: url }, []))).toMatchObject({
      ADMIN_API_URL: url,
      ADMIN_API_PORT: '',
      ADMIN_API_SSL_PORT: '',
    });
  });
});

describe('without admin_gui_dir', () => {
  it('lets pages that are asked for by an IPv6 address ask the Admin API, for which a policy has no word', async () => {
    const configuration = { path: '/', apiUrl: null, apiPort: 8001, apiTlsPort: null };
    const ui = createUi({ files: ownUi('/'), configuration, version: '1' });
    const page = await ui(new Request('http://[2001:db8::1]:8002/'));
    expect(page.headers.get('content-security-policy')).toContain("connect-src 'self' http://*:8001;");
  }, 60_000);

  it('serves the Manager: its own scripts and the Admin API are all that its pages may use', async () => {
    const base = await serve({ HOLDFAST_ADMIN_GUI_PATH: '/manager' });
    const page = await fetch(`${base}/manager/data-planes?state=late`);
    const text = await page.text();
    expect([...text.matchAll(/<script[^>]*>([^<]*)</g)].map(([, inside]) => inside)).toEqual(['', '']);
    expect(text).toMatch(/<script type="module" src="\/manager\/assets\/main-/);
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const policy = (page.headers.get('content-security-policy') ?? '').split('; ');
    for (const rule of ["default-src 'none'", "script-src 'self'", "connect-src 'self' http://127.0.0.1:9001"]) {
      expect(policy).toContain(rule);
    }
    const assets = [...text.matchAll(/(?:src|href)="(\/manager\/assets\/[^"]+)"/g)].map(([, path]) => path ?? '');
    expect(assets.map((path) => path.split('.').at(-1)).sort()).toContain('css');
    for (const path of assets) {
      const asset = await fetch(base + path, { headers: { 'accept-encoding': 'br' } });
      expect([asset.status, asset.headers.get('content-encoding')]).toEqual([200, 'br']);
      expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(asset.headers.get('content-security-policy')).not.toBeNull();
      expect(await asset.text()).not.toBe('');
    }
    expect((await fetch(`${base}/manager/assets/missing.js`)).status).toBe(404);
  });

  it('sends less than 350 kB for the first page, and what other pages need when they are asked for', async () => {
    const base = await serve({});
    const text = await (await fetch(base)).text();
    const first = [
      '/',
      '/kconfig.js',
      ...[...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path ?? ''),
    ];
    let bytes = 0;
    for (const path of first) {
      const answer = await fetch(base + path, { headers: { 'accept-encoding': 'gzip' } });
      bytes += Number(answer.headers.get('content-length'));
    }
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(350_000);
  });

  it('names the setting when the address is taken', async () => {
    const base = await serve({});
    const { settings } = loadSettings({ environment: { HOLDFAST_ADMIN_GUI_LISTEN: base.slice('http://'.length) } });
    const browsers = new BrowserGuard(settings, () => undefined);
    await expect(startUi(settings, ADMIN, browsers, createLog('crit'))).rejects.toThrow(
      /^admin_gui_listen: cannot listen on 127.0.0.1:\d+: the port is in use/,
    );
  });
});

it.each([
  ['ADMIN_GUI_PATH', '/manager/'],
  ['ADMIN_GUI_PATH', 'manager'],
  ['ADMIN_GUI_URL', 'http://ui.test, nonsense'],
  ['ADMIN_GUI_URL', 'ftp://ui.test'],
])('%s = %s is refused with the settings', (name, value) => {
  expect(() => loadSettings({ environment: { [`KONG_${name}`]: value } })).toThrow(name.toLowerCase());
});
