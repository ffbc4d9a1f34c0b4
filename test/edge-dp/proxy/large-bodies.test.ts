import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { once } from '../../once.ts';
import { ownBox } from '../hosts.ts';
import { type ProxyNode, responses, route, service, startProxyNode } from './node.ts';
import { residentBytes } from './resident.ts';

const MB = 1 << 20;
/** Bytes of a large body. */
const LARGE = 128 * MB;
/** What the node's processes may grow by while one goes through them: buffers and garbage, but no body. */
const BOUND = 96 * MB;

describe.each([
  ['natively', '/native'],
  ['through the egress process', '/egress'],
])('bodies %s', (_, way) => {
  let upstream: Server;
  let node: ProxyNode;
  let written = 0;
  let received = 0;
  const gone: string[] = [];

  beforeAll(async () => {
    // A connection that ends between two requests would take a body with it.
    upstream = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      const url = request.url ?? '';
      request.on('error', () => undefined);
      response.on('close', () => {
        if (!response.writableFinished) gone.push(url);
      });
      if (url.endsWith('/slow-reader')) {
        // Takes nothing until it is told to.
        upstream.once('read on', () => request.resume().on('end', () => response.end('ok')));
      } else if (url.endsWith('/download')) {
        const part = Buffer.alloc(MB / 4, 7);
        const length = LARGE;
        response.writeHead(200, { 'content-length': length });
        written = 0;
        const more = (): void => {
          while (written < length) {
            written += part.length;
            if (!response.write(part)) return void response.once('drain', more);
          }
          response.end();
        };
        more();
      } else if (url.endsWith('/early')) {
        request.once('data', () => {
          request.pause();
          response.writeHead(413, { 'content-length': 8 }).end('too much');
        });
      } else if (url.endsWith('/events')) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        upstream.on('next', () => response.write('data: 2\n\n'));
      } else {
        received = 0;
        request.on('data', (data: Buffer) => {
          received += data.length;
        });
        request.on('end', () => response.end(String(received)));
      }
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const { port } = upstream.address() as AddressInfo;
    node = await startProxyNode({
      services: [service(1, port)],
      routes: [route(1, '/native', 1), route(2, '/egress', 1, { preserve_host: true })],
    });
    // Both processes have their code and first buffers.
    await (await fetch(`${node.url}${way}/`, { method: 'POST', body: 'warm' })).text();
  });
  afterAll(async () => {
    await node?.stop();
    upstream?.closeAllConnections();
    upstream?.close();
  });

  /** Watches the node's memory while something goes on; gives by how much it was larger at most. */
  async function growthDuring(work: () => Promise<void>): Promise<number> {
    const before = residentBytes(node.dataPlane);
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, residentBytes(node.dataPlane));
    }, 50);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    return most - before;
  }

  function uploadTo(path: string, headers: Record<string, string>) {
    return httpRequest(`${node.url}${way}${path}`, { method: 'POST', headers, agent: false });
  }

  it.each([
    ['of known length', { 'content-length': String(LARGE) }],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
  ])('streams a large upload %s in flat memory', async (_name, headers) => {
    const growth = await growthDuring(async () => {
      const request = uploadTo('/upload', headers);
      const answered = once(request, 'response');
      const part = Buffer.alloc(MB / 4, 7);
      for (let sent = 0; sent < LARGE; sent += part.length) if (!request.write(part)) await once(request, 'drain');
      request.end();
      const [response] = await answered;
      expect(response.statusCode).toBe(200);
      response.resume();
      expect(received).toBe(LARGE);
    });
    expect(growth).toBeLessThan(BOUND);
  });

  it('streams a large download in flat memory', async () => {
    const growth = await growthDuring(async () => {
      const response = await fetch(`${node.url}${way}/download`);
      let size = 0;
      for await (const part of response.body ?? []) size += part.length;
      expect(size).toBe(LARGE);
    });
    expect(growth).toBeLessThan(BOUND);
  });

  it('holds an upload back while the upstream does not read, and an upstream back while the client does not', async () => {
    const request = uploadTo('/slow-reader', { 'content-length': String(LARGE) });
    request.on('error', () => undefined);
    const answers: (number | undefined)[] = [];
    request.on('response', ({ statusCode }) => answers.push(statusCode));
    const part = Buffer.alloc(MB, 7);
    let taken = 0;
    const growth = await growthDuring(async () => {
      for (; taken < 48; taken++) {
        if (!request.write(part) && (await Promise.race([once(request, 'drain'), sleep(700)])) === undefined) break;
      }
    });
    expect(answers).toEqual([]);
    expect(taken).toBeLessThan(48);
    expect(growth).toBeLessThan(BOUND);
    request.destroy();

    written = 0;
    const socket = connect(node.port, '127.0.0.1');
    socket.write(`GET ${way}/download HTTP/1.1\r\nHost: a\r\n\r\n`);
    socket.pause();
    await expect.poll(() => written).toBeGreaterThan(0);
    for (let before = 0; before !== written; await sleep(700)) before = written;
    expect(written).toBeLessThan(LARGE / 2);
    gone.length = 0;
    socket.destroy();
    // Nobody is left to read it: the upstream is told.
    await expect.poll(() => gone).toEqual(['/download']);
  });

  it('tells the upstream when a client of its events goes away', async () => {
    gone.length = 0;
    const socket = connect(node.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data;
      if (text.includes('data: 1')) upstream.emit('next');
    });
    socket.write(`GET ${way}/events HTTP/1.1\r\nHost: a\r\n\r\n`);
    await expect.poll(() => text).toContain('data: 2');
    socket.destroy();
    // A client may only have ended its half: the runtime finds out with the next event.
    await expect
      .poll(() => {
        upstream.emit('next');
        return gone;
      })
      .toEqual(['/events']);
  });

  it('passes on an answer that comes before the upload is complete', async () => {
    const head = `POST ${way}/early HTTP/1.1\r\nHost: a\r\nContent-Length: ${LARGE}\r\n\r\n`;
    const { text } = await node.raw(head + 'x'.repeat(MB), { answers: 1 });
    expect(responses(text)).toMatchObject([{ status: 413, body: 'too much' }]);
    // The client has ended its half by then: a node that waited on for the rest would not end the other.
  }, 20_000);

  // The runtime sends no 100: clients that wait for it send their body after a while, as RFC 9110 section 10.1.1 asks of them.
  it('takes the body of a client that expected 100, and answers it once', async () => {
    const head = `POST ${way}/upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
    // On Node the client is asked for it first.
    const asked = ownBox === 'node' ? [{ status: 100 }] : [];
    const { text } = await node.raw(`${head}body`, { answers: asked.length + 1 });
    expect(responses(text)).toMatchObject([...asked, { status: 200, body: '4' }]);
  });
});
