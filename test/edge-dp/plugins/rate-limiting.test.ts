import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { PERIODS, type Period } from '../../../edge-dp/plugins/limits/periods.ts';
import rateLimiting from '../../../edge-dp/plugins/rate-limiting.ts';
import { type Counters, ServiceError, type Services } from '../../../edge-dp/plugins/runtime/services.ts';
import { memoryCounters } from '../../../edge-dp/plugins/services/memory-counters.ts';
import type { RateLimitingConfig } from '../../../shared/plugins/rate-limiting.ts';
import { id, type ProxyNode, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { type RedisTestServer, startRedisServer } from '../redis/redis-server.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG: RateLimitingConfig = {
  second: null,
  minute: null,
  hour: null,
  day: null,
  month: null,
  year: null,
  limit_by: 'ip',
  header_name: null,
  path: null,
  policy: 'local',
  fault_tolerant: true,
  redis: {
    host: null,
    port: 6379,
    timeout: 2000,
    username: null,
    password: null,
    database: 0,
    ssl: false,
    ssl_verify: false,
    server_name: null,
  },
  hide_client_headers: false,
  error_code: 429,
  error_message: 'API rate limit exceeded',
  sync_rate: -1,
};

/** Sends requests through one configuration; gives the refusal's status, or 200, and what the client is told. */
function limiter(config: Partial<RateLimitingConfig>, services: Partial<Services> = {}, place = EVERYWHERE) {
  const hooks = rateLimiting.compile({ ...CONFIG, ...config }, place, fakeServices(services));
  return async (request = fakeRequest()) => {
    const answer = await hooks.access?.(request);
    if (answer === undefined) return { status: 200, headers: request.replyHeaders, text: '' };
    const { status, content } = 'status' in answer ? answer : answer.response;
    return { status, headers: request.replyHeaders, text: String(content) };
  };
}

/** The statuses of requests, one after the other. */
async function statuses(send: ReturnType<typeof limiter>, requests: readonly ReturnType<typeof fakeRequest>[]) {
  const seen: number[] = [];
  for (const request of requests) seen.push((await send(request)).status);
  return seen;
}

describe('rate-limiting by the clock', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it.each<[Period, string, string, number]>([
    ['second', '2026-03-01T12:00:00.100Z', '2026-03-01T12:00:00.999Z', 1],
    ['minute', '2026-03-01T12:00:10.000Z', '2026-03-01T12:00:59.999Z', 1],
    ['minute', '2026-03-01T12:00:10.000Z', '2026-03-01T12:00:10.001Z', 50],
    ['hour', '2026-03-01T12:00:00.000Z', '2026-03-01T12:00:00.000Z', 3600],
    ['day', '2026-03-01T00:00:00.000Z', '2026-03-01T23:59:50.500Z', 10],
    ['month', '2028-02-01T00:00:00.000Z', '2028-02-29T23:59:59.000Z', 1],
    ['month', '2026-01-01T00:00:00.000Z', '2026-01-31T00:00:00.000Z', 86_400],
    ['year', '2026-01-01T00:00:00.000Z', '2026-12-31T23:59:58.000Z', 2],
  ])('ends a %s of %s, as told at %s, in %i seconds, neither earlier nor later', async (period, from, to, left) => {
    const send = limiter({ [period]: 1 });
    vi.setSystemTime(new Date(from));
    expect((await send()).status).toBe(200);
    vi.setSystemTime(new Date(to));
    const refused = await send();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('Retry-After')).toBe(String(left));
    const end = Math.ceil(Date.now() / 1000) * 1000 + (left - (to.endsWith('000Z') ? 0 : 1)) * 1000;
    vi.setSystemTime(end - 1);
    expect((await send()).status).toBe(429);
    vi.setSystemTime(end);
    expect((await send()).status).toBe(200);
  });

  it('always tells what a naive count says, over random limits and times', async () => {
    const limits = fc.tuple(...PERIODS.map(() => fc.option(fc.integer({ min: 1, max: 6 }), { nil: null })));
    const pauses = fc.array(fc.oneof(fc.nat(900), fc.nat(90_000), fc.nat(90_000_000)), { maxLength: 25 });
    const begin = fc.date({ min: new Date('2025-12-30'), max: new Date('2026-02-01'), noInvalidDate: true });
    await fc.assert(
      fc.asyncProperty(limits, pauses, begin, async (chosen, waits, from) => {
        const config = Object.fromEntries(PERIODS.map((period, i) => [period, chosen[i] ?? null]));
        const send = limiter(config);
        const counts = new Map<string, number>();
        vi.setSystemTime(from);
        for (const wait of waits) {
          vi.setSystemTime(Date.now() + wait);
          const stamp = new Date().toISOString();
          const windows = PERIODS.flatMap((period, i) => {
            const limit = chosen[i] ?? null;
            const name = `${period} ${stamp.slice(0, [19, 16, 13, 10, 7, 4][i])}`;
            return limit === null ? [] : [{ period, limit, name, used: counts.get(name) ?? 0 }];
          });
          const room = windows.every(({ used, limit }) => used < limit);
          if (room) for (const { name, used } of windows) counts.set(name, used + 1);
          const { status, headers } = await send();
          expect(status).toBe(room ? 200 : 429);
          const left = windows.map(({ limit, name }) => limit - (counts.get(name) ?? 0));
          for (const [i, { period, limit }] of windows.entries()) {
            expect(headers.get(`x-ratelimit-limit-${period}`)).toBe(String(limit));
            expect(headers.get(`x-ratelimit-remaining-${period}`)).toBe(String(left[i]));
          }
          if (windows.length === 0) continue;
          const least = Math.min(...left);
          const tightest = windows[left.lastIndexOf(least)];
          expect(headers.get('ratelimit-remaining')).toBe(String(least));
          expect(headers.get('ratelimit-limit')).toBe(String(tightest?.limit));
          expect(headers.get('retry-after')).toBe(room ? null : headers.get('ratelimit-reset'));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('rate-limiting', () => {
  const consumer = (name: string) => ({ id: id(name.length), username: name, custom_id: null, row: {} });
  const by = (fields: Parameters<typeof fakeRequest>[0], who?: string, credential?: string) => {
    const request = fakeRequest(fields);
    const found = credential === undefined ? null : { id: credential, identifier: null };
    if (who !== undefined || found !== null)
      request.identity.authenticate(who === undefined ? null : consumer(who), found);
    return request;
  };

  it.each<[string, Partial<RateLimitingConfig>, () => readonly ReturnType<typeof fakeRequest>[], number[]]>([
    ['ip', {}, () => [by({ ip: '1.1.1.1' }), by({ ip: '1.1.1.2' }), by({ ip: '1.1.1.1' })], [200, 200, 429]],
    [
      'consumer, then credential, then ip',
      { limit_by: 'consumer' },
      () => [by({}, 'ada', 'a'), by({}, 'ada', 'b'), by({}, undefined, 'b'), by({}, undefined, 'b'), by({}), by({})],
      [200, 429, 200, 429, 200, 429],
    ],
    [
      'credential, then ip',
      { limit_by: 'credential' },
      () => [by({}, 'ada', 'a'), by({}, 'ada', 'b'), by({}, 'bob', 'b'), by({}, 'ada'), by({})],
      [200, 200, 429, 200, 429],
    ],
    [
      'header, then ip',
      { limit_by: 'header', header_name: 'X-Key' },
      () => [
        by({ headers: { 'x-key': 'ä' } }),
        by({ headers: { 'X-KEY': 'ä' } }),
        by({ headers: { 'x-key': '' } }),
        by({}),
        by({}),
      ],
      [200, 429, 200, 200, 429],
    ],
    [
      'a header too long to be kept, told apart to its end',
      { limit_by: 'header', header_name: 'X-Key' },
      () => ['a', 'b', 'a'].map((end) => by({ headers: { 'x-key': 'x'.repeat(8000) + end } })),
      [200, 200, 429],
    ],
    [
      'path, then ip',
      { limit_by: 'path', path: '/a b' },
      () => ['/a%20b?x', '/c/../a%20b', '/d', '/e'].map((target) => by({ target })),
      [200, 429, 200, 429],
    ],
    ['service, or ip where there is none', { limit_by: 'service' }, () => [by({}), by({})], [200, 429]],
  ])('limits by %s', async (_, config, requests, expected) => {
    expect(await statuses(limiter({ year: 1, ...config }), requests())).toEqual(expected);
  });

  it('shares counts between configurations for one route and service only', async () => {
    const counters = memoryCounters();
    const send = (place: Partial<typeof EVERYWHERE>) => limiter({ year: 1 }, { counters }, { ...EVERYWHERE, ...place });
    const places: [Partial<typeof EVERYWHERE>, number][] = [
      [{ route: id(1), consumer: id(3) }, 200],
      [{ route: id(1), consumerGroup: id(4) }, 429],
      [{ service: id(1) }, 200],
      [{ route: id(1), service: id(1) }, 200],
      [{}, 200],
      [{ workspace: id(9) }, 200],
      [{ workspace: id(9) }, 429],
    ];
    for (const [place, status] of places) expect((await send(place)()).status, JSON.stringify(place)).toBe(status);
  });

  it('tells the client nothing where headers are hidden, and refuses in the words it was given', async () => {
    const send = limiter({ year: 1, hide_client_headers: true, error_code: 503, error_message: 'später – "wieder"' });
    expect([...(await send()).headers]).toEqual([]);
    const refused = await send();
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('später – \\"wieder\\"') });
    expect([...refused.headers]).toEqual([]);
  });

  it('lets a request that is not whole count for a whole one', async () => {
    const send = limiter({ year: 1.5 });
    expect([(await send()).headers.get('ratelimit-remaining'), (await send()).status, (await send()).status]).toEqual([
      '0.5',
      200,
      429,
    ]);
  });

  it('lets requests pass unlimited, or fails, when counters do not answer, and says it once', async () => {
    const gone = () => Promise.reject(new ServiceError('unavailable', 'nobody keeps them'));
    const counters: Counters = { take: gone, add: gone, usage: gone };
    const log = vi.fn();
    const send = limiter({ year: 1 }, { counters, log });
    expect([...(await send()).headers, ...(await send()).headers]).toEqual([]);
    expect(log).toHaveBeenCalledExactlyOnceWith(
      'error',
      `rate-limiting (${EVERYWHERE.id}) lets requests pass unlimited: nobody keeps them`,
    );
    await expect(limiter({ year: 1, fault_tolerant: false }, { counters })()).rejects.toThrow('nobody keeps them');
  });
});

describe.each([
  ['workerd', startWorkerdHost],
  ['node', startNodeHost],
] as const)('rate-limiting in eight processes of one node on %s', (host, start) => {
  let upstream: Upstream;
  let redis: RedisTestServer;
  let overTls: RedisTestServer;
  let node: ProxyNode;

  beforeAll(async () => {
    // Under this path it says what an answer costs.
    upstream = await startUpstream(({ line }) => {
      const costs = line.includes('/costly') ? 'X-Kong-Limit: video=2\r\n' : '';
      return `HTTP/1.1 200 OK\r\n${costs}Content-Length: 2\r\n\r\nok`;
    });
    redis = await startRedisServer({ user: 'gateway', password: 'größe' });
    overTls = await startRedisServer({}, await generateListenerCertificate());
    const encrypted = (verified: boolean) => ({
      policy: 'redis',
      fault_tolerant: false,
      redis: { ...CONFIG.redis, host: '127.0.0.1', port: overTls.port, ssl: true, ssl_verify: verified },
    });
    const inRedis = {
      policy: 'redis',
      redis: {
        ...CONFIG.redis,
        host: '127.0.0.1',
        port: redis.port,
        timeout: 5000,
        database: 3,
        username: 'gateway',
        password: 'größe',
      },
    };
    const service = { id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port };
    const limited = (n: number, limit: number, more: object = {}) => ({
      id: id(200 + n),
      name: 'rate-limiting',
      protocols: ['http'],
      route: { id: id(100 + n) },
      // The year holds where the minute ends meanwhile.
      config: { ...CONFIG, minute: limit, year: limit, ...more },
    });
    const route = (n: number, path: string) => ({
      id: id(100 + n),
      paths: [path],
      protocols: ['http'],
      service: { id: id(1) },
    });
    const costly = (n: number, verified: boolean) => ({
      ...{ id: id(200 + n), name: 'response-ratelimiting', protocols: ['http'], route: { id: id(100 + n) } },
      config: {
        ...{ header_name: 'x-kong-limit', limit_by: 'ip', block_on_first_violation: false, hide_client_headers: false },
        limits: { video: { second: null, minute: null, hour: null, day: null, month: null, year: 9 } },
        ...encrypted(verified),
      },
    });
    const paths = ['/hundred', '/killed', '/redis', '/strict', '/tolerant', '/all', '/tls', '/verified'];
    node = await startProxyNode(
      {
        services: [service],
        routes: [...paths, '/costly', '/costly-verified'].map((path, n) => ({
          ...route(n + 1, path),
          strip_path: false,
        })),
        plugins: [
          limited(1, 100),
          limited(2, 40, { limit_by: 'header', header_name: 'X-Attempt' }),
          limited(3, 100, inRedis),
          limited(4, 1000, { ...inRedis, fault_tolerant: false }),
          limited(5, 1000, inRedis),
          limited(7, 1000, encrypted(false)),
          limited(8, 1000, encrypted(true)),
          costly(9, false),
          costly(10, true),
        ],
      },
      { start, processes: 8 },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
    await redis?.kill();
    await overTls?.kill();
  });

  /** A connection each, so that every process gets some; a process that has no config yet is asked again. */
  async function send(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    for (let attempt = 0; attempt < 1200; attempt++) {
      const answer = await fetch(`${node.url}${path}`, { headers: { connection: 'close', ...headers } });
      if (answer.status !== 404) return answer;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return expect.fail('a process has no config after a minute');
  }

  it('is in each of them', async () => {
    const ready = async () => (await burst('/all', 24)).every(({ status }) => status === 200);
    await expect.poll(ready, { message: 'all processes to serve' }).toBe(true);
  });

  it.each(['/hundred', '/redis'])(
    'allows exactly a hundred of a hundred on %s, with headers that agree',
    async (path) => {
      const answers = (await Promise.all(Array.from({ length: 20 }, () => burst(path, 8)))).flat();
      const allowed = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 429);
      const others = answers.filter(({ status }) => status !== 200 && status !== 429).map(({ status }) => status);
      expect([allowed.length, refused.length, others], node.log.join('\n')).toEqual([100, 60, []]);
      const left = allowed
        .map(({ headers }) => Number(headers.get('x-ratelimit-remaining-year')))
        .sort((a, b) => a - b);
      // None promises more than is left; an answer that others have overtaken may know of them.
      expect(left.filter((count, i) => count > i || count < 0)).toEqual([]);
      expect(left[0]).toBe(0);
      for (const { headers } of refused) {
        expect(headers.get('x-ratelimit-remaining-year')).toBe('0');
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
    },
  );

  it('counts in Redis over one connection, under the names Kong has there', async () => {
    expect(redis.connections).toBe(1);
    const kept = Object.entries(redis.kept(3));
    const year = Date.UTC(new Date().getUTCFullYear(), 0);
    expect(kept).toContainEqual([
      `ratelimit:${id(103)}:00000000-0000-0000-0000-000000000000:127.0.0.1:${year}:year`,
      ['100', expect.any(Number)],
    ]);
    for (const [, [, seconds]] of kept) expect(seconds).toBeGreaterThan(0);
    expect(redis.kept()).toEqual({});
  });

  // What speaks with Redis is the same on all hosts.
  if (host === 'workerd') inTrouble();

  it('goes on from what is known when the process that counts is killed', async () => {
    const attempts: number[] = [];
    // Where the process that is killed had most of the requests, nobody is left who knows of them.
    while (attempts.length < 12 && !attempts.some((allowed) => allowed <= 28)) {
      const as = (count: number) => burst('/killed', count, { 'x-attempt': String(attempts.length) });
      const before = await as(24);
      expect(before.every(({ status }) => status === 200)).toBe(true);
      process.kill(Number(node.dataPlane.pids()[0]), 'SIGKILL');
      const counts = async () =>
        (await burst('/hundred', 24).catch(() => [])).map(({ headers }) => headers.get('x-ratelimit-limit-year'));
      await expect
        .poll(counts, { message: 'all processes to count together again', timeout: 120_000 })
        .toEqual(Array(24).fill('100'));
      // Sixteen are left. Without what the other processes know forty more would pass.
      attempts.push((await as(60)).filter(({ status }) => status === 200).length);
    }
    expect(Math.min(...attempts), `allowed afterwards: ${attempts}`).toBeLessThanOrEqual(28);
    expect(Math.max(...attempts), `allowed afterwards: ${attempts}`).toBeLessThanOrEqual(40);
  });

  function inTrouble(): void {
    it('speaks TLS with Redis, and takes a certificate unchecked only where it is told to', async () => {
      expect((await burst('/tls', 8)).map(({ status }) => status)).toEqual(Array(8).fill(200));
      expect(Object.values(overTls.kept()).map(([count]) => count)).toContain('8');
      expect(overTls.connections).toBe(1);
      expect(await status('/verified')).toBe(500);
      await expect.poll(() => node.log.join('\n'), { message: 'the log to say it' }).toMatch(/certificate/i);
    });

    it('speaks TLS with Redis for what answers cost, too, as configured', async () => {
      const left: (string | null)[] = [];
      for (let at = 0; at < 3; at++) left.push((await send('/costly')).headers.get('x-ratelimit-remaining-video-year'));
      expect(left).toEqual(['7', '5', '3']);
      expect(Object.values(overTls.kept()).map(([count]) => count)).toContain('6');
      expect(await status('/costly-verified')).toBe(500);
    });

    it.each<[string, () => Promise<void> | void, string]>([
      ['gone', () => redis.kill(), '127.0.0.1'],
      [
        'there again, but slow',
        () => {
          redis.behaviour.mute = true;
          return redis.start();
        },
        'no reply within 5000 ms',
      ],
      ['full', () => void Object.assign(redis.behaviour, { mute: false, full: true }), 'OOM command not allowed'],
      ['with another password', () => restart({ full: false, password: 'another' }), 'WRONGPASS'],
      ['with another user', () => restart({ user: 'another', password: 'größe' }), 'WRONGPASS'],
      [
        'a node of a cluster',
        () => restart({ user: 'gateway', cluster: true }),
        'it belongs to a Redis Cluster, which is not supported',
      ],
      ['a Sentinel', () => restart({ cluster: false, sentinel: true }), 'or a Sentinel, which is not supported'],
    ])('lets requests pass unlimited, or answers 500, while Redis is %s', async (_, change, reason) => {
      await change();
      // What failed before stands for a second.
      const failed = async () => ((await status('/strict')) === 500 ? node.log.join('\n') : 'not answered 500');
      await expect.poll(failed, { interval: 200, message: `to fail with ${reason}` }).toContain(reason);
      const tolerant = await send('/tolerant');
      expect([tolerant.status, tolerant.headers.get('x-ratelimit-limit-year')]).toEqual([200, null]);
      expect(node.log.join('\n')).not.toContain('größe');
    });

    it('goes on where it was once Redis is as it should be', async () => {
      await restart({ sentinel: false });
      await expect.poll(() => status('/redis'), { message: 'to count again' }).toBe(429);
    });
  }

  const status = async (path: string): Promise<number> => (await send(path)).status;

  async function restart(behaviour: Partial<RedisTestServer['behaviour']>): Promise<void> {
    await redis.kill();
    Object.assign(redis.behaviour, behaviour);
    await redis.start();
  }

  async function burst(path: string, count: number, headers = {}): Promise<Response[]> {
    return Promise.all(Array.from({ length: count }, () => send(path, headers)));
  }
});
