import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const status = (answer: string) => Number(answer.slice(9, 12));

const CONFIG = {
  key_names: ['apikey', 'x_api_key'],
  hide_credentials: false,
  anonymous: null,
  key_in_header: true,
  key_in_query: true,
  key_in_body: false,
  run_on_preflight: true,
  realm: null,
};

const NOTHING = { headers: [], querystring: [], body: [] };
const WITHOUT_SECRET = {
  http_method: null,
  remove: { ...NOTHING, body: ['secret'] },
  rename: NOTHING,
  replace: { ...NOTHING, uri: null },
  add: NOTHING,
  append: NOTHING,
};

describe('key-auth', () => {
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    const route = (n: number, path: string) => ({
      id: id(100 + n),
      paths: [path],
      protocols: ['http'],
      service: { id: id(1) },
    });
    const plugin = (n: number, route: number, config: object) => ({
      id: id(200 + n),
      name: 'key-auth',
      route: { id: id(100 + route) },
      config: { ...CONFIG, ...config },
    });
    const credential = (n: number, key: string, consumer: number, ttl: number | null = null) => [
      key,
      [{ id: id(300 + n), key: sha256(key), consumer: { id: id(consumer) }, ttl }],
    ];
    const now = Math.floor(Date.now() / 1000);
    gateway = await startGateway({
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [
          route(1, '/plain'),
          route(2, '/hide'),
          route(3, '/anonymous'),
          route(4, '/nobody'),
          route(5, '/quiet'),
          route(6, '/named'),
          route(7, '/uuid-name'),
          route(8, '/no-name'),
          route(9, '/changed'),
        ],
        plugins: [
          plugin(1, 1, { realm: 'shop' }),
          plugin(2, 2, { hide_credentials: true, key_in_body: true }),
          plugin(9, 9, { hide_credentials: true, key_in_body: true }),
          { id: id(220), name: 'request-transformer', route: { id: id(109) }, config: WITHOUT_SECRET },
          plugin(3, 3, { anonymous: id(402) }),
          plugin(4, 4, { anonymous: id(499) }),
          plugin(6, 6, { anonymous: 'guest' }),
          plugin(7, 7, { anonymous: id(404) }),
          plugin(8, 8, { anonymous: 'nobody' }),
          plugin(5, 5, { run_on_preflight: false, key_in_header: false }),
        ],
      },
      lazy: {
        keyauth_credentials: Object.fromEntries([
          credential(1, 'alice-key', 401),
          credential(2, 'old-key', 401, now - 1),
          credential(3, 'fresh-key', 401, now + 600),
          credential(4, 'orphan-key', 498),
          credential(5, 'with, comma', 401),
        ]),
        consumers: {
          [id(401)]: [{ id: id(401), username: 'alice', custom_id: 'c-1' }],
          [id(402)]: [{ id: id(402), username: 'guest', custom_id: null }],
          [id(403)]: [{ id: id(403), username: id(404), custom_id: null }],
        },
        'consumers.username': {
          guest: [{ id: id(402), username: 'guest' }],
          [id(404)]: [{ id: id(403), username: id(404) }],
        },
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const send = async (raw: string) => {
    upstream.seen.length = 0;
    const answer = await gateway.raw(raw);
    return { answer, request: upstream.seen[0] };
  };
  const get = (target: string, headers = '', method = 'GET') =>
    send(`${method} ${target} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);

  it('refuses without a key, with a wrong, expired, orphaned or doubled one', async () => {
    const missing = (await get('/plain')).answer;
    expect(status(missing)).toBe(401);
    expect(missing).toContain('\r\nWWW-Authenticate: Key realm="shop"\r\n');
    expect(missing).toContain('"message":"No API key found in request"');
    for (const key of ['wrong', 'old-key', 'orphan-key', sha256('alice-key')]) {
      const { answer, request } = await get('/plain', `apikey: ${key}\r\n`);
      expect(status(answer), key).toBe(401);
      expect(answer, key).toContain('"message":"Unauthorized"');
      expect(request, key).toBeUndefined();
    }
    const twice = await get('/plain', 'apikey: alice-key\r\napikey: alice-key\r\n');
    expect(twice.answer).toContain('"message":"Duplicate API key found"');
    const both = await get('/plain?apikey=alice-key&apikey=alice-key');
    expect(both.answer).toContain('"message":"Duplicate API key found"');
    expect(status((await get('/plain?apikey')).answer)).toBe(401);
  });

  it('tells the upstream who the consumer is, and lets nobody pretend', async () => {
    const forged = 'X-Consumer-Username: root\r\nX-Consumer-Groups: admins\r\nX-Anonymous-Consumer: true\r\n';
    for (const key of ['alice-key', 'fresh-key', 'with, comma', 'alice-key \t']) {
      const { request } = await get('/plain', `X-API-KEY: ${key}\r\n${forged}`);
      expect(request?.header('X-Consumer-ID'), key).toBe(id(401));
      expect(request?.all('X-Consumer-Username'), key).toEqual(['alice']);
      expect(request?.header('X-Consumer-Custom-ID'), key).toBe('c-1');
      expect(request?.header('X-Credential-Identifier'), key).toMatch(/^00000000-0000-4000-8000-0000000003/);
      expect(request?.all('X-Anonymous-Consumer'), key).toEqual([]);
    }
  });

  it('finds keys in query and body, and hides them without touching the rest', async () => {
    const query = await get('/hide?a=%41&apikey=alice%2Dkey&b=x+y&&', 'Accept: */*\r\n');
    expect(query.request?.line).toBe('GET /?a=A&b=x+y HTTP/1.1');
    const elsewhere = await get('/hide?a=%41&&flag', 'apikey: alice-key\r\n');
    expect(elsewhere.request?.line).toBe('GET /?a=%41&&flag HTTP/1.1');
    for (const name of ['apikey', 'APIKEY', 'x_api_key', 'X-API-KEY']) {
      const header = await get('/hide', `${name}: alice-key\r\n`);
      expect(header.request?.header('X-Consumer-Username'), name).toBe('alice');
      expect(header.request?.all(name), name).toEqual([]);
      expect(header.request?.raw, name).not.toContain('alice-key');
    }
    const form = 'a=1&apikey=alice-key&b=2';
    const posted = await send(
      `POST /hide HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`,
    );
    expect(posted.request?.body, posted.answer).toBe('a=1&b=2');
    const json = '{"apikey":"alice-key","n":[1.0,12345678901234567890]}';
    const sent = await send(
      `POST /hide HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`,
    );
    expect(sent.request?.body).toBe('{"n":[1.0,12345678901234567890]}');
    expect(sent.request?.header('Content-Length')).toBe('32');
    const field = (name: string, more = '') => `--B\r\nContent-Disposition: form-data; name="${name}"\r\n${more}\r\n`;
    const meta = `${field('meta', 'Content-Type: application/json\r\n')}{"a":1}\r\n`;
    const parts = `${meta}${field('apikey')}alice-key\r\n--B--\r\n`;
    const multipart = await send(
      `POST /hide HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: ${parts.length}\r\n\r\n${parts}`,
    );
    expect(multipart.request?.body).toBe(`${meta}--B--\r\n`);
    expect(multipart.request?.header('Content-Type')).toBe('multipart/form-data; boundary=B');
  });

  it('passes on a body that is too long to search', async () => {
    const long = 'x'.repeat((1 << 20) + 10);
    const { answer, request } = await send(
      `PUT /hide HTTP/1.1\r\nHost: a\r\napikey: alice-key\r\nTransfer-Encoding: chunked\r\n\r\n${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`,
    );
    expect(status(answer)).toBe(200);
    expect(request?.body.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, '')).toHaveLength(long.length + 2);
  });

  it('leaves a body that it did not read to its end to plugins that read further', async () => {
    const long = 'x'.repeat((1 << 20) + 10);
    const form = `secret=1&long=${long}`;
    const { answer, request } = await send(
      `POST /changed HTTP/1.1\r\nHost: a\r\napikey: alice-key\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n${form.length.toString(16)}\r\n${form}\r\n0\r\n\r\n`,
    );
    expect(status(answer)).toBe(200);
    expect(request?.body).toHaveLength(`long=${long}`.length);
    expect(request?.body.slice(0, 6)).toBe('long=x');
  });

  it('falls back to the anonymous consumer, and says so when there is none', async () => {
    const { request } = await get('/anonymous', 'apikey: wrong\r\n');
    expect(request?.header('X-Consumer-Username')).toBe('guest');
    expect(request?.header('X-Anonymous-Consumer')).toBe('true');
    expect(request?.all('X-Credential-Identifier')).toEqual([]);
    expect((await get('/named')).request?.header('X-Consumer-ID')).toBe(id(402));
    expect((await get('/uuid-name')).request?.header('X-Consumer-ID')).toBe(id(403));
    for (const path of ['/nobody', '/no-name']) {
      const { answer } = await get(path);
      expect(status(answer)).toBe(500);
      expect(answer).toMatch(/\{\n {2}"message":"An unexpected error occurred",\n {2}"request_id":"[0-9a-f]{32}"\n\}$/);
    }
  });

  it('lets preflights pass where told to, and looks only where told to', async () => {
    expect(status((await get('/quiet', '', 'OPTIONS')).answer)).toBe(200);
    expect(status((await get('/quiet', 'apikey: alice-key\r\n')).answer)).toBe(401);
    expect(status((await get('/quiet?apikey=alice-key')).answer)).toBe(200);
  });
});
