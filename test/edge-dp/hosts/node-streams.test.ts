import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { id, type ProxyNode, startProxyNode } from '../proxy/node.ts';

describe('streams on the native host', () => {
  let node: ProxyNode;
  let upstream: Server;

  beforeAll(async () => {
    upstream = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const address = upstream.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const tables: Record<string, readonly BundleRow[]> = {
      services: [{ id: id(1), host: '127.0.0.1', port, protocol: 'tcp' }],
      routes: [{ id: id(1), protocols: ['tcp'], sources: [{ ip: '127.0.0.0/8' }], service: { id: id(1) } }],
    };
    node = await startProxyNode(tables, {
      start: startNodeHost,
      streamListen: [{ host: '127.0.0.1', port: 0, udp: false }],
    });
  });
  afterAll(async () => {
    await node?.stop();
    upstream?.close();
  });

  it('moves bytes', async () => {
    const socket = connect(node.dataPlane.streamAddresses?.[0]?.port ?? 0, '127.0.0.1');
    socket.end('hello');
    let text = '';
    for await (const part of socket) text += part;
    expect(text).toBe('hello');
  });
});
