import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';

const NOTHING = { json: [], json_types: [], headers: [] };
const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const JSON_BODY = '{"secret":1,"id":9007199254740993,"list":[]}';
const CHANGED = '{"id":9007199254740993,"list":["x"]}';

/** What the upstream answers, by path. */
const ANSWERS: Readonly<Record<string, RequestListener>> = {
  '/gzip': (_, response) => {
    const bytes = gzipSync(JSON_BODY);
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      'content-length': bytes.length,
    });
    response.end(bytes);
  },
  '/chunks': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(JSON_BODY.slice(0, 7));
    setImmediate(() => response.end(JSON_BODY.slice(7)));
  },
  '/identity': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'Identity' });
    response.end(JSON_BODY);
  },
  '/brotli': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'br' });
    response.end(brotliCompressSync(JSON_BODY));
  },
  '/chosen': (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ secret: 1, accepted: request.headers['accept-encoding'] ?? null }));
  },
  '/whole': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': JSON_BODY.length });
    response.end(JSON_BODY);
  },
  '/part': (_, response) => {
    response.writeHead(206, { 'content-type': 'application/json', 'content-range': 'bytes 0-11/45' });
    response.end(JSON_BODY.slice(0, 12));
  },
  '/parts': (_, response) => {
    response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=b' });
    const part = (from: number, to: number) =>
      `--b\r\nContent-Type: application/json\r\nContent-Range: bytes ${from}-${to - 1}/45\r\n\r\n${JSON_BODY.slice(from, to)}\r\n`;
    response.end(`${part(0, 12)}${part(12, 20)}--b--\r\n`);
  },
  '/part-of-text': (_, response) => {
    response.writeHead(206, { 'content-type': 'text/plain', 'content-range': 'bytes 0-1/3' });
    response.end('ab');
  },
  '/nan': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"secret":1,"id":NaN,"list":[]}');
  },
  '/broken': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 4 });
    response.end('{"se');
  },
  '/no-gzip': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    response.end(JSON_BODY);
  },
  '/long': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`{"secret":"${'x'.repeat(11 * 1024 * 1024)}"}`);
  },
  '/bomb': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    response.end(gzipSync(`{"secret":"${'x'.repeat(40 * 1024 * 1024)}"}`));
  },
  '/stops': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
    response.write('{"secret":1');
    setImmediate(() => response.destroy());
  },
  '/none': (_, response) => {
    response.writeHead(204, { 'content-type': 'application/json' });
    response.end();
  },
};

describe('response-transformer', () => {
  const server = createServer((request, response) => {
    response.setHeader('Set-Cookie', ['a=1', 'b=2']);
    ANSWERS[request.url ?? '']?.(request, response);
  });
  let gateway: RunningGateway;

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const config = {
      remove: { json: ['secret'], headers: ['X-Gone', 'content-length'] },
      rename: { json: [], headers: ['set-cookie:X-Cookies'] },
      replace: { ...NOTHING, headers: ['content-length:3'] },
      add: { ...NOTHING, headers: ['x-added:é 1', 'x-gone:stays gone', 'x-empty:'] },
      append: { json: ['list:x'], json_types: [], headers: ['Set-Cookie:c=3', 'Set-Cookie:d=4'] },
    };
    gateway = await startGateway({
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port }],
        routes: [{ id: id(101), paths: ['/'], protocols: ['http'], service: { id: id(1) } }],
        plugins: [{ id: id(201), name: 'response-transformer', config }],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    server.closeAllConnections();
    server.close();
  });

  const get = (path: string, method = 'GET', accepted = 'gzip, br') =>
    gateway.raw(`${method} ${path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${accepted}\r\nConnection: close\r\n\r\n`);
  const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4);

  it.each(['/gzip', '/chunks', '/identity'])('changes JSON that comes as %s, and says how long it is', async (path) => {
    const answer = await get(path);
    expect(bodyOf(answer)).toBe(CHANGED);
    expect(answer).toMatch(new RegExp(`content-length: ${CHANGED.length}\r\n`, 'i'));
    expect(answer).not.toMatch(/content-encoding/i);
  });

  it('removes from JSON with numbers that only some know (Python writes NaN)', async () => {
    expect(bodyOf(await get('/nan'))).toBe('{"id":NaN,"list":["x"]}');
  });

  it('passes what is no JSON, and codings that it cannot undo, as they are, and says so in the log', async () => {
    expect(bodyOf(await get('/broken'))).toBe('{"se');
    expect(await get('/brotli')).toMatch(/^HTTP\/1.1 200 [\s\S]*content-encoding: br/i);
    await expect.poll(() => gateway.log.join('\n')).toMatch(/no JSON object[\s\S]*coding is br/);
  });

  it.each([
    ['gzip, deflate, br, zstd', 'gzip, deflate'],
    ['gzip;q=0.5,*', 'gzip;q=0.5'],
    ['br', 'identity'],
    ['GZIP', 'GZIP'],
  ])('asks an upstream for no coding that it could not undo, whatever a client accepts: %s', async (accepted, sent) => {
    expect(JSON.parse(bodyOf(await get('/chosen', 'GET', accepted)))).toEqual({ accepted: sent, list: ['x'] });
  });

  it('shows nothing of what it cannot read far enough to change it', async () => {
    for (const path of ['/long', '/bomb', '/no-gzip']) {
      const answer = await get(path);
      expect(answer, path).toMatch(/^HTTP\/1.1 502 /);
      expect(answer, path).not.toContain('secret');
    }
    expect(await get('/stops')).not.toContain('secret');
  });

  it('shows no parts of what is to be changed, since no rule can be applied to them', async () => {
    for (const path of ['/part', '/parts']) {
      const answer = await get(path);
      expect(answer, path).toMatch(/^HTTP\/1.1 416 /);
      expect(answer, path).not.toMatch(/secret|content-range/i);
    }
    expect(await get('/part-of-text')).toMatch(/^HTTP\/1.1 206 [\s\S]*\bab\b/);
  });

  it('tells HEAD no length that the answer to GET has not', async () => {
    expect(await get('/whole')).toMatch(new RegExp(`content-length: ${CHANGED.length}\r\n`, 'i'));
    expect(await get('/whole', 'HEAD')).not.toMatch(/content-length/i);
  });

  it('keeps cookies apart, leaves the length to the gateway, and a body that is none', async () => {
    const answer = await get('/none');
    const lines = answer.split('\r\n').map((line) => line.toLowerCase());
    expect(lines[0]).toContain(' 204 ');
    expect(lines.filter((line) => line.startsWith('set-cookie:'))).toEqual(['set-cookie: c=3', 'set-cookie: d=4']);
    expect(lines.filter((line) => line.startsWith('x-cookies:')).join()).toMatch(/a=1.*b=2/);
    expect(answer).not.toMatch(/x-empty|content-length: 3/i);
  });
});
