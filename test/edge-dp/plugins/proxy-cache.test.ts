import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ResponseKeeper } from '../../../edge-dp/durable/response-keeper.ts';
import { pack, type StoredResponse } from '../../../edge-dp/durable/stored-response.ts';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import { NodeResponses } from '../../../edge-dp/plugins/services/node-responses.ts';
import { id, type ProxyNode, startProxyNode } from '../proxy/node.ts';

const CONFIG = {
  response_code: [200, 206, 304, 404],
  request_method: ['GET', 'HEAD', 'POST'],
  content_type: ['text/plain', 'application/json'],
  cache_ttl: 300,
  strategy: 'memory',
  cache_control: false,
  ignore_uri_case: false,
  storage_ttl: null,
  memory: { dictionary_name: 'kong_db_cache' },
  vary_query_params: null,
  vary_headers: null,
  response_headers: { age: true, 'X-Cache-Status': true, 'X-Cache-Key': true },
};

/** Whoever comes is logged in as the same consumer, and gets a session. */
const LOGIN = `kong.client.authenticate({ id = '${id(20)}', username = 'ada' }, { id = '${id(21)}' })`;
const NO_FUNCTIONS = { certificate: [], rewrite: [], access: [], header_filter: [], body_filter: [], log: [] };
const SESSION = {
  ...{ secret: 'a secret of thirty-two characters', storage: 'cookie', audience: 'default', remember: false },
  ...{ logout_methods: [], logout_query_arg: 'out', logout_post_arg: 'out', read_body_for_logout: false },
  ...{ request_headers: null, response_headers: null, cookie_domain: null, cookie_secure: false },
};

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const PLAIN = { 'content-type': 'text/plain' };
/** Without a Cache-Control of its own a conditional request of `fetch` is one of somebody who reloads. */
const NO_RELOAD = { 'cache-control': 'no-transform' };

describe('proxy-cache on a node of three processes', () => {
  let node: ProxyNode;
  let asked = 0;
  /** What the origin does with requests, by the first part of the path; else it counts them. */
  const handlers = new Map<string, Handler>();
  const origin = createServer((request, response) => {
    asked++;
    const handler = handlers.get(request.url?.split(/[/?]/)[1] ?? '');
    if (handler === undefined) response.writeHead(200, PLAIN).end(`${request.method} ${asked}`);
    else handler(request, response);
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const { port } = origin.address() as AddressInfo;
    const plugin = (n: number, route: number, config: object) => ({
      id: id(n),
      name: 'proxy-cache',
      protocols: ['http'],
      route: { id: id(route) },
      config: { ...CONFIG, ...config },
    });
    const route = (n: number, path: string) => ({
      id: id(n),
      paths: [path],
      strip_path: true,
      protocols: ['http'],
      service: { id: id(1) },
    });
    node = await startProxyNode(
      {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port, retries: 0 }],
        routes: [
          route(2, '/kong'),
          route(3, '/rules'),
          route(6, '/logged'),
          { ...route(7, '/kept-host'), preserve_host: true },
        ],
        plugins: [
          plugin(4, 2, {}),
          plugin(5, 3, { cache_control: true }),
          plugin(8, 6, { cache_control: true }),
          plugin(9, 7, {}),
          { id: id(10), name: 'session', protocols: ['http'], route: { id: id(6) }, config: SESSION },
          {
            id: id(11),
            name: 'pre-function',
            protocols: ['http'],
            route: { id: id(6) },
            config: { ...NO_FUNCTIONS, access: [LOGIN] },
          },
        ],
      },
      { processes: 3 },
    );
  });
  afterAll(async () => {
    await node?.stop();
    origin.closeAllConnections();
    origin.close();
  });

  // A connection each, so that every process gets some.
  const send = async (path: string, init: { method?: string; headers?: Record<string, string> } = {}) => {
    const { method = 'GET', headers = {} } = init;
    const response = await fetch(`${node.url}${path}`, { method, headers: { connection: 'close', ...headers } });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const outcome = async (...request: Parameters<typeof send>) => (await send(...request)).headers.get('x-cache-status');
  /** What each of several processes answers. */
  const texts = async (path: string) => Promise.all(Array.from({ length: 12 }, async () => (await send(path)).text));
  /** What each of several processes says. */
  const outcomes = async (...request: Parameters<typeof send>) =>
    new Set(await Promise.all(Array.from({ length: 12 }, () => outcome(...request))));

  it('runs in every process', async () => {
    const statuses = async () =>
      new Set((await Promise.all(Array.from({ length: 60 }, () => send('/kong/ready')))).map(({ status }) => status));
    await expect.poll(statuses, { message: 'all processes to have the config' }).toEqual(new Set([200]));
  });

  it('gives every process what one of them has kept', async () => {
    const first = await send('/kong/shared');
    expect(first.headers.get('x-cache-status')).toBe('Miss');
    // It is kept behind the answer.
    await expect
      .poll(() => outcomes('/kong/shared'), { message: 'all processes to have it' })
      .toEqual(new Set(['Hit']));
    // Others that missed while it was being kept have kept theirs: whose is the last, all processes give the same one.
    await expect
      .poll(async () => new Set(await texts('/kong/shared')).size, { message: 'all processes to give the same answer' })
      .toBe(1);
  });

  it('passes an answer on as it comes, and keeps it whole or not at all', async () => {
    let finish: (() => void) | undefined;
    handlers.set('slow', (_, response) => {
      response.writeHead(200, PLAIN).write('first ');
      finish = () => void response.end('last');
    });
    const passed = await fetch(`${node.url}/kong/slow`);
    const reader = passed.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    expect(new TextDecoder().decode(value)).toBe('first ');
    finish?.();
    while ((await reader?.read())?.done === false);
    handlers.delete('slow');
    await expect.poll(async () => (await send('/kong/slow')).text).toBe('first last');

    handlers.set('broken', (_, response) => {
      response.writeHead(200, { ...PLAIN, 'content-length': '100' }).write('half');
      setTimeout(() => response.destroy(), 50);
    });
    await send('/kong/broken').catch(() => undefined);
    handlers.delete('broken');
    expect(await outcome('/kong/broken')).toBe('Miss');
  });

  it('takes no part for a whole, and answers conditions from the copy', async () => {
    handlers.set('tagged', (request, response) => {
      const part = request.headers.range !== undefined;
      response.writeHead(part ? 206 : 200, {
        ...PLAIN,
        etag: '"one"',
        'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT',
      });
      response.end(part ? 'pa' : 'part');
    });
    expect(await outcome('/kong/tagged', { headers: { range: 'bytes=0-1' } })).toBe('Bypass');
    expect(await outcome('/kong/tagged')).toBe('Miss');
    await expect.poll(() => outcomes('/kong/tagged')).toEqual(new Set(['Hit']));
    const unchanged = await send('/kong/tagged', { headers: { 'if-none-match': 'W/"one", "two"' } });
    expect([unchanged.status, unchanged.text, unchanged.headers.get('etag')]).toEqual([304, '', '"one"']);
    expect(unchanged.headers.get('content-type')).toBeNull();
    const since = { 'if-modified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' };
    expect((await send('/kong/tagged', { headers: since })).status).toBe(304);
    const both = await send('/kong/tagged', { headers: { ...since, 'if-none-match': '"two"' } });
    expect([both.status, both.text]).toEqual([200, 'part']);
  });

  it('answers HEAD with the length that GET would have', async () => {
    handlers.set('long', (_, response) => void response.writeHead(200, { ...PLAIN, 'content-length': '1234' }).end());
    await send('/kong/long', { method: 'HEAD' });
    await expect.poll(() => outcome('/kong/long', { method: 'HEAD' })).toBe('Hit');
    expect((await send('/kong/long', { method: 'HEAD' })).headers.get('content-length')).toBe('1234');
  });

  it('lets no client choose what another one gets', async () => {
    const many = Array.from({ length: 101 }, (_, n) => `a${n}=1`).join('&');
    const pairs = [
      ['?a=1%3Ab%3D2', '?a=1&b=2'],
      ['?a=1,2', '?a=1&a=2'],
      ['?a', '?a=true'],
      ['?a=%22%5D', '?a='],
      [`?${many}&x=1`, `?${many}&x=2`],
    ];
    for (const [one, other] of pairs) {
      const { headers } = await send(`/kong/keys${one}`);
      expect((await send(`/kong/keys${other}`)).headers.get('x-cache-key'), `${one} ${other}`).not.toBe(
        headers.get('x-cache-key'),
      );
    }
    const hosts = ['a.test', 'b.test', 'A.test'].map(async (host) => {
      const { text } = await node.raw(`GET /kong/hosts HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      return /x-cache-key: (\w+)/i.exec(text)?.[1];
    });
    const [a, b, upper] = await Promise.all(hosts);
    expect(a).toBe(upper);
    expect(a).not.toBe(b);
  });

  it('keeps cookies of the service, but none that the gateway set for one client', async () => {
    let asked = 0;
    handlers.set('own-cookie', (request, response) => {
      const unchanged = request.headers['if-none-match'] === '"a"';
      const lifetime = unchanged ? 60 : 1;
      const fields = { ...PLAIN, etag: '"a"', 'cache-control': `max-age=${lifetime}`, 'set-cookie': `own=${++asked}` };
      response.writeHead(unchanged ? 304 : 200, fields).end(unchanged ? undefined : 'a');
    });
    const cookies = async () => {
      const { headers } = await send('/logged/own-cookie');
      const pairs = headers.getSetCookie().map((line) => line.split(';', 1)[0] ?? '');
      return { status: headers.get('x-cache-status'), pairs: pairs.sort() };
    };
    const sessions = new Set<string>();
    /** Until a copy is given that was asked about: each time with a session of its own, and that alone. */
    const outcomes = new Set<string | null>();
    await expect
      .poll(async () => {
        const { status, pairs } = await cookies();
        expect(pairs).toEqual([expect.stringMatching(/^own=\d+$/), expect.stringMatching(/^session=/)]);
        expect(sessions).not.toContain(pairs[1]);
        sessions.add(pairs[1] ?? '');
        if (status === 'Hit' && !outcomes.has('Refresh')) await pause(100);
        return outcomes.add(status).has('Refresh') && status;
      })
      .toBe('Hit');
    expect(outcomes).toContain('Miss');
  });

  it('keeps nothing of who asks by a body what to read, nor for others whose Host names another port', async () => {
    handlers.set('said', (request, response) => {
      let body = '';
      request.on('data', (part) => (body += part));
      request.on('end', () => {
        const said = `${request.headers.host} ${body}`;
        response.writeHead(200, { ...PLAIN, 'content-length': said.length }).end(said);
      });
    });
    const get = async (host: string, body = '') => {
      const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
      const head = `GET /kept-host/said HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${length}\r\n`;
      const { text } = await node.raw(head + body);
      return `${/x-cache-status: (\w+)/i.exec(text)?.[1]} ${text.split('\r\n\r\n')[1]}`;
    };
    expect(await get('a.test', 'evil')).toBe('Bypass a.test evil');
    expect(await get('a.test:99')).toBe('Miss a.test:99 ');
    await expect.poll(() => get('a.test:99')).toBe('Hit a.test:99 ');
    expect(await get('a.test')).toBe('Miss a.test ');
    await expect.poll(() => get('A.test')).toBe('Hit a.test ');
    expect(await get('a.test', 'evil')).toBe('Bypass a.test evil');
  });

  it('with cache_control keeps a variant for each value of what Vary names', async () => {
    handlers.set('vary', (request, response) => {
      response.writeHead(200, { ...PLAIN, 'cache-control': 'max-age=60', vary: 'Accept-Language, X-Part' });
      response.end(`${request.headers['accept-language']}`);
    });
    for (const language of ['de', 'fr']) {
      const headers = { 'accept-language': language };
      expect(await outcome('/rules/vary', { headers })).toBe('Miss');
      await expect.poll(() => outcomes('/rules/vary', { headers })).toEqual(new Set(['Hit']));
      expect((await send('/rules/vary', { headers })).text).toBe(language);
    }
    expect((await send('/rules/vary', { headers: { 'accept-language': 'de' } })).text).toBe('de');
    handlers.set('any', (_, response) => {
      response.writeHead(200, { ...PLAIN, 'cache-control': 'max-age=60', vary: '*' }).end();
    });
    expect(await outcome('/rules/any')).toBe('Bypass');
  });

  it('with cache_control asks the origin about a stale copy, and goes on with it in every process', async () => {
    let tag = '"one"';
    const conditions: unknown[] = [];
    handlers.set('stale', (request, response) => {
      conditions.push(request.headers['if-none-match']);
      const same = request.headers['if-none-match']?.includes(tag) === true;
      const lifetime = conditions.length === 1 ? 1 : 60;
      response.writeHead(same ? 304 : 200, {
        ...(same ? {} : PLAIN),
        etag: tag,
        'cache-control': `max-age=${lifetime}`,
        'x-round': conditions.length,
      });
      response.end(same ? undefined : `body of ${tag}`);
    });
    expect(await outcome('/rules/stale')).toBe('Miss');
    // It is told what the client has, and that the copy is asked about.
    await pause(1_200);
    const first = await send('/rules/stale', { headers: { 'if-none-match': '"other"', ...NO_RELOAD } });
    expect([first.status, first.text, first.headers.get('x-cache-status')]).toEqual([200, 'body of "one"', 'Refresh']);
    expect(conditions).toEqual([undefined, '"other", "one"']);
    await expect.poll(() => outcomes('/rules/stale')).toEqual(new Set(['Hit']));
    const kept = await send('/rules/stale', { headers: { 'if-none-match': tag, ...NO_RELOAD } });
    // Of the second answer, or of a later one: another process may have asked as well before it heard of the first one's.
    expect([kept.status, Number(kept.headers.get('x-round'))]).toEqual([304, expect.toSatisfy((round) => round >= 2)]);

    // What the client wants newer is asked about as well, and replaced once it is another.
    tag = '"two"';
    await pause(1_200);
    const headers = { 'cache-control': 'max-age=1', range: 'bytes=0-3' };
    const changed = async () => {
      const { status, text, headers: answered } = await send('/rules/stale', { headers });
      expect([status, text]).toEqual([200, 'body of "two"']);
      return answered.get('x-cache-status');
    };
    // The first may meet a process that was not asked before, and has no copy.
    await expect.poll(changed, { message: 'a process that had the old copy' }).toBe('Refresh');
    expect(conditions).toContain('"one"');
  });

  it.each([
    ['bytes=1-3', {}, 206, 'bcd', 'bytes 1-3/10'],
    ['bytes=7-', {}, 206, 'hij', 'bytes 7-9/10'],
    ['bytes=-2', {}, 206, 'ij', 'bytes 8-9/10'],
    ['bytes=8-99', { 'if-range': '"ten"' }, 206, 'ij', 'bytes 8-9/10'],
    ['bytes=10-', {}, 416, '', 'bytes */10'],
    ['bytes=1-3', { 'if-range': '"other"' }, 200, 'abcdefghij', null],
    ['bytes=1-3', { 'if-range': 'W/"ten"' }, 200, 'abcdefghij', null],
    ['bytes=0-0,2-2', {}, 200, 'abcdefghij', null],
    ['bytes=3-1', {}, 200, 'abcdefghij', null],
    ['lines=1-2', {}, 200, 'abcdefghij', null],
  ])('with cache_control cuts %s %j out of a copy', async (range, more, status, text, place) => {
    handlers.set('ten', (_, response) => {
      response.writeHead(200, { ...PLAIN, etag: '"ten"', 'cache-control': 'max-age=60' }).end('abcdefghij');
    });
    await expect.poll(() => outcomes('/rules/ten')).toEqual(new Set(['Hit']));
    const answer = await send('/rules/ten', { headers: { range, ...more, ...NO_RELOAD } });
    expect([answer.status, answer.text, answer.headers.get('content-range')]).toEqual([status, text, place]);
    expect(answer.headers.get('x-cache-status')).toBe('Hit');
  });

  it('with cache_control shares between clients who show credentials only what the origin lets it', async () => {
    for (const [path, said, outcomeOfSecond] of [
      ['public', 'public, max-age=60', 'Hit'],
      ['own', 'max-age=60', 'Bypass'],
    ] as const) {
      handlers.set(path, (_, response) => void response.writeHead(200, { ...PLAIN, 'cache-control': said }).end());
      const headers = { authorization: 'Bearer a' };
      expect(await outcome(`/rules/${path}`, { headers })).toBe(outcomeOfSecond === 'Hit' ? 'Miss' : 'Bypass');
      await expect
        .poll(() => outcomes(`/rules/${path}`, { headers: { authorization: 'Bearer b' } }))
        .toEqual(new Set([outcomeOfSecond]));
    }
    // Nor does what somebody without credentials was answered reach one with them.
    await expect.poll(() => outcomes('/rules/own')).toEqual(new Set(['Hit']));
    expect(await outcome('/rules/own', { headers: { authorization: 'Bearer a' } })).toBe('Bypass');
  });

  it('with cache_control has every process forget what was written to, and writes nothing from memory', async () => {
    handlers.set('document', (_, response) => {
      response.writeHead(200, { ...PLAIN, 'cache-control': 'max-age=60' }).end(String(asked));
    });
    const { text } = await send('/rules/document');
    await expect.poll(() => outcomes('/rules/document')).toEqual(new Set(['Hit']));
    expect(await outcome('/rules/document', { method: 'POST' })).toBe('Bypass');
    await expect.poll(() => texts('/rules/document')).not.toContain(text);
  });

  it('forgets in every process what the control plane says, and shows it what there is', async () => {
    const { controlPlane } = node;
    /** What the control plane is shown under a key. */
    const shown = async (key: string, plugin: string | null = null) => {
      const question = crypto.randomUUID();
      await controlPlane.tell({ type: 'show_copy', id: question, key, plugin });
      const { status, body } = await controlPlane.heard('explained', (answer) => answer.id === question);
      return status === 200 ? body : null;
    };
    const kept = async (path: string) => {
      const { headers, text } = await send(path);
      const key = headers.get('x-cache-key') ?? '';
      await expect.poll(() => shown(key), { message: 'the copy to be kept' }).toMatchObject({ body: text });
      expect(new Set(await texts(path))).toEqual(new Set([text]));
      return { path, key, text };
    };
    const gone = async ({ path, key, text }: Awaited<ReturnType<typeof kept>>) => {
      await expect.poll(() => shown(key), { message: 'the copy to be gone' }).toBeNull();
      await expect.poll(() => texts(path)).not.toContain(text);
    };
    const first = await kept('/kong/purged');
    const entry = { status: 200, body_len: first.text.length, ttl: 300, version: 1, plugin: id(4) };
    const headers = { 'Content-Type': 'text/plain', 'X-Cache-Key': first.key };
    expect(await shown(first.key, id(4))).toMatchObject({ ...entry, headers });
    expect(await shown(first.key, id(5))).toBeNull();
    await controlPlane.tell({ type: 'purge', of: 'key', name: first.key });
    await gone(first);

    const second = await kept('/kong/purged-later');
    await controlPlane.tell({ type: 'purge', of: 'plugin', name: id(5) });
    expect(await shown(second.key)).toMatchObject({ body: second.text });
    await controlPlane.tell({ type: 'purge', of: 'plugin', name: id(4) });
    await gone(second);
  });

  it('serves no copies that were written to, or purged, when the first process ended and what it knew is lost', async () => {
    handlers.set('written', (_, response) => {
      response.writeHead(200, { ...PLAIN, 'cache-control': 'max-age=600' }).end(String(asked));
    });
    const first = async () => {
      const [pid] = node.dataPlane.pids();
      process.kill(pid ?? 0, 'SIGKILL');
      const again = () => node.dataPlane.pids().length === 3 && node.dataPlane.pids()[0] !== pid;
      await expect.poll(again, { message: 'the first process to run again' }).toBe(true);
    };
    const everywhere = async () => {
      await expect.poll(() => outcomes('/rules/written')).toEqual(new Set(['Hit']));
      return new Set([...(await texts('/rules/written')), ...(await texts('/rules/written'))]);
    };
    /** What of it is served still, by any process. */
    const left = async (copies: ReadonlySet<string>) => {
      const found: string[] = [];
      for (let round = 0; round < 40; round++) found.push(...(await texts('/rules/written')));
      return found.filter((text) => copies.has(text));
    };
    const gone = (copies: ReadonlySet<string>) => expect.poll(() => left(copies), { timeout: 20_000 }).toEqual([]);
    const written = await everywhere();
    expect(await outcome('/rules/written', { method: 'POST' })).toBe('Bypass');
    await first();
    await gone(written);
    // A control plane's order finds nobody meanwhile.
    const purged = await everywhere();
    await first();
    await gone(purged);
  });

  it('with cache_control answers 504 to who wants a copy alone, in the form of the gateway’s own errors', async () => {
    const headers = { 'cache-control': 'only-if-cached' };
    const {
      status,
      headers: told,
      text,
    } = await send('/rules/none', { headers: { ...headers, accept: 'text/plain' } });
    expect([status, told.get('x-cache-status')]).toEqual([504, null]);
    expect(text).toMatch(/^The upstream server is timing out\nrequest_id: \w+\n$/);
  });
});

describe('proxy-cache in the cache of the edge', () => {
  it('keeps copies there, each for its time, until they are purged', async () => {
    let asked = 0;
    const origin = createServer((_, response) => void response.writeHead(200, PLAIN).end(`${++asked}`));
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const { port } = origin.address() as AddressInfo;
    const node = await startProxyNode(
      {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port, retries: 0 }],
        routes: [{ id: id(2), paths: ['/'], protocols: ['http'], service: { id: id(1) } }],
        plugins: [
          {
            id: id(3),
            name: 'proxy-cache',
            protocols: ['http'],
            route: { id: id(2) },
            config: { ...CONFIG, strategy: 'edge' },
          },
        ],
      },
      { start: startMiniflareHost },
    );
    try {
      const send = async () => {
        const response = await fetch(`${node.url}/kept`);
        return `${response.headers.get('x-cache-status')} ${await response.text()}`;
      };
      await expect.poll(send, { message: 'a copy to be kept' }).toBe('Hit 1');
      const { headers } = await fetch(`${node.url}/kept`);
      const name = headers.get('x-cache-key') ?? '';
      await node.controlPlane.tell({ type: 'purge', of: 'key', name });
      await expect.poll(send, { message: 'the copy to be void' }).toMatch(/^Miss/);
      await expect.poll(send, { message: 'another to be kept' }).toBe('Hit 2');
    } finally {
      await node.stop();
      origin.closeAllConnections();
      origin.close();
    }
  });
});

/** An entry of so many bytes. */
function entry(key: string, bytes: number): StoredResponse {
  const now = Date.now();
  const times = { requestedAt: now, storedAt: now, until: now + 60_000 };
  const rest = { lifetime: 60, age: 0, mustRevalidate: false, variesBy: null, status: 200, headers: [] };
  return { key, primary: key, plugin: 'p', target: `http://a/${key}`, body: new Uint8Array(bytes), ...times, ...rest };
}

describe('the memory of responses', () => {
  it('stays within its bytes over 10,000 entries, and keeps what was used last', async () => {
    const own = new NodeResponses(null, { maxBytes: 1 << 20, near: true, log: () => undefined });
    for (let n = 0; n < 10_000; n++) {
      await own.keep(entry(`k${n}`, 0));
      if (n % 100 === 0) expect(await own.find('k0')).not.toBeNull();
    }
    let left = 0;
    for (let n = 0; n < 10_000; n++) if ((await own.find(`k${n}`)) !== null) left++;
    // Each weighs a KB at least, whatever is in it.
    expect(left).toBeLessThanOrEqual(1024);
    expect(left).toBeGreaterThan(900);
    await own.keep(entry('large', 1 << 20));
    expect(await own.find('large')).toBeNull();
  });

  it('takes nothing that was asked for before it was purged', async () => {
    const stored = new Map<string, unknown>();
    const storage = {
      get: async (name: string) => stored.get(name),
      put: async (name: string, value: unknown) => void stored.set(name, value),
    };
    const keeper = new ResponseKeeper(storage, 1 << 20);
    const early = entry('a', 1);
    await keeper.answer({ does: 'purge', of: 'plugin', name: 'p' }, Date.now());
    keeper.put(pack(early));
    expect(keeper.get('a')).toBeNull();
    const late = { ...early, requestedAt: Date.now() + 1 };
    keeper.put(pack(late));
    expect(keeper.get('a')).not.toBeNull();
  });

  it('finds out what was purged before also where the disk did not answer once', async () => {
    let answers = false;
    const purges = [{ of: 'plugin', name: 'p', at: Date.now() }];
    const storage = {
      get: async () => (answers ? purges : Promise.reject(new Error('busy'))),
      put: async () => undefined,
    };
    const keeper = new ResponseKeeper(storage, 1 << 20);
    await expect(keeper.restore()).rejects.toThrow('busy');
    answers = true;
    await Promise.all([keeper.restore(), keeper.restore()]);
    expect(await keeper.answer({ does: 'news', epoch: null, since: 0 }, Date.now())).toMatchObject({ purges });
  });
});
