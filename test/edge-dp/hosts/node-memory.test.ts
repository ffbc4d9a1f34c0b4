import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { openIdle } from '../../idle-connections.ts';
import { once } from '../../once.ts';
import { type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { residentBytes } from '../proxy/resident.ts';

const MB = 1 << 20;
/** Bytes of a body; `npm run bench -- --only memory --host node` sends 1 GB, and keeps 10,000 connections. */
const LARGE = 128 * MB;

describe('the memory of the native host', () => {
  let upstream: Server;
  let node: ProxyNode;

  beforeAll(async () => {
    upstream = createServer((request, response) => {
      if (request.url !== '/mirror') return void response.end('ok');
      // What comes in goes out: both ways at once.
      response.writeHead(200);
      request.pipe(response);
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const { port } = upstream.address() as AddressInfo;
    const address = { host: '127.0.0.1', port: 0 };
    node = await startProxyNode(
      { services: [service(1, port)], routes: [route(1, '/', 1)] },
      { start: startNodeHost, proxyListen: [address, { ...address, tls: await generateListenerCertificate() }] },
    );
    // What the first requests compile and allocate is no part of it.
    (await openIdle(node.port, 300, { path: '/' })).end();
  });
  afterAll(async () => {
    await node?.stop();
    upstream?.close();
  });

  // Buffers of connections included; a handshake leaves more behind.
  it.each([
    ['connections', 0, 2_000, 24 << 10],
    ['TLS connections', 1, 300, 96 << 10],
  ])('holds idle %s at a bounded price each', async (_name, listener, count, each) => {
    const before = residentBytes(node.dataPlane);
    const port = node.dataPlane.proxyAddresses[listener]?.port ?? 0;
    const idle = await openIdle(port, count, { path: '/', tls: listener === 1 });
    try {
      expect(residentBytes(node.dataPlane) - before).toBeLessThan(count * each + 16 * MB);
      expect(idle.open()).toBe(count);
    } finally {
      idle.end();
    }
  });

  it('streams a large body both ways at once in flat memory', async () => {
    const before = residentBytes(node.dataPlane);
    let most = 0;
    let returned = 0;
    await new Promise<void>((resolve, reject) => {
      const request = httpRequest({ port: node.port, path: '/mirror', method: 'POST', agent: false });
      const part = Buffer.alloc(MB, 7);
      let left = LARGE / MB;
      const write = (): void => {
        while (left > 0) {
          left -= 1;
          most = Math.max(most, residentBytes(node.dataPlane));
          if (!request.write(part)) return void request.once('drain', write);
        }
        request.end();
      };
      request.on('error', reject).on('response', (response) => {
        response.on('error', reject).on('data', (data: Buffer) => {
          returned += data.byteLength;
        });
        response.on('end', resolve);
      });
      write();
    });
    expect(returned).toBe(LARGE);
    expect(most - before).toBeLessThan(96 * MB);
  });
});
