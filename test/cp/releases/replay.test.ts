import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { alignedWith } from '../../../cp/declarative/aligned.ts';
import { parseConfig } from '../../../cp/declarative/import.ts';
import { packConfig } from '../../../cp/declarative/pack.ts';
import { loadTrustedKeys } from '../../../cp/pki/cluster-tls.ts';
import { readRequestList } from '../../../cp/replay/requests.ts';
import { catalogOf } from '../../../cp/store/catalog.ts';
import { schemasFor } from '../../../cp/store/schemas.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import { replayConfigs } from '../../../edge-dp/hosts/replay-configs.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { parseReplayFigures, type ReplayFigures, type Verdict } from '../../../shared/cluster/replay.ts';
import { type Row, recordOrEmpty } from '../../../shared/record.ts';
import { nodeOptions, onHosts } from '../../edge-dp/hosts.ts';
import { rawRequest } from '../../raw-http.ts';
import { type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';

/** Milliseconds for what takes a moment, also on a busy machine. */
const PATIENCE = { timeout: 60_000 };
const SEED = Number(process.env.ROUTER_SEED ?? Math.floor(Math.random() * 2 ** 31));
const FAR = 4_000_000_000;

const upstream = createServer((request, response) => response.end(request.url));

beforeAll(() => new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve)));
afterAll(() => void upstream.close());

const upstreamPort = () => {
  const address = upstream.address();
  return typeof address === 'object' && address !== null ? address.port : expect.fail('the upstream does not listen');
};

describe.each(
  onHosts([
    ['workerd', startWorkerdHost],
    ['node', startNodeHost],
  ] as const),
)('on %s', (_, start) => {
  let plane: RunningControlPlane;
  let node: DataPlane;
  let prefix: string;
  beforeAll(async () => {
    plane = await runControlPlane({ proxy_listen: 'off' });
    prefix = await mkdtemp(join(tmpdir(), 'holdfast replay '));
    node = await startNode();
    await vi.waitFor(async () => expect((await dataPlane()).sync_status).toBe('normal'), PATIENCE);
    await call('PUT', '/groups/default', { publish: 'release' });
  });
  afterAll(async () => {
    await node?.stop(0);
    await plane?.stop();
    await rm(prefix, { recursive: true, force: true });
  });

  async function startNode(): Promise<DataPlane> {
    const { cluster_cert: cert, cluster_cert_key: key, bundle_trusted_keys: keys } = plane.settings;
    const pem = async (path: string | null) => readFile(path ?? '', 'utf8');
    const port = plane.plane.cluster?.port ?? 0;
    const options = nodeOptions(prefix, null, {
      controlPlanes: [{ host: '127.0.0.1', port }],
      clusterTls: { cert: await pem(cert), key: await pem(key), ca: await pem(cert), serverName: 'kong_clustering' },
      trustedKeys: loadTrustedKeys(keys ?? ''),
      proxy: { allowDebugHeader: true, replaySample: { size: 10_000, headers: [] } },
    });
    return start(options);
  }

  async function call(method: string, path: string, body?: unknown): Promise<Row> {
    const response = await ask(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? {} : recordOrEmpty(JSON.parse(text));
  }

  function ask(method: string, path: string, body?: unknown): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    return fetch(`${plane.admin}${path}`, {
      method,
      ...(body !== undefined && { headers, body: JSON.stringify(body) }),
    });
  }

  async function dataPlane(): Promise<Row> {
    const { data } = await call('GET', '/clustering/data-planes');
    return recordOrEmpty(Array.isArray(data) ? data[0] : null);
  }

  /** A release that nobody gets before it is promoted. */
  async function release(): Promise<string> {
    const { id } = await call('POST', '/releases', { group: 'default', at: FAR });
    return String(id);
  }

  async function promote(id: string): Promise<void> {
    await call('POST', `/releases/${id}/promote`);
    const { config_hash } = await call('GET', `/releases/${id}`);
    await expect.poll(async () => (await dataPlane()).config_hash, PATIENCE).toBe(config_hash);
  }

  const port = () => node.proxyAddresses[0]?.port ?? 0;

  test(`tells of each request what it really meets before and after (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    const meets = new Set<string>();
    let former: object = { _format_version: '3.0' };
    for (let round = 0; round < 5; round++) {
      const document = await write(random);
      const requests = requestsFrom(random);
      const asked = { requests: requests.map(described), list: 1000 };
      const pending = await call('POST', '/groups/default/pending/replay', asked);
      const id = await release();
      const before = await Promise.all(requests.map(real));
      const told = await call('POST', `/releases/${id}/replay`, asked);
      expect({ ...pending, release: id }).toEqual(told);
      // Nor does it take a data plane to tell.
      const { requests: _, changed, changes, differing: listed } = told;
      expect(await replayedAlone(former, document, asked.requests)).toMatchObject({
        changed,
        changes,
        differing: listed,
      });
      former = document;
      await promote(id);
      const after = await Promise.all(requests.map(real));
      const figures = parseReplayFigures(told, requests.length, 1000);
      const differing = new Map(figures.differing.map((one) => [keyOf(one.request), one]));
      for (const [n, request] of requests.entries()) {
        const which = `round ${round}: ${JSON.stringify(request)}`;
        const one = differing.get(keyOf(described(request)));
        if (one === undefined) expect(after[n], which).toEqual(before[n]);
        else {
          expect(before[n], which).toEqual(metBy(one.before, request, before[n] ?? NOTHING));
          expect(after[n], which).toEqual(metBy(one.after, request, after[n] ?? NOTHING));
          meets.add(`${one.before.status} ${one.after.status}`);
        }
      }
      expect(told).toMatchObject({ requests: requests.length, unsure: 0, skipped: 0 });
    }
    // Or nothing has been compared.
    expect(meets.size).toBeGreaterThan(3);
  });

  test('remembers what requests looked like, without queries and credentials, and replays those', async () => {
    await call('POST', '/config', {
      _format_version: '3.0',
      routes: [
        { name: 'beta', paths: ['/kept'], headers: { 'x-beta': ['1'] } },
        { name: 'all', paths: ['/kept'] },
        // Whoever asks for it: what it says is not told.
        { name: 'keyed', paths: ['/keyed'], headers: { 'x-api-key': ['hush'] } },
      ],
    });
    await promote(await release());
    const sent = {
      'x-beta': '1',
      'x-api-key': 'hush',
      authorization: 'Basic aHVzaA==',
      cookie: 'a=hush',
      'x-other': 'hush',
    };
    await call('POST', '/config', { _format_version: '3.0', routes: [{ name: 'all', paths: ['/'] }] });
    const id = await release();
    // By chance: sooner or later each is among them.
    const replayed = async () => {
      await real({ method: 'GET', path: '/kept?token=hush', host: 'one.test', headers: sent });
      await real({ method: 'GET', path: '/keyed', host: 'one.test', headers: sent });
      await real({ method: 'GET', path: '/missing', host: 'one.test', headers: {} });
      return (await call('POST', `/releases/${id}/replay`, { list: 1_000 })).differing;
    };
    const kept = { path: '/kept', query: null, host: 'one.test' };
    await expect.poll(replayed, PATIENCE).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          request: expect.objectContaining({
            ...kept,
            headers: {
              ...{ 'x-beta': '1', 'x-api-key': null, authorization: null, cookie: null, 'x-other': null },
              ...{ 'kong-debug': null, connection: null },
            },
          }),
          changes: ['route'],
          before: expect.objectContaining({ route: 'beta', status: 503 }),
          after: expect.objectContaining({ route: 'all', status: 503 }),
        }),
        expect.objectContaining({
          request: expect.objectContaining({ path: '/missing' }),
          changes: ['route', 'status'],
          before: { route: null, service: null, upstream: null, plugins: [], status: 404 },
        }),
      ]),
    );
    const { requests, unsure, differing } = await call('POST', `/releases/${id}/replay`);
    expect(JSON.stringify(differing)).not.toContain('hush');
    // The one whose key counts is not sure.
    expect(unsure).toBeGreaterThan(0);
    expect(unsure).toBeLessThan(Number(requests));
    await call('POST', `/releases/${id}/abort`);
  });

  test('says what is wrong with requests, with a candidate, and where there is nobody to ask', async () => {
    await call('POST', '/config', { _format_version: '3.0', routes: [{ name: 'other', paths: [`/${start.name}`] }] });
    const id = await release();
    const refused = async (body: unknown) => {
      const answer = await ask('POST', `/releases/${id}/replay`, body);
      return `${answer.status} ${recordOrEmpty(await answer.json()).message}`;
    };
    const one = (request: object) => refused({ requests: [{ path: '/fine' }, request] });
    expect(await one({ path: '/a\u202eb' })).toBe(
      '400 requests[1].path: has U+202E at character 3, which stands in no request: percent-encode it',
    );
    expect(await one({ path: `/${'a'.repeat(10_000)}` })).toContain('requests[1].path: longer than 8192 characters');
    expect(await one({ path: '/a\r\nx: y' })).toContain('requests[1].path: has U+000D at character 3');
    expect(await one({ path: '/', headers: { 'x-a': 'b\r\nc: d' } })).toContain('headers.x-a: has a line break');
    expect(await one({ path: '/', body: 'x' })).toContain('requests[1].body: unknown field');
    expect(await one({ path: 'a' })).toContain('requests[1].path: should start with: /');
    expect(await refused({ requests: [] })).toBe('400 no request in the list');
    expect(await refused({ access_log: '' })).toBe('400 no request in the access log');
    expect(await refused({ log: { entries: [{}] } })).toBe('400 log.entries[0].request: expected an object');
    expect(await refused({ log: {} })).toContain('log.entries: expected a list');
    const { hostname, port: adminPort } = new URL(plane.admin);
    const large = await rawRequest(Number(adminPort), [
      `POST /releases/${id}/replay HTTP/1.1`,
      ...[`Host: ${hostname}`, 'Content-Type: application/json', `Content-Length: ${50 << 20}`],
    ]);
    expect(`${large.status} ${large.body}`).toContain('413 {"message":"Payload too large: at most 33554432 bytes"');
    expect(await refused({ data_plane: 'elsewhere' })).toContain("503 no data plane 'elsewhere' of group 'default'");
    expect((await ask('POST', '/releases/none/replay')).status).toBe(404);
    expect((await ask('POST', '/groups/none/pending/replay')).status).toBe(404);
    await call('PUT', '/groups/at-once', { priority: -1 });
    const atOnce = await ask('POST', '/groups/at-once/pending/replay');
    expect(atOnce.status).toBe(409);
    expect(recordOrEmpty(await atOnce.json()).message).toContain("group 'at-once' publishes what is written at once");

    const { data } = await call('GET', '/releases?group=default');
    const live = (Array.isArray(data) ? data.map(recordOrEmpty) : []).find(({ state }) => state === 'live');
    const same = await ask('POST', `/releases/${live?.id}/replay`, { requests: [{ path: '/' }] });
    expect(recordOrEmpty(await same.json()).message).toBe(
      "data plane 'node.test': the data plane serves this config already: there is nothing to compare it with",
    );
    expect(same.status).toBe(409);

    // One at a time.
    const many = Array.from({ length: 30_000 }, (_, n) => ({ path: `/many/${n}` }));
    const both = await Promise.all([1, 2].map(() => ask('POST', `/releases/${id}/replay`, { requests: many })));
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409]);

    // The very requests, from a list, a HAR and both kinds of log: as many are different.
    const entries = [
      { request: { method: 'GET', url: 'http://a.test/gone?x=1', headers: [] } },
      { request: { method: 'GET', url: 'data:,x', headers: [] } },
    ];
    const line = (path: string) =>
      `10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET ${path} HTTP/1.1" 200 5 "-" "curl/8"\n`;
    const given = [
      { requests: [{ path: '/nothing', host: 'a.test' }] },
      { log: { entries } },
      { access_log: `${line('/nothing')}${line('/nothing')}${line('\\x16\\x03')}`, host: 'a.test' },
      { access_log: '{"method":"GET","uri":"/nothing?q","protocol":"HTTP/1.1","host":"a.test"}\n{"met' },
    ];
    const told = [];
    for (const body of given) told.push(await call('POST', `/releases/${id}/replay`, body));
    expect(told.map(({ requests, changed, skipped }) => [requests, changed, skipped])).toEqual([
      [1, 0, 0],
      [1, 0, 1],
      [2, 0, 1],
      [1, 0, 1],
    ]);
    expect(told[3]?.skipped_first).toBe('line 2: "{\\"met" is no whole JSON object');
    await call('POST', `/releases/${id}/abort`);
  });

  async function real({ method, path, host, headers }: Asked): Promise<Met> {
    const head = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'Kong-Debug: 1', 'Connection: close'];
    const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const answer = await rawRequest(port(), [...head, ...own]);
    const { status, headers: said, body } = answer;
    return { status, route: said.get('kong-route-name') ?? null, reached: status === 200 ? body : null };
  }

  async function write(random: () => number): Promise<object> {
    const services = [0, 1, 2].map((n) => ({
      name: `s${n}`,
      url: `http://127.0.0.1:${upstreamPort()}/s${n}`,
      enabled: chance(random, 0.9),
    }));
    const routes = Array.from({ length: 6 }, (_, n) => ({ name: `r${n}`, ...routeFrom(random) }));
    const plugins = routes.flatMap(({ name }) => pluginsFrom(random).map((plugin) => ({ ...plugin, route: name })));
    const document = { _format_version: '3.0', services, routes, plugins };
    await call('POST', '/config', document);
    return document;
  }
});

/** As `holdfast config replay` does, with the same documents. */
async function replayedAlone(before: object, after: object, requests: readonly object[]): Promise<ReplayFigures> {
  const schemas = schemasFor('traditional_compatible');
  const catalog = catalogOf(schemas);
  const [old, next] = await Promise.all(
    [before, after].map((one) => parseConfig(JSON.stringify(one), catalog.context, schemas.entities)),
  );
  if (old === undefined || next === undefined) throw new TypeError('there are two');
  return replayConfigs({
    before: await packConfig(old),
    after: await packConfig(await alignedWith(old, next, catalog)),
    requests: readRequestList(requests).shapes,
    list: 1000,
    routerFlavor: 'traditional_compatible',
    own: [],
  });
}

const NOTHING: Met = { status: 0, route: null, reached: null };

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** As the Admin API is told of it. */
function described({ headers, ...request }: Asked) {
  const all = { ...headers, 'kong-debug': '1', connection: 'close' };
  return { ...request, headers: all };
}

/** Which request it is, of what was asked and of what was told. */
function keyOf({ method = 'GET', path, query = '', host, headers }: Row): string {
  const target = query === '' ? path : `${String(path)}?${String(query)}`;
  return JSON.stringify([method, target, host, recordOrEmpty(headers)['x-beta']]);
}

/** What a real request came to. */
interface Met {
  readonly status: number;
  readonly route: string | null;
  /** The request target that the upstream saw; null: another answered. */
  readonly reached: string | null;
}

/** What is to be met by a verdict. Where that is up to others, the upstream here answers 200 with the target it saw. */
function metBy({ route, upstream: url, status }: Verdict, { path }: Asked, met: Met): Met {
  if (status !== null) return { ...met, status, reached: null };
  const query = path.indexOf('?');
  return { status: 200, route, reached: new URL(url ?? '').pathname + (query < 0 ? '' : path.slice(query)) };
}

function requestsFrom(random: () => number): Asked[] {
  return Array.from({ length: 40 }, (_, n) => ({
    method: pick(random, ['GET', 'POST', 'PUT']),
    path: pick(random, ['/a', '/a/b', '/a/12', '/c/d', '/nothing', '/a/../c', '/a%2Fb', `/c/${n}?q=1`]),
    host: pick(random, ['one.test', 'x.two.test', 'other.test']),
    headers: chance(random, 0.4) ? { 'x-beta': pick(random, ['1', '2']) } : {},
  }));
}

function routeFrom(random: () => number) {
  const https = chance(random, 0.15);
  return {
    paths: [pick(random, ['/a', '/a/b', '/c', '~/a/(?<n>\\d+)$', '/'])],
    ...(chance(random, 0.4) && { hosts: [pick(random, ['one.test', '*.two.test'])] }),
    ...(chance(random, 0.3) && { methods: [pick(random, ['GET', 'POST'])] }),
    ...(chance(random, 0.3) && { headers: { 'x-beta': [pick(random, ['1', '2'])] } }),
    ...(chance(random, 0.8) && { service: pick(random, ['s0', 's1', 's2']) }),
    ...(https && { protocols: ['https'], https_redirect_status_code: pick(random, [426, 301, 308]) }),
    strip_path: chance(random, 0.5),
  };
}

function pluginsFrom(random: () => number) {
  const plugins: object[] = [];
  if (chance(random, 0.3)) plugins.push({ name: 'correlation-id' });
  const trigger = chance(random, 0.4) ? pick(random, ['x-beta', 'q']) : null;
  const status_code = pick(random, [403, 418, 503]);
  if (chance(random, 0.25)) plugins.push({ name: 'request-termination', config: { status_code, trigger } });
  return plugins;
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const chance = (random: () => number, share: number): boolean => random() < share;

function pick<T>(random: () => number, of: readonly T[]): T {
  const found = of[Math.floor(random() * of.length)];
  if (found === undefined) throw new RangeError('nothing to pick');
  return found;
}
