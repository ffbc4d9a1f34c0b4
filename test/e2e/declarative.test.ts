import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openStore } from '../../cp/store/open.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { oneProcess } from './one-process.ts';
import { type HoldfastProcess, holdfast, runHoldfast, until } from './processes.ts';

let folder: string;
let upstream: Server;
let upstreamUrl: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'declarative '));
  upstream = createServer((request, response) => response.end(`upstream saw ${request.url}`));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
});

afterAll(() => {
  upstream?.closeAllConnections();
  upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('holdfast config', () => {
  let prefix: string;
  const settings = () => ({ prefix });
  beforeAll(async () => {
    prefix = await freshPrefix('migrated');
  });
  afterAll(() => rmSync(prefix, { recursive: true, force: true }));

  it('makes a file, loads one and writes it back, and refuses to overwrite', async () => {
    const file = join(folder, 'kong.yml');
    expect(await runHoldfast(['config', 'init', file], settings())).toMatchObject({ code: 0 });
    writeFileSync(file, '_format_version: "3.0"\nservices: [{ name: s1, url: "http://up.test" }]\n');
    const loaded = await runHoldfast(['config', 'import', file], settings());
    expect(loaded).toMatchObject({ code: 0, output: expect.stringMatching(/1 entities\s+import successful/) });
    const store = await openStore({ database: 'embedded', prefix });
    const { commits } = await store.log.page({});
    await store.close();
    const by = { via: 'command', user: userInfo().username, address: null, client: 'holdfast config import' };
    expect(commits).toMatchObject([{ total: 1, by }]);
    const copy = join(folder, 'copy.yml');
    expect((await runHoldfast(['config', 'export', file], settings())).output).toContain('Will not overwrite');
    expect((await runHoldfast(['config', 'export', copy], settings())).code).toBe(0);
    expect(readFileSync(copy, 'utf8')).toMatch(/_transform: false[\s\S]*name: s1/);
  });

  it('says what to do about keys that only decK knows', async () => {
    const file = write('deck.yml', '_format_version: "3.0"\n_info: { select_tags: [team-a] }\nservices: []\n');
    const { code, output } = await runHoldfast(['config', 'parse', file], settings());
    expect(code).toBe(1);
    expect(output).toMatch(/in '_info': unknown field: it is decK's own.*'deck gateway sync'/);
  });

  it('names what each kind of data plane cannot honour, and fails for invalid config only', async () => {
    const file = write(
      'limits.yml',
      `
_format_version: "3.0"
services:
  - { name: calls, url: "grpc://up.test:50051" }
  - { name: "off", url: "grpc://up.test:50052", enabled: false }
  - { name: unchecked, url: "https://up.test", tls_verify: false }
routes:
  - { name: keyed, paths: [/a], plugins: [{ name: key-auth }] }
`,
    );
    const { code, output } = await runHoldfast(['config', 'check', file], settings());
    expect(code).toBe(0);
    const byHost = new Map(output.split('\n\n').map((part) => [part.slice(0, part.indexOf(':')), part]));
    expect(byHost.get('workerd')).toBe('workerd: can honour all of it');
    expect(byHost.get('cloudflare')).toMatch(/cannot honour 2 entities\n {2}services 'calls' .*'protocol' is "grpc"/);
    expect(byHost.get('miniflare')).toMatch(
      /cannot honour 2 entities[\s\S]*services 'unchecked' .*'tls_verify' is false/,
    );
    expect(output).not.toContain("'off'");

    expect((await runHoldfast(['config', 'check'], settings())).output).toContain('workerd: can honour all of it');
    const invalid = write('invalid.yml', '_format_version: "3.0"\nservices: [{ name: s1, port: 0.5 }]\n');
    const refused = await runHoldfast(['config', 'check', invalid], settings());
    expect(refused).toMatchObject({ code: 1, output: expect.stringContaining("in 'port': expected an integer") });
  });

  it('tells which requests would meet something else with a file, beside another file or what is stored', async () => {
    const routes = (path: string) =>
      `[{ name: r1, paths: [${path}], plugins: [{ name: key-auth }] }, { name: r2, paths: [/same], service: s1 }]`;
    const secret = 'certificates: [{ cert: "{vault://env/cert}", key: "{vault://env/key}", snis: [{ name: a.test }] }]';
    const document = (path: string, made: number) =>
      `_format_version: "3.0"\nservices: [{ name: s1, url: "http://up.test", created_at: ${made} }]\nroutes: ${routes(path)}\n${secret}\n`;
    const [old, next] = [write('before.yml', document('/a', 1)), write('after.yml', document('/b', 2))];
    const requests = write('requests.json', '[{ "path": "/a" }, { "path": "/same", "count": 3 }]');
    const replay = (...words: string[]) => runHoldfast(['config', 'replay', next, ...words], settings());

    const told = await replay('--against', old, '--requests', requests);
    expect(told.code, told.output).toBe(3);
    // What has the same name is the same, though no file gives ids.
    expect(told.output).toMatch(
      /^4 requests, compared with .+before\.yml\ndifferent: route 1, plugins 1, status 1\nGET http:\/\/\/a\n {2}route: r1 -> none\n/,
    );
    const same = await runHoldfast(['config', 'replay', old, '--against', old, '--requests', requests], settings());
    expect(same).toMatchObject({ code: 0, output: expect.stringContaining('nothing would be different') });
    const stored = await replay('--requests', requests);
    expect(stored).toMatchObject({
      code: 3,
      output: expect.stringContaining('4 requests, compared with what is stored'),
    });
    expect(await replay('--against', old)).toMatchObject({ code: 2, output: expect.stringContaining('--requests') });
    const bad = await replay('--against', write('worse.yml', 'routes: 1'), '--requests', requests);
    expect(bad).toMatchObject({ code: 1, output: expect.stringContaining('worse.yml') });
  });
});

describe('a data plane of its own', () => {
  it('serves its declarative_config, routes by expression included, without any certificate', async () => {
    const file = write(
      'declared.yml',
      `
_format_version: "3.0"
services:
  - name: s1
    url: ${upstreamUrl}
    routes:
      - { name: keyed, expression: 'http.path ^= "/keyed" && http.method == "GET"', plugins: [{ name: key-auth }] }
consumers:
  - username: ada
    keyauth_credentials: [{ key: open-sesame }]
`,
    );
    const [proxyPort, statusPort] = await freePorts(2);
    const proxy = `http://127.0.0.1:${proxyPort}`;
    const node = await holdfast(
      ['start'],
      {
        role: 'data_plane',
        router_flavor: 'expressions',
        prefix: join(folder, 'data-plane'),
        declarative_config: file,
        proxy_listen: `127.0.0.1:${proxyPort}`,
        status_listen: `127.0.0.1:${statusPort}`,
      },
      folder,
    );
    try {
      expect((await fetch(`${proxy}/keyed/a`)).status).toBe(401);
      const answer = await fetch(`${proxy}/keyed/a`, { headers: { apikey: 'open-sesame' } });
      expect([answer.status, await answer.text()]).toEqual([200, 'upstream saw /a']);
      expect((await fetch(`${proxy}/keyed/a`, { method: 'DELETE' })).status).toBe(404);
    } finally {
      await node.end('SIGTERM');
    }
  });
});

describe('router_flavor expressions', () => {
  it('takes routes by expression through the Admin API and serves by them', async () => {
    const prefix = await freshPrefix('migrated');
    const { admin, proxy, settings } = await oneProcess(prefix);
    let gateway: HoldfastProcess | undefined;
    try {
      gateway = await holdfast(['start'], { ...settings, router_flavor: 'expressions' }, folder);
      const post = async (path: string, body: object) => {
        const headers = { 'content-type': 'application/json' };
        const answer = await fetch(admin + path, { method: 'POST', headers, body: JSON.stringify(body) });
        return { status: answer.status, text: await answer.text() };
      };
      expect(await post('/services', { name: 's1', url: upstreamUrl })).toMatchObject({ status: 201 });
      const wrong = await post('/services/s1/routes', { expression: 'http.path ^== "/a"' });
      expect(wrong.status).toBe(400);
      const expression = 'lower(http.path) ^= "/tenant" && http.headers.x_tenant == "a"';
      expect(await post('/services/s1/routes', { expression, priority: 3, strip_path: false })).toMatchObject({
        status: 201,
      });

      const served = () => fetch(`${proxy}/Tenant/x`, { headers: { 'x-tenant': 'a' } });
      await until(async () => (await served()).status === 200, 'the route to be served');
      expect(await (await served()).text()).toBe('upstream saw /Tenant/x');
      expect((await fetch(`${proxy}/Tenant/x`, { headers: { 'x-tenant': 'b' } })).status).toBe(404);
    } finally {
      await gateway?.end('SIGTERM');
      rmSync(prefix, { recursive: true, force: true });
    }
  });
});
