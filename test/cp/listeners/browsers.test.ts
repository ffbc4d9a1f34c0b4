import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BrowserGuard } from '../../../cp/listeners/browser-guard.ts';
import { loadSettings } from '../../../cp/settings/load.ts';
import { type RawAnswer, rawRequest } from '../../raw-http.ts';
import { type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';

let plane: RunningControlPlane;

beforeAll(async () => {
  plane = await runControlPlane({
    admin_listen: '127.0.0.1:0, 0.0.0.0:0',
    admin_allowed_hosts: 'Gateway.corp, admin.test',
    admin_gui_url: 'https://manager.corp/ui, http://other.test:9002',
    admin_gui_api_url: 'api.corp:8001',
  });
});
afterAll(() => plane?.stop());

const portOf = (url: string) => Number(new URL(url).port);

function ask(method: string, path: string, headers: readonly string[], body = ''): Promise<RawAnswer> {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const lines = [`${method} ${path} HTTP/1.1`, ...headers, ...length, 'Connection: close'];
  return rawRequest(portOf(plane.admin), lines, body);
}

/** Names of the CORS headers of an answer. */
const cors = ({ headers }: RawAnswer) => [...headers.keys()].filter((name) => name.startsWith('access-control-'));

/** How many services there are: what a forged write would change. */
async function services(): Promise<number> {
  const { body } = await ask('GET', '/services', ['Host: localhost']);
  return JSON.parse(body).data.length;
}

describe('the name a request at loopback was sent to', () => {
  it.each([
    '127.0.0.1:8001',
    '127.0.0.1',
    'localhost:8001',
    'LocalHost',
    'localhost.:8001',
    '[::1]:8001',
    '192.0.2.7:8001',
    'gateway.corp:8001',
    'ADMIN.test',
    'manager.corp',
    'api.corp:8001',
  ])('may be %s', async (host) => {
    expect(await ask('GET', '/services', [`Host: ${host}`])).toMatchObject({ status: 200 });
  });

  it.each(['evil.test:8001', 'localhost.evil.test', '127.0.0.1.evil.test:8001', 'evil.gateway.corp'])(
    'may not be %j: 403 in words, for reads too',
    async (host) => {
      for (const method of ['GET', 'DELETE', 'OPTIONS']) {
        const answer = await ask(method, '/services/x', [`Host: ${host}`]);
        expect(answer).toMatchObject({ status: 403 });
        expect(cors(answer)).toEqual([]);
        expect(JSON.parse(answer.body).message).toBe(
          `Host '${host}' is not a name of this server: use its address or localhost, or list the name in admin_allowed_hosts`,
        );
      }
    },
  );

  it.each(['127.0.0.1@evil.test', 'evil.test#127.0.0.1', '[::1].evil.test', '[evil.test]', '[]', '/', ''])(
    'may not be %j, which is none',
    async (host) => {
      for (const method of ['GET', 'POST']) {
        const answer = await ask(method, '/services', [`Host: ${host}`, FORM[0]], FORM[1]);
        expect([400, 403]).toContain(answer.status);
      }
      expect(await services()).toBe(0);
    },
  );

  it('need not be said by clients of HTTP/1.0', async () => {
    expect(await rawRequest(portOf(plane.admin), ['GET /services HTTP/1.0'])).toMatchObject({ status: 200 });
  });

  it('counts where a connection came in, not where the listener was told to listen', async () => {
    const everywhere = plane.plane.admin[1]?.port ?? 0;
    const at = (host: string) =>
      rawRequest(everywhere, ['GET /services HTTP/1.1', `Host: ${host}`, 'Connection: close']);
    expect(await at('evil.test')).toMatchObject({ status: 403 });
    expect(await at('localhost')).toMatchObject({ status: 200 });
    const guard = new BrowserGuard(plane.settings, () => undefined);
    const request = new Request('http://inside.corp:8001/services', { headers: { host: 'inside.corp:8001' } });
    expect(guard.judge(request, { localAddress: '192.0.2.7' })).toEqual({ kind: 'welcome', origin: null });
    expect(guard.judge(request, { localAddress: '::ffff:127.0.0.1' })).toMatchObject({ kind: 'refused' });
  });

  it('is asked for by the web UI’s listener too', async () => {
    const at = (host: string) =>
      rawRequest(portOf(plane.ui), ['GET /kconfig.js HTTP/1.1', `Host: ${host}`, 'Connection: close']);
    expect(await at('evil.test')).toMatchObject({ status: 403 });
    expect(await at('localhost')).toMatchObject({ status: 200 });
    expect(await at('manager.corp')).toMatchObject({ status: 200 });
  });
});

const JSON_BODY = ['Content-Type: application/json', '{"name":"forged","host":"h"}'] as const;
const FORM = ['Content-Type: application/x-www-form-urlencoded', 'name=forged&host=h'] as const;
const MULTIPART = [
  'Content-Type: multipart/form-data; boundary=b',
  '--b\r\nContent-Disposition: form-data; name="host"\r\n\r\nh\r\n--b--\r\n',
] as const;
const TEXT = ['Content-Type: text/plain', '{"name":"forged","host":"h"}'] as const;

describe.each([
  ['a foreign origin', ['Origin: https://evil.test']],
  ['another port of this machine', ['Origin: http://localhost:3000', 'Sec-Fetch-Site: same-site']],
  ['an origin that only begins like an allowed one', ['Origin: https://manager.corp.evil.test']],
  ['an allowed origin by another scheme', ['Origin: http://manager.corp']],
  ['a page without an origin', ['Origin: null', 'Sec-Fetch-Site: cross-site']],
  ['another site, by its fetch metadata alone', ['Sec-Fetch-Site: cross-site']],
  ['a neighbour site, by its fetch metadata alone', ['Sec-Fetch-Site: same-site']],
  ['the Admin API’s own address, which has no pages', ['Origin: http://localhost:8001']],
] as const)('a page of %s', (_, headers) => {
  const named = () => ['Host: localhost:8001', ...headers];

  it.each([
    ['JSON', JSON_BODY],
    ['a form', FORM],
    ['a multipart form', MULTIPART],
    ['text/plain', TEXT],
  ] as const)('writes nothing with %s', async (_, [type, body]) => {
    const before = await services();
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const path = method === 'POST' ? '/services' : '/services/forged';
      const answer = await ask(method, path, [...named(), type], body);
      expect(answer).toMatchObject({ status: 403 });
      expect(answer.body).toMatch(/may not change anything here: .*admin_gui_url/);
      expect(cors(answer)).toEqual([]);
    }
    expect(await ask('POST', '/config', [...named(), type], body)).toMatchObject({ status: 403 });
    expect(await services()).toBe(before);
  });

  it('gets an answer to a read that its browser keeps from it', async () => {
    const answer = await ask('GET', '/services', named());
    expect(answer).toMatchObject({ status: 200 });
    expect(cors(answer)).toEqual([]);
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('vary')).toBe('Origin');
  });

  it('is not told by a preflight that it may', async () => {
    const answer = await ask('OPTIONS', '/services', [...named(), 'Access-Control-Request-Method: POST']);
    expect(answer).toMatchObject({ status: 204 });
    expect(cors(answer)).toEqual([]);
  });
});

describe('a page of the web UI', () => {
  const ui = () => portOf(plane.ui);
  it.each([
    ['at its listener, by address', () => `http://127.0.0.1:${ui()}`],
    ['at its listener, as localhost', () => `http://localhost:${ui()}`],
    ['at its listener, by a name of the server', () => `http://gateway.corp:${ui()}`],
    ['at admin_gui_url', () => 'https://manager.corp'],
    ['at another admin_gui_url', () => 'http://other.test:9002'],
  ])('%s reads and writes with credentials', async (_, at) => {
    const headers = ['Host: 127.0.0.1:8001', `Origin: ${at()}`, 'Sec-Fetch-Site: cross-site'];
    const preflight = await ask('OPTIONS', '/services', [
      ...headers,
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: content-type',
    ]);
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
    expect(preflight.headers.get('access-control-allow-headers')).toBe('content-type');
    const written = await ask('POST', '/services', [...headers, 'Content-Type: application/json'], '{"host":"h"}');
    expect(written).toMatchObject({ status: 201 });
    for (const answer of [preflight, written]) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(at());
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
      expect(answer.headers.get('vary')).toBe('Origin');
    }
  });

  it('at a listener on every address is one that the request’s own address names', () => {
    const { settings } = loadSettings({ environment: {} });
    const guard = new BrowserGuard(settings, () => undefined);
    guard.uiListensAt([{ host: '0.0.0.0', port: 8002, tls: false }]);
    const judge = (origin: string, host: string) =>
      guard.judge(new Request('http://x/', { method: 'POST', headers: { origin, host } }), {
        localAddress: '192.0.2.7',
      });
    expect(judge('http://192.0.2.7:8002', '192.0.2.7:8001')).toMatchObject({ kind: 'welcome' });
    expect(judge('http://localhost:8002', 'localhost:8001')).toMatchObject({ kind: 'welcome' });
    // Another machine's page, and names which anybody can have point here.
    expect(judge('http://192.0.2.8:8002', '192.0.2.7:8001')).toMatchObject({ kind: 'refused' });
    expect(judge('http://evil.test:8002', 'evil.test:8001')).toMatchObject({ kind: 'refused' });
    expect(judge('http://192.0.2.7:8003', '192.0.2.7:8001')).toMatchObject({ kind: 'refused' });
  });
});

it('a client that is no browser needs none of it and gets no CORS headers', async () => {
  const answer = await ask('POST', '/services', ['Host: 127.0.0.1', 'User-Agent: go-kong', FORM[0]], 'host=h');
  expect(answer).toMatchObject({ status: 201 });
  expect(cors(answer)).toEqual([]);
});

it('a refusal is told to the log once, and an Admin API that is open to other machines at the start', () => {
  const told = plane.log.filter((line) => line.includes("pages of 'https://evil.test'"));
  expect(told).toEqual([expect.stringContaining('[warn] admin: refused a browser')]);
  const open = plane.log.filter((line) => line.includes('can be reached from other machines'));
  expect(open).toEqual([
    expect.stringMatching(/\[warn\] admin: admin_listen 0\.0\.0\.0:\d+ .*asks nobody for a password/),
  ]);
});
