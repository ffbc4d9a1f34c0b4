import { Agent, get } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashedField } from '../../../shared/bundle/lookup.ts';
import { placeInSplit, type SplitBy } from '../../../shared/bundle/split.ts';
import type { TestConfig } from '../control-plane.ts';
import { hosts, proxyUrl, startOwnBox, statusUrl } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';
import { id, route, service } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { PROXY_SETTINGS } from '../proxy-settings.ts';

const RELEASE = '5b1cf0de-58bd-4aa0-9d4c-3f38cf0a4a3c';
const VALUES = Array.from({ length: 200 }, (_, n) => `203.0.113.${n}`);
const below = (percent: number) => VALUES.filter((value) => placeInSplit(RELEASE, value) < percent);
/** Milliseconds until every process of a busy machine has taken a change: a data plane waits for them, but not for long. */
const TAKEN = { timeout: 60_000 };
/** A connection for each request, so that every process of a node is met. */
const agent = new Agent({ keepAlive: false, maxSockets: 20 });

/** The status, with the realm of a refusal, else the body. */
function ask(fixture: NodeFixture, path: string, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    get(proxyUrl(fixture.node, path), { headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject).on('end', () => {
        const [, realm] = /realm="(.*?)"/.exec(response.headers['www-authenticate'] ?? '') ?? [];
        resolve(`${response.statusCode} ${realm ?? text}`);
      });
    }).on('error', reject);
  });
}

/** For which of the values, in that header, requests meet the new config. */
async function metBy(fixture: NodeFixture, header: string): Promise<readonly string[]> {
  const answers = await Promise.all(VALUES.map((value) => ask(fixture, '/', { [header]: value })));
  for (const answer of new Set(answers)) expect(['200 old', '200 new']).toContain(answer);
  return VALUES.filter((_, n) => answers[n] === '200 new');
}

/** Keeps copies of failures, too. */
const CACHED = {
  response_code: [200, 500],
  request_method: ['GET'],
  content_type: ['text/plain'],
  cache_ttl: 300,
  cache_control: false,
  vary_query_params: null,
  vary_headers: null,
  storage_ttl: null,
  strategy: 'memory',
  memory: { dictionary_name: 'kong_db_cache' },
  response_headers: {},
};

/** A config that answers everything with a text, by a plugin of the same id in each, and has a route of its own. */
function answering(text: string): TestConfig {
  const config = { status_code: 200, content_type: 'text/plain', body: text };
  return {
    services: { rows: [service(1, 1)] },
    routes: { rows: [route(1, '/', 1), route(text === 'old' ? 2 : 3, `/${text}`, 1)] },
    plugins: { rows: [{ id: id(3), name: 'request-termination', config }] },
  };
}

describe.each(hosts)('on %s', (_, start) => {
  let fixture: NodeFixture;
  beforeAll(async () => {
    fixture = await NodeFixture.create(start, null);
    await fixture.start({ processes: 2 });
  });
  afterAll(() => fixture?.remove());

  /** Publishes with a release for so many percent; null: with none. */
  async function publish(config: TestConfig, percent: number | null): Promise<void> {
    const { controlPlane } = fixture;
    const terms = { release: RELEASE, by: 'header:x-client' } as const;
    const split = percent === null ? {} : { split: await controlPlane.split(answering('new'), { ...terms, percent }) };
    await controlPlane.publish(config, split);
    await controlPlane.heard('applied', ({ serial }) => serial === controlPlane.serial);
  }

  test('two configs are served side by side, the same one to the same client in every process, as its part grows and after a restart without a control plane', async () => {
    await publish(answering('old'), 20);
    await expect.poll(() => metBy(fixture, 'X-Client'), TAKEN).toEqual(below(20));
    expect(await ask(fixture, '/')).toBe('200 old');
    const status = await (await fetch(statusUrl(fixture.node, '/status'))).json();
    expect(status).toMatchObject({ configuration_split: { release: RELEASE, percent: 20, by: 'header:x-client' } });

    await publish(answering('old'), 50);
    expect(below(50)).toEqual(expect.arrayContaining(below(20)));
    await expect.poll(() => metBy(fixture, 'X-Client'), TAKEN).toEqual(below(50));
    const [inside = ''] = below(50);
    const explained = async (value: string): Promise<unknown> => {
      const body = JSON.stringify({ path: '/', headers: { 'x-client': value } });
      return (await fetch(statusUrl(fixture.node, '/debug/route'), { method: 'POST', body })).json();
    };
    const plugin = (body: string) => [expect.objectContaining({ config: expect.objectContaining({ body }) })];
    expect(await explained(inside)).toMatchObject({ release: { id: RELEASE, chosen: true }, plugins: plugin('new') });
    expect(await explained('')).toMatchObject({ release: { chosen: false }, plugins: plugin('old') });

    await fixture.stop();
    await fixture.controlPlane.stop();
    await fixture.start({ processes: 2 });
    await expect.poll(() => metBy(fixture, 'X-Client'), TAKEN).toEqual(below(50));

    // Everybody's, which takes nothing that is not there; then undone, and tried again.
    await fixture.controlPlane.start();
    await fixture.controlPlane.heard('hello', ({ manifest }) => manifest !== null);
    fixture.controlPlane.fetched.length = 0;
    await publish(answering('new'), null);
    expect(fixture.controlPlane.fetched).toEqual([]);
    await expect.poll(() => metBy(fixture, 'X-Client'), TAKEN).toEqual(VALUES);
    await publish(answering('old'), 50);
    await publish(answering('old'), null);
    await expect.poll(() => metBy(fixture, 'X-Client'), TAKEN).toEqual([]);
    expect(await (await fetch(statusUrl(fixture.node, '/status'))).json()).not.toHaveProperty('configuration_split');
  });
});

describe('of an own box', () => {
  let fixture: NodeFixture;
  let upstream: Upstream;
  beforeAll(async () => {
    upstream = await startUpstream(({ line }) => {
      const code = line.includes('/bad') ? '500 Bad' : '200 OK';
      return `HTTP/1.1 ${code}\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n${line.includes('/bad') ? 'new' : 'old'}`;
    });
    fixture = await NodeFixture.create(startOwnBox, null);
    await fixture.start({ processes: 2, proxy: { ...PROXY_SETTINGS, trustedIps: ['127.0.0.1'] } });
  });
  afterAll(async () => {
    await fixture?.remove();
    await upstream?.stop();
  });

  async function publish(old: TestConfig, next: TestConfig, percent: number, by: SplitBy): Promise<void> {
    const { controlPlane } = fixture;
    await controlPlane.publish(old, { split: await controlPlane.split(next, { release: RELEASE, percent, by }) });
    await controlPlane.heard('applied', ({ serial }) => serial === controlPlane.serial);
  }

  test("the address is the client's behind proxies that are trusted", async () => {
    await publish(answering('old'), answering('new'), 30, 'client_ip');
    await expect.poll(() => metBy(fixture, 'X-Real-IP'), TAKEN).toEqual(below(30));
  });

  test('the consumer is whose credential is shown, of whatever plugin of the route, good or not', async () => {
    const consumers = Array.from({ length: 40 }, (_, n) => ({ id: id(100 + n), username: `user-${n}` }));
    const keys = await Promise.all(
      consumers.map(async (consumer, n) => ({
        id: id(200 + n),
        key: await hashedField(`key-${n}`),
        consumer: { id: consumer.id },
      })),
    );
    const basics = consumers.map((consumer, n) => ({
      id: id(300 + n),
      username: `user-${n}`,
      password: 'not one that fits',
      consumer: { id: consumer.id },
    }));
    const secrets = consumers.map((consumer, n) => ({
      id: id(400 + n),
      key: `issuer-${n}`,
      secret: 'another',
      algorithm: 'HS256',
      consumer: { id: consumer.id },
    }));
    const signers = consumers.map((consumer, n) => ({
      id: id(500 + n),
      username: `signer-${n}`,
      secret: 'another',
      consumer: { id: consumer.id },
    }));
    const guards = (realm: string) => ({
      'key-auth': {
        key_names: ['apikey'],
        key_in_header: true,
        key_in_query: true,
        key_in_body: true,
        realm,
        hide_credentials: true,
      },
      'basic-auth': { realm, hide_credentials: true },
      jwt: {
        realm,
        uri_param_names: ['jwt'],
        header_names: ['authorization'],
        claims_to_verify: [],
        secret_is_base64: false,
      },
      'hmac-auth': { realm, algorithms: ['hmac-sha256'], clock_skew: 300, hide_credentials: true },
    });
    const guarded = (text: string): TestConfig => {
      const entries = Object.entries(guards(text));
      return {
        services: { rows: [service(1, 1)] },
        routes: { rows: entries.map(([name], n) => route(n, `/${name}`, 1)) },
        plugins: {
          rows: [
            ...(answering(text).plugins?.rows ?? []),
            ...entries.map(([name, config], n) => ({ id: id(600 + n), name, config, route: { id: id(1000 + n) } })),
          ],
        },
        consumers: { rows: consumers, lookup: 'id' },
        keyauth_credentials: { rows: keys, lookup: 'key', hashed: ['key'] },
        basicauth_credentials: { rows: basics, lookup: 'username' },
        jwt_secrets: { rows: secrets, lookup: 'key' },
        hmacauth_credentials: { rows: signers, lookup: 'username' },
      };
    };
    await publish(guarded('old'), guarded('new'), 50, 'consumer');
    const met = consumers.map((consumer) => (placeInSplit(RELEASE, consumer.id) < 50 ? 'new' : 'old'));
    expect(new Set(met).size).toBe(2);
    const answers = (of: (n: number) => readonly [path: string, authorization?: string]) =>
      Promise.all(
        consumers.map((_, n) => {
          const [path, authorization] = of(n);
          return ask(fixture, path, authorization === undefined ? {} : { authorization });
        }),
      );
    await expect
      .poll(() => answers((n) => [`/key-auth?apikey=key-${n}`]), TAKEN)
      .toEqual(met.map((text) => `200 ${text}`));
    expect(await ask(fixture, '/key-auth?apikey=nobodys')).toBe('401 old');
    expect(await ask(fixture, '/key-auth')).toBe('401 old');
    // None of these is good, which the config that they meet says.
    const refused = met.map((text) => `401 ${text}`);
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    expect(await answers((n) => ['/basic-auth', `Basic ${base64(`user-${n}:wrong`)}`])).toEqual(refused);
    const token = (n: number) =>
      ['{"alg":"HS256"}', `{"iss":"issuer-${n}"}`, 'signature']
        .map((part) => Buffer.from(part).toString('base64url'))
        .join('.');
    expect(await answers((n) => ['/jwt', `Bearer ${token(n)}`])).toEqual(refused);
    const signed = (n: number) =>
      `hmac username="signer-${n}", algorithm="hmac-sha256", headers="date", signature="${base64('none')}"`;
    expect(await answers((n) => ['/hmac-auth', signed(n)])).toEqual(refused);
  });

  test('what is tried keeps its failures, and its copies of answers, to itself, and has its own targets checked', async () => {
    const target = (n: number, of: number, port: number) => ({
      id: id(n),
      upstream: { id: id(of) },
      target: `127.0.0.1:${port}`,
      weight: 100,
    });
    const passive = { passive: { unhealthy: { http_failures: 1, tcp_failures: 1, http_statuses: [500] } } };
    const active = {
      active: {
        type: 'http',
        timeout: 30,
        http_path: '/health',
        healthy: { interval: 0.1, successes: 1, http_statuses: [200] },
        unhealthy: { interval: 0.1, http_failures: 1, tcp_failures: 1, timeouts: 1, http_statuses: [500] },
      },
    };
    const balanced = (path: string, more: boolean): TestConfig => ({
      upstreams: {
        rows: [
          { id: id(20), name: 'both', healthchecks: passive },
          ...(more ? [{ id: id(21), name: 'tried', healthchecks: active }] : []),
        ],
      },
      // Nobody listens at the other one.
      targets: {
        rows: [target(30, 20, upstream.port), ...(more ? [target(31, 21, upstream.port), target(32, 21, 1)] : [])],
      },
      services: {
        rows: [
          service(40, 80, { host: 'both', path, retries: 0 }),
          service(41, 80, { host: more ? 'tried' : 'both', path: '/good', retries: 0 }),
        ],
      },
      routes: { rows: [route(1, '/', 40), route(2, '/tried', 41)] },
      plugins: { rows: [{ id: id(6), name: 'proxy-cache', config: CACHED, route: { id: id(1001) } }] },
    });
    await publish(balanced('/good', false), balanced('/bad', true), 50, 'header:x-client');
    const [inside = ''] = below(50);
    const outside = VALUES.find((value) => !below(50).includes(value)) ?? '';
    const seen = async (client: string) =>
      new Set(await Promise.all(Array.from({ length: 20 }, () => ask(fixture, '/taken', { 'x-client': client }))));
    await expect.poll(() => seen(inside), TAKEN).toEqual(new Set(['500 new']));
    await expect.poll(() => seen(outside), TAKEN).toEqual(new Set(['200 old']));
    for (let times = 0; times < 10; times++) {
      expect(await ask(fixture, `/${times}`, { 'x-client': inside })).toBe('500 new');
      expect(await ask(fixture, `/${times}`, { 'x-client': outside })).toBe('200 old');
      expect(await ask(fixture, `/${times}`, { 'x-client': inside })).toBe('500 new');
    }
    const healths = async (): Promise<unknown> => {
      const answer = await fetch(statusUrl(fixture.node, '/upstreams/tried/health'));
      const { data } = (await answer.json()) as { data?: { target: string; health: string }[] };
      return data?.map(({ target: of, health }) => `${of.endsWith(':1') ? 'none' : 'good'} ${health}`).toSorted();
    };
    await expect.poll(healths, { timeout: 60_000 }).toEqual(['good HEALTHY', 'none UNHEALTHY']);
    const tried = async () =>
      new Set(await Promise.all(Array.from({ length: 20 }, () => ask(fixture, '/tried', { 'x-client': inside }))));
    await expect.poll(tried, { timeout: 60_000 }).toEqual(new Set(['200 old']));
  });
});
