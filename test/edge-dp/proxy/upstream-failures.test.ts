import { Agent, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from './gateway.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** A port nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 1;
}

const status = (answer: string) => Number(answer.slice(9, 12));
const body = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4);

describe.each(GATEWAY_HOSTS)('upstreams that misbehave on %s', (host) => {
  let upstream: Upstream;
  let gateway: RunningGateway;
  let calls = 0;
  /** Connections on which a request waits for an answer that does not come. */
  let waiting = 0;

  beforeAll(async () => {
    upstream = await startUpstream((request, socket) => {
      const what = request.line.split(' ')[1]?.split('?')[0];
      switch (what) {
        case '/before-head':
          socket.destroy();
          return undefined;
        case '/mid-head':
          socket.end('HTTP/1.1 200 OK\r\nContent-Le');
          return undefined;
        case '/mid-body':
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npartial');
          setTimeout(() => socket.destroy(), 20);
          return undefined;
        case '/after-head':
          socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
          setTimeout(() => socket.destroy(), 20);
          return undefined;
        case '/garbage':
          return '\u0000\u0001SSH-2.0-OpenSSH\r\n\r\n';
        case '/two-lengths':
          return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk';
        case '/never':
          waiting++;
          socket.once('close', () => waiting--);
          return undefined;
        case '/stale':
          if (calls++ % 2 === 0) {
            socket.destroy();
            return undefined;
          }
          return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
        case '/own-error':
          return 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy';
        default:
          return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
      }
    });
    const service = (n: number, port: number, extra = {}) => ({
      id: id(n),
      name: `s${n}`,
      protocol: 'http',
      host: '127.0.0.1',
      port,
      retries: 0,
      ...extra,
    });
    const route = (n: number, path: string, service: number | null) => ({
      id: id(100 + n),
      paths: [path],
      protocols: ['http'],
      service: service === null ? null : { id: id(service) },
    });
    gateway = await startGateway({
      host,
      tables: {
        services: [
          service(1, upstream.port),
          service(2, await closedPort()),
          service(3, 80, { host: 'no-such-host.invalid' }),
          service(4, upstream.port, { enabled: false }),
          service(5, upstream.port, { retries: 2 }),
          // For what never answers: anything else may take its time on a busy machine.
          service(6, upstream.port, { path: '/never', read_timeout: 300 }),
          service(7, upstream.port, { path: '/never', read_timeout: 300, retries: 2 }),
          // Long enough that no request has a timer of its own from the beginning.
          service(8, upstream.port, { path: '/never', read_timeout: 2_500 }),
        ],
        routes: [
          route(1, '/up', 1),
          route(2, '/closed', 2),
          route(3, '/nowhere', 3),
          route(4, '/none', null),
          route(5, '/disabled', 4),
          route(6, '/again', 5),
          route(7, '/up/never', 6),
          route(8, '/again/never', 7),
          route(9, '/long/never', 8),
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const get = (path: string, headers = '', method = 'GET') =>
    gateway.raw(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);

  it.each(['/up/before-head', '/up/mid-head', '/up/garbage', '/up/two-lengths', '/closed'])(
    'answers 502 to %s',
    async (path) => {
      const answer = await get(path, 'Accept: application/json\r\n');
      expect(status(answer)).toBe(502);
      expect(body(answer)).toMatch(
        /^\{\n {2}"message":"An invalid response was received from the upstream server",\n {2}"request_id":"[0-9a-f]{32}"\n\}$/,
      );
      expect(answer).toContain('\r\nServer: kong/3.9.3\r\n');
      // It was sent on: its marks are those of a proxied answer.
      expect(answer).toContain('\r\nVia: 1.1 kong/3.9.3\r\n');
      expect(answer).toMatch(/\r\nX-Kong-Upstream-Latency: \d+\r\n/);
      expect(answer).toMatch(/\r\nX-Kong-Proxy-Latency: \d+\r\n/);
      expect(answer).not.toContain('X-Kong-Response-Latency');
    },
  );

  it('answers 504 when the upstream does not answer in time', async () => {
    const answer = await get('/up/never');
    expect(status(answer)).toBe(504);
    expect(body(answer)).toMatch(/^The upstream server is timing out\nrequest_id: [0-9a-f]{32}\n$/);
  });

  it('lets go of an upstream that did not answer in time, though the client stays', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const send = (path: string) =>
      new Promise<{ status?: number | undefined; reused: boolean }>((resolve, reject) => {
        const sent = request(`${gateway.url}${path}`, { agent }, (response) => {
          response.resume().once('end', () => resolve({ status: response.statusCode, reused: sent.reusedSocket }));
        });
        sent.once('error', reject).end();
      });
    await send('/up/fine');
    expect(await send('/again/never')).toEqual({ status: 504, reused: true });
    await expect.poll(() => waiting).toBe(0);
    expect(await send('/up/fine')).toEqual({ status: 200, reused: true });
    agent.destroy();
  });

  it('keeps to timeouts of seconds, whichever request came first and however that ended', async () => {
    const late = async (after: number) => {
      await new Promise((resolve) => setTimeout(resolve, after));
      const began = performance.now();
      const answer = await get('/long/never');
      return { status: status(answer), early: performance.now() - began < 2_490 };
    };
    const onTime = { status: 504, early: false };
    // The first is answered at once; another leaves in the middle; then nobody comes any more.
    expect(status(await get('/up/fine'))).toBe(200);
    expect(await Promise.all([late(0), late(400), late(900)])).toEqual([onTime, onTime, onTime]);
    const leaving = connect(gateway.port, '127.0.0.1', () =>
      leaving.write('GET /long/never HTTP/1.1\r\nHost: a\r\n\r\n'),
    );
    setTimeout(() => leaving.resetAndDestroy(), 300);
    expect(await late(600)).toEqual(onTime);
    expect(await late(1_500)).toEqual(onTime);
    await expect.poll(() => waiting).toBe(0);
    expect(gateway.log.filter((line) => /different request|will never generate|hung/i.test(line))).toEqual([]);
  });

  it('answers 503 when the name does not resolve', async () => {
    const answer = await get('/nowhere');
    expect(status(answer)).toBe(503);
    expect(body(answer)).toContain('"message":"name resolution failed"');
    expect(answer).toMatch(/\r\nX-Kong-Response-Latency: \d+\r\n/);
    expect(answer).not.toContain('X-Kong-Upstream-Latency');
  });

  it('lets the client see that a body of known length was cut short', async () => {
    const answer = await get('/up/mid-body');
    expect(status(answer)).toBe(200);
    expect(answer).toContain('\r\nContent-Length: 100\r\n');
    expect(body(answer)).toBe('partial');
  });

  // The runtime ends a chunked body properly even when it was cut short: closing the connection is all the client sees.
  it('closes the connection after a chunked body that was cut short', async () => {
    const answer = await get('/up/after-head');
    expect(status(answer)).toBe(200);
    expect(/\r\n0\r\n\r\n$/.test(answer)).toBe(host === 'workerd');
    const pipelined = await gateway.raw(
      'GET /up/after-head HTTP/1.1\r\nHost: a\r\n\r\nGET /up/fine HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    expect(pipelined.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  });

  it('passes the errors of an upstream on untouched', async () => {
    const answer = await get('/up/own-error');
    expect(answer).toMatch(/^HTTP\/1\.1 503 Busy\r\n/);
    expect(body(answer)).toBe('busy');
  });

  it('writes error pages in the type that is asked for', async () => {
    const types = {
      'text/html': /^<!doctype html>[\s\S]*<p>An invalid response was received from the upstream server\.<\/p>/,
      'application/xml': /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<error>\n {2}<message>An invalid/,
      'text/plain;q=0.5, application/json;q=0.9': /^\{\n {2}"message":"An invalid/,
      'text/*': /^An invalid response/,
    };
    for (const [type, expected] of Object.entries(types))
      expect(body(await get('/closed', `Accept: ${type}\r\n`)), type).toMatch(expected);
  });

  it('answers 503 on a route without service and 404 on one whose service is disabled', async () => {
    expect(body(await get('/none'))).toContain('"message":"No Service found with those values"');
    expect(status(await get('/none'))).toBe(503);
    expect(status(await get('/disabled'))).toBe(404);
  });

  it('tries again what may be repeated, and only that', async () => {
    calls = 0;
    expect(status(await get('/again/stale'))).toBe(200);
    calls = 0;
    const put = await gateway.raw('PUT /again/stale HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
    expect(status(put)).toBe(200);
    expect(upstream.seen.at(-1)?.body).toBe('abc');
    calls = 0;
    const post = await gateway.raw('POST /again/stale HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
    expect(status(post)).toBe(502);
    expect(calls).toBe(1);
  });

  it.each([
    ['GET', '/before-head', 3, 502],
    ['GET', '/never', 3, 504],
    ['PUT', '/mid-head', 3, 502],
    ['GET', '/garbage', 1, 502],
    ['DELETE', '/two-lengths', 1, 502],
    ['POST', '/never', 1, 504],
    ['PATCH', '/mid-head', 1, 502],
    ['LOCK', '/garbage', 1, 502],
    ['GET', '/own-error', 1, 503],
    ['POST', '/own-error', 1, 503],
  ])('sends %s %s as often as retries = 2 and Kong allow: %d times', async (method, what, times, code) => {
    upstream.seen.length = 0;
    expect(status(await get(`/again${what}`, '', method))).toBe(code);
    const asked = Array(times).fill(`${method} ${what} HTTP/1.1`);
    // The answer to the client may be read before the last of them.
    await expect.poll(() => upstream.seen.map(({ line }) => line)).toEqual(asked);
  });

  it('leaks nothing of a failed exchange into the next on the same connection', async () => {
    for (const failing of ['/up/mid-head', '/up/garbage', '/up/two-lengths', '/up/never']) {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const send = (path: string) =>
        new Promise<unknown>((resolve, reject) => {
          const sent = request(`${gateway.url}${path}`, { agent }, (response) => {
            let text = '';
            response.on('data', (part) => {
              text += String(part);
            });
            response.once('end', () => resolve([response.statusCode, sent.reusedSocket, text]));
          });
          sent.once('error', reject).end();
        });
      expect(await send(failing), failing).toEqual([failing === '/up/never' ? 504 : 502, false, expect.any(String)]);
      expect(await send('/again/fine'), failing).toEqual([200, true, 'ok']);
      agent.destroy();
    }
  });
});
