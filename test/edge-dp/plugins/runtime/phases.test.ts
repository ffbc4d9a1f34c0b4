import { type AddressInfo, connect, createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../until.ts';
import { GATEWAY_HOSTS } from '../../proxy/gateway.ts';
import { startUpstream } from '../../proxy/upstream.ts';
import { type ProbeGateway, startProbeGateway } from './probe-gateway.ts';

const GZIPPED = gzipSync('some text that was compressed').toString('latin1');
/** What the upstream answers, by path. */
const ANSWERS: Readonly<Record<string, string>> = {
  '/chunked': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
  '/gzip': `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${GZIPPED.length}\r\n\r\n${GZIPPED}`,
  '/brotli': 'HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc',
  '/long': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`400\r\n${'x'.repeat(1024)}\r\n`.repeat(8)}0\r\n\r\n`,
  '/404': 'HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nETag: "a"\r\nX-Kept: yes\r\n\r\nnone',
  '/empty': 'HTTP/1.1 204 No Content\r\n\r\n',
};
const OK = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello';

const headOf = (answer: string): string => answer.slice(0, answer.indexOf('\r\n\r\n'));
const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4);
const fieldOf = (answer: string, name: string): string | undefined => {
  const lines = [...headOf(answer).matchAll(new RegExp(`\\r\\n${name}: ?(.*)`, 'gi'))].map(([, value]) => value);
  return lines.length === 0 ? undefined : lines.join('; ');
};

describe.each(GATEWAY_HOSTS)('the phases of plugins on %s', (host) => {
  let probe: ProbeGateway;
  /** Sends the second of the halves of an answer. */
  let sendRest = (): void => undefined;
  const get = (path = '/', headers = '') => probe.gateway.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);

  beforeAll(async () => {
    probe = await startProbeGateway(({ line }, socket) => {
      const path = line.split(/[ ?]/)[1] ?? '';
      if (path === '/halves') {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst');
        sendRest = () => void socket.write('again');
        return undefined;
      }
      if (path === '/silent') return undefined;
      if (path === '/cut') {
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst');
        return undefined;
      }
      const answer = ANSWERS[path] ?? OK;
      return line.startsWith('HEAD ') ? `${headOf(answer)}\r\n\r\n` : answer;
    }, host);
  });
  afterAll(() => probe?.stop());

  describe('access', () => {
    it('decides method, path, target, Host and body of what goes upstream', async () => {
      const other = await startUpstream(() => OK.replace('hello', 'other'));
      await probe.use({
        p0: {
          access: [
            ['method', 'PUT'],
            ['path', '/elsewhere'],
            ['target', { host: '127.0.0.1', port: other.port }],
            ['set', 'host', 'a'],
            ['body', 'new', 'text/plain'],
          ],
        },
      });
      expect(bodyOf(await get('/here?x=1'))).toBe('other');
      expect(other.seen[0]?.line).toBe('PUT /elsewhere?x=1 HTTP/1.1');
      expect(other.seen[0]?.header('host')).toBe('a');
      expect(other.seen[0]?.body).toBe('new');
      await other.stop();
    });

    it('decides whether it goes there over TLS', async () => {
      const begun: (number | undefined)[] = [];
      const server = createServer((socket) => {
        socket
          .on('error', () => undefined)
          .once('data', (data) => {
            begun.push(data[0]);
            socket.destroy();
          });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const target = ['target', { host: '127.0.0.1', port }] as const;
      for (const [scheme, first] of [
        ['https', 0x16],
        ['http', 'G'.charCodeAt(0)],
      ] as const) {
        await probe.use({ p0: { access: [target, ['scheme', scheme], ['retries', 0]] } });
        expect(headOf(await get())).toContain('502');
        expect(begun.splice(0)).toEqual([first]);
      }
      server.close();
    });

    it('waits as long, and tries as often, as a plugin says instead of the service', async () => {
      await probe.use({
        p0: {
          access: [
            ['timeouts', { connect: 20_000, read: 100, write: 20_000 }],
            ['retries', 2],
          ],
          log: true,
        },
      });
      expect(headOf(await get('/silent'))).toContain('504');
      const [told] = await probe.told(1);
      expect(told?.tries.map(({ failure }) => failure)).toEqual(['read_timeout', 'read_timeout', 'read_timeout']);
      expect(told?.source).toBe('error');
    });

    it('sends the request as one step, and may give that answer or another', async () => {
      await probe.use({ p0: { access: [['forward']], response: [['source']] } });
      const as = await get('/404');
      expect(headOf(as)).toContain('404');
      expect(fieldOf(as, 'x-forwarded-status')).toBe('404');
      expect(fieldOf(as, 'x-source')).toBe('service');
      expect(fieldOf(as, 'x-kong-upstream-latency')).toMatch(/^\d+$/);

      await probe.use({ p0: { access: [['forward', 'instead']], response: [['source']] } });
      const instead = await get('/404');
      expect([bodyOf(instead), fieldOf(instead, 'x-source')]).toEqual(['instead', 'exit']);
      expect(fieldOf(instead, 'x-kong-upstream-latency')).toBeUndefined();
      expect(probe.upstream.seen).toHaveLength(1);
    });

    it('answers as the gateway, or as the upstream would have', async () => {
      await probe.use({ p0: { access: [['served', 200, 'from a cache', 7]] }, p1: { response: [['source']] } });
      const served = await get();
      expect([bodyOf(served), fieldOf(served, 'x-source')]).toEqual(['from a cache', 'service']);
      expect(fieldOf(served, 'x-kong-upstream-latency')).toBe('7');
      expect(fieldOf(served, 'via')).toContain('kong');
      expect(fieldOf(served, 'x-kong-response-latency')).toBeUndefined();

      await probe.use({ p0: { access: [['waited', 200, 'from a function', 0]], response: [['source']] } });
      const waited = await get();
      expect([bodyOf(waited), fieldOf(waited, 'x-source')]).toEqual(['from a function', 'exit']);
      expect(fieldOf(waited, 'x-kong-response-latency')).toMatch(/^\d+$/);
      expect(probe.upstream.seen).toHaveLength(0);
    });

    it('cuts a body off at its limit while it streams, which the upstream does not take for complete', async () => {
      await probe.use({ p0: { access: [['limit', 10, 'too much']], log: true } });
      const chunk = `8\r\n12345678\r\n`;
      const answer = await probe.gateway.raw(
        `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
      );
      expect(headOf(answer)).toContain('413');
      expect(bodyOf(answer)).toContain('too much');
      expect(probe.upstream.seen).toHaveLength(0);
      expect((await probe.told(1))[0]?.source).toBe('exit');

      const short = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`;
      expect(headOf(await probe.gateway.raw(short))).toContain('200');
    });

    it('keeps what a client says of its connection from removing what a plugin says of the client', async () => {
      await probe.use({ p0: { access: [['authenticate', 'ada']] } });
      await get('/', 'Connection: X-Consumer-Username\r\nX-Consumer_Username: eve\r\n');
      expect(probe.upstream.seen[0]?.header('x-consumer-username')).toBe('ada');
      expect(probe.upstream.seen[0]?.header('x-consumer_username')).toBeUndefined();
    });
  });

  describe('rewrite', () => {
    it('runs for global configurations, before the route is matched by what it leaves', async () => {
      const routes = [
        { id: '00000000-0000-4000-8000-000000000003', paths: ['/'], protocols: ['http'], headers: { 'x-way': ['b'] } },
      ];
      await probe.gateway.configure({ routes: { upserts: routes, deletes: [] } });
      await probe.use({ p0: { rewrite: [['set', 'x-way', 'b']] } }, { global: true });
      expect(headOf(await get())).toContain('503');
      await probe.use({ p0: { rewrite: [['set', 'x-way', 'b']] } });
      expect(headOf(await get())).toContain('200');
      await probe.gateway.configure({ routes: { upserts: [], deletes: routes.map((route) => route.id) } });
    });

    it('that throws is a 500 like any other, and the request goes no further', async () => {
      await probe.use(
        { p0: { rewrite: [['throw', 'boom rewrite']], access: [['reply', 'x-access', 'ran']] }, p1: { log: true } },
        { global: true },
      );
      const answer = await get();
      expect(headOf(answer)).toContain('500');
      expect(bodyOf(answer)).toContain('An unexpected error occurred');
      expect(fieldOf(answer, 'x-access')).toBeUndefined();
      expect(probe.upstream.seen).toHaveLength(0);
      expect(await probe.told(1)).toMatchObject([{ status: 500, source: 'error' }]);
      await expect.poll(() => probe.gateway.log.join('\n')).toContain('failed in rewrite: boom rewrite');
    });

    it('may answer, which the later phases of global configurations meet', async () => {
      await probe.use(
        { p0: { rewrite: [['exit', 403, 'no']] }, p1: { response: [['source']], log: true } },
        { global: true },
      );
      const answer = await get('/nowhere');
      expect([headOf(answer).slice(9, 12), bodyOf(answer), fieldOf(answer, 'x-source')]).toEqual(['403', 'no', 'exit']);
      expect((await probe.told(1))[0]?.status).toBe(403);
    });
  });

  describe('response', () => {
    it.each([
      ['/', '5 hello', 'hello'],
      ['/chunked', '11 hello world', 'hello world'],
      ['/gzip', '29 some text that was c', GZIPPED],
      ['/empty', '0', ''],
    ])('reads the body of %s and passes it on all the same', async (path, read, sent) => {
      await probe.use({ p0: { response: [['read', 1000]] }, p1: { response: [['read', 1000]] } });
      const answer = await get(path);
      expect(fieldOf(answer, 'x-read')).toBe(`${read}; ${read}`);
      expect(unchunked(answer)).toBe(sent);
    });

    it('passes on what is too long, or in a coding that is not known, unread', async () => {
      await probe.use({ p0: { response: [['read', 5000]] } });
      const long = await get('/long');
      expect([fieldOf(long, 'x-read'), unchunked(long).length]).toEqual(['null', 8192]);
      const brotli = await get('/brotli');
      expect([fieldOf(brotli, 'x-read'), bodyOf(brotli)]).toEqual(['null', 'abc']);
      expect(fieldOf(brotli, 'content-encoding')).toBe('br');
    });

    it('replaces a body, for the plugins after it too', async () => {
      await probe.use({ p0: { response: [['replace', 'short']] }, p1: { response: [['read', 100]] } });
      const answer = await get('/gzip');
      expect([bodyOf(answer), fieldOf(answer, 'content-length')]).toEqual(['short', '5']);
      expect(fieldOf(answer, 'content-encoding')).toBeUndefined();
      expect(fieldOf(answer, 'x-read')).toBe('5 short');
    });

    it('changes a body as it streams', async () => {
      await probe.use({ p0: { response: [['upper']], log: true } });
      expect(unchunked(await get('/chunked'))).toBe('HELLO WORLD');
      expect(unchunked(await get('/gzip'))).toBe('SOME TEXT THAT WAS COMPRESSED');
      const brotli = await get('/brotli');
      expect([fieldOf(brotli, 'x-through'), bodyOf(brotli)]).toEqual(['false', 'abc']);
      await probe.told(3);
    });

    it('copies a body without a byte of it changed', async () => {
      await probe.use({ p0: { response: [['copy', 5000, probe.listener]] } });
      expect(unchunked(await get('/chunked'))).toBe('hello world');
      expect(unchunked(await get('/gzip'))).toBe(GZIPPED);
      expect(unchunked(await get('/long'))).toHaveLength(8192);
      const told = await probe.told(3);
      expect(told.map(({ copied }) => copied).sort()).toEqual([11, GZIPPED.length, null].sort());
    });

    it('answers instead of the upstream, whose other headers stay', async () => {
      await probe.use({
        p0: { response: [['set', 'x-first', 'yes']] },
        p1: { response: [['exit', 429, null, { 'X-Limit': '0' }]] },
        p2: { response: [['source']], log: true },
      });
      const answer = await get('/404');
      expect([headOf(answer).slice(9, 12), bodyOf(answer), fieldOf(answer, 'content-length')]).toEqual([
        '429',
        '',
        '0',
      ]);
      const fields = ['x-limit', 'x-first', 'x-kept', 'etag', 'x-source'].map((name) => fieldOf(answer, name));
      expect(fields).toEqual(['0', 'yes', 'yes', undefined, 'exit']);
      expect(fieldOf(answer, 'x-kong-upstream-latency')).toMatch(/^\d+$/);
      expect(await probe.told(1)).toMatchObject([{ status: 429, source: 'exit' }]);
    });

    it('tells who made the answer', async () => {
      const sources = async (steps: Parameters<ProbeGateway['use']>[0]['p0'], path = '/') => {
        await probe.use({ p0: { ...steps, response: [['source']] } }, { global: true });
        return fieldOf(await get(path), 'x-source');
      };
      expect(await sources({})).toBe('service');
      expect(await sources({ access: [['error', 401]] })).toBe('exit');
      expect(await sources({ access: [['throw', 'boom']] })).toBe('error');
      expect(await sources({ access: [['target', { host: '127.0.0.1', port: 1 }]] })).toBe('error');
    });
  });

  describe('log', () => {
    it('runs after the last byte, with what came of it', async () => {
      await probe.use({
        p0: {
          access: [
            ['set', 'x-a', '1'],
            ['remember', 'it'],
          ],
          log: true,
        },
      });
      expect(bodyOf(await halves('/halves?a=b'))).toBe('firstagain');
      const [told] = await probe.told(1);
      expect(told).toMatchObject({
        status: 200,
        source: 'service',
        tries: [{ port: probe.upstream.port, status: 200, failure: null }],
        bytes: { in: 0, out: 10 },
        aborted: false,
        upstreamTarget: '/halves?a=b',
        remembered: 'it',
      });
      // As the plugins left them: what the gateway tells the upstream is not among them, what belongs to the connection is.
      expect(told?.headers).toMatchObject({ 'x-a': '1', host: 'a' });
      expect(told?.headers['x-forwarded-for']).toBeUndefined();
      expect(told?.latencies.receive).toBeGreaterThanOrEqual(250);
      expect(told?.latencies.request).toBeGreaterThanOrEqual(told?.latencies.receive ?? Number.NaN);
      // Up to the head, which was there before the pause.
      expect(told?.latencies.proxy).toBeLessThan((told?.latencies.request ?? Number.NaN) - 250);
    });

    /** What comes back of an answer in halves; the second one is sent a while after the first has come. */
    function halves(path: string): Promise<string> {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      let text = '';
      const socket = connect(probe.gateway.port, '127.0.0.1', () => {
        socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      });
      socket.setEncoding('latin1').on('data', (part: string) => {
        if (!text.includes('first') && (text + part).includes('first')) setTimeout(sendRest, 300);
        text += part;
      });
      socket.on('error', reject).on('close', () => resolve(text));
      return promise;
    }

    it('tells of answers of the gateway, of compressed ones, of such without a body and of HEAD', async () => {
      await probe.use({ p0: { access: [['exit', 403, 'no']], log: true } });
      await get();
      expect(await probe.told(1)).toMatchObject([
        { status: 403, source: 'exit', tries: [], upstreamTarget: null, bytes: { out: 2 } },
      ]);
      expect(probe.logged[0]?.latencies.proxy).toBe(-1);
      await probe.use({ p0: { log: true } });
      await get('/gzip');
      await get('/empty');
      await probe.gateway.raw('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
      expect((await probe.told(3)).map(({ status }) => status)).toEqual([200, 204, 200]);
    });

    it('tells of a body that a plugin broke while it streamed, of which the client gets no more', async () => {
      await probe.use({ p0: { response: [['breaks']] }, p1: { log: true } });
      const answer = await halves('/halves');
      expect(headOf(answer)).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\ntransfer-encoding: chunked/i);
      // workerd ends chunks properly whatever happens to a body; that the connection closes is all there is to see.
      expect(bodyOf(answer)).toBe(`5\r\nfirst\r\n${host === 'node' ? '' : '0\r\n\r\n'}`);
      expect((await probe.told(1))[0]).toMatchObject({ aborted: true, status: 200 });
    });

    it('tells of a body that its upstream cut off, which the client does not take for complete', async () => {
      await probe.use({ p0: { log: true } });
      const answer = await get('/cut');
      expect([fieldOf(answer, 'content-length'), bodyOf(answer)]).toEqual(['10', 'first']);
      expect((await probe.told(1))[0]).toMatchObject({ aborted: true, status: 200 });
    });

    it('tells of clients that leave in the middle of an answer, and before it', async () => {
      await probe.use({ p0: { log: true } });
      await left('/halves', 'first');
      expect((await probe.told(1))[0]).toMatchObject({ aborted: true, status: 200 });
      await probe.use({
        p0: {
          access: [
            ['timeouts', { connect: 20_000, read: 4_000, write: 20_000 }],
            ['retries', 0],
          ],
          log: true,
        },
      });
      await left('/silent', null);
      expect((await probe.told(1))[0]).toMatchObject({
        aborted: true,
        status: 499,
        source: 'service',
        tries: [{ status: null, failure: null }],
      });
    });

    /** Sends a request and leaves once the text has come; where there is none to wait for, once the upstream has it. */
    function left(path: string, text: string | null): Promise<void> {
      return new Promise((resolve, reject) => {
        const socket = connect(probe.gateway.port, '127.0.0.1', () => {
          socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
          const arrived = () => probe.upstream.seen.length > 0;
          if (text === null) until(arrived, 'the request upstream').then(() => socket.resetAndDestroy(), reject);
        });
        socket.on('data', (data) => {
          if (text !== null && String(data).includes(text)) socket.resetAndDestroy();
        });
        socket.on('error', reject);
        socket.on('close', () => resolve());
      });
    }
  });

  describe('a plugin that throws', () => {
    it.each(['access', 'response'] as const)('in %s gives the client 500 and the log one line', async (phase) => {
      await probe.use({
        p0: { [phase]: [['throw', `boom ${phase}`]] },
        p1: { response: [['set', 'x-later', 'yes']], log: true },
      });
      const before = probe.gateway.log.length;
      const answer = await get('/', 'Accept: application/json\r\n');
      const { message, request_id } = JSON.parse(bodyOf(answer));
      // Not in the words that the upstream had for its own status.
      expect(headOf(answer)).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/);
      expect(message).toBe('An unexpected error occurred');
      expect(request_id).toBe(fieldOf(answer, 'x-kong-request-id'));
      expect(fieldOf(answer, 'x-later')).toBe(phase === 'access' ? 'yes' : undefined);
      expect(await probe.told(1)).toMatchObject([{ status: 500, source: 'error' }]);
      const line = `request ${request_id}: plugin p0 (00000000-0000-4000-8000-000000001000) of route probed failed in ${phase}: boom ${phase}`;
      await expect
        .poll(() => probe.gateway.log.slice(before).filter((each) => each.includes('boom')), { message: 'the line' })
        .toEqual([expect.stringContaining(line)]);
    });

    it.each([
      ['access', false],
      ['rewrite', true],
    ] as const)(
      'with another one that does in every phase from %s on: one answer, a line for each that failed, and nothing is left of it',
      async (first, global) => {
        const failing = (name: string) => ({
          [first]: [
            ['share', 'k', name] as const,
            ['append', 'x-a', name] as const,
            ['throw', `boom ${name} ${first}`] as const,
          ],
          response: [['throw', `boom ${name} response`] as const],
          log: 'throw' as const,
        });
        // Before the router there is none to be named.
        const of = global ? '' : 'probed';
        await probe.use({ p0: failing('p0'), p1: failing('p1'), p2: { log: true } }, { global });
        const before = probe.gateway.log.length;
        const answer = await get('/', 'Accept: application/json\r\n');
        const { message, request_id } = JSON.parse(bodyOf(answer));
        // Not in the words that the upstream had for its own status.
        expect(headOf(answer)).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/);
        expect(message).toBe('An unexpected error occurred');
        expect(await probe.told(1)).toMatchObject([{ name: 'p2', status: 500, source: 'error' }]);
        const failures = () =>
          probe.gateway.log.slice(before).flatMap((line) => {
            const [, request, plugin, , route, phase] =
              /request (\w+): plugin (\w+) \(\S+\)( of route (\w+))? failed in (\w+)/.exec(line) ?? [];
            return request === request_id ? [[plugin, route, phase].join(' ')] : [];
          });
        await expect
          .poll(failures, { message: 'the lines of all failures' })
          .toEqual([`p0 ${of} ${first}`, `p0 ${of} response`, `p0 ${of} log`, `p1 ${of} log`]);
        await probe.use({ p0: { access: [['recall', 1]], response: [['source']] } });
        const next = await get();
        expect([headOf(next).slice(9, 12), fieldOf(next, 'x-recalled')]).toEqual(['200', '[null]']);
        expect(probe.upstream.seen.at(-1)?.all('x-a')).toEqual([]);
      },
    );

    it('in log keeps no other from it', async () => {
      await probe.use({ p0: { log: 'throw' }, p1: { log: true } });
      expect(headOf(await get())).toContain('200');
      expect((await probe.told(1))[0]?.name).toBe('p1');
    });
  });

  it('runs what is bound to a group for those who are found to be in it', async () => {
    await probe.use(
      { p0: { access: [['authenticate', 'ada']] }, p1: { access: [['reply', 'x-one', 'all']] } },
      { ofGroup: { p1: { access: [['reply', 'x-one', 'vip']] }, p2: { response: [['set', 'x-two', 'vip']] } } },
    );
    const answer = await get();
    expect([fieldOf(answer, 'x-one'), fieldOf(answer, 'x-two')]).toEqual(['vip', 'vip']);
    await probe.use(
      { p0: { access: [['authenticate', 'eve']] }, p1: { access: [['reply', 'x-one', 'all']] } },
      { ofGroup: { p1: { access: [['reply', 'x-one', 'vip']] } } },
    );
    expect(fieldOf(await get(), 'x-one')).toBe('all');
  });

  it('never shows a request what another one left, however they interleave', async () => {
    await probe.use({
      p0: {
        access: [
          ['append', 'x-a', 'once'],
          ['share', 'k', 'v'],
        ],
      },
      p1: { access: [['recall', 30]], response: [['source']] },
    });
    const answers = await Promise.all(Array.from({ length: 40 }, () => get()));
    for (const answer of answers) expect(fieldOf(answer, 'x-recalled')).toBe('[null,["k","v"]]');
    expect(probe.upstream.seen.every((request) => request.all('x-a').length === 1)).toBe(true);
  });

  it('closes the instances of configurations that are gone', async () => {
    await probe.use({ p0: { access: [], close: 'first' } });
    await probe.use({ p0: { access: [], close: 'second' } });
    await expect.poll(() => probe.gateway.log.filter((line) => line.startsWith('closed '))).toEqual(['closed first']);
  });
});

/** The body without chunk sizes. */
function unchunked(answer: string): string {
  if (!/\r\ntransfer-encoding: chunked/i.test(headOf(answer))) return bodyOf(answer);
  let body = '';
  for (let rest = bodyOf(answer); ; ) {
    const line = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (!(size > 0)) return body;
    body += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 2 + size + 2);
  }
}
