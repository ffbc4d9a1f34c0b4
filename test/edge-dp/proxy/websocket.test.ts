import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { authority } from '../../cp/pki/authority.ts';
import { once } from '../../once.ts';
import { keepsAlive } from '../../proc.ts';
import { type ProxyNode, route, service, startProxyNode, statuses } from './node.ts';
import { residentBytes } from './resident.ts';

type Message = readonly [data: Buffer, binary: boolean];

/** An echo server; its paths make it do other things. */
function serveSockets(server: ReturnType<typeof createHttpServer>, ends: [number, string][]): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 64 << 20,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has('v2.chat') ? 'v2.chat' : false),
  });
  server.on('upgrade', (request, socket, head) => {
    const path = request.url ?? '';
    if (path.includes('/refused')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nX-Why: you\r\n\r\nno way');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (open) => {
      open.on('message', (data, binary) => open.send(data, { binary }));
      open.on('close', (code, reason) => ends.push([code, String(reason)]));
      open.on('error', () => undefined);
      const close = /\/close\/(\d+)/.exec(path)?.[1];
      if (close !== undefined) open.close(Number(close), 'the server says so');
      if (path.includes('/die')) socket.destroy();
      if (path.includes('/ping')) {
        open.on('pong', (data) => open.send(`pong ${data}`));
        open.ping('are you there');
      }
      if (path.includes('/flood')) {
        const part = Buffer.alloc(1 << 20, 1);
        let left = 64;
        const more = (): void => {
          if (left-- > 0) open.send(part, more);
        };
        more();
      }
    });
  });
  return sockets;
}

describe.each([
  ['workerd', startWorkerdHost, ['natively', 'through the egress process']],
  // It has no egress process.
  ['node', startNodeHost, ['natively']],
] as const)('WebSockets on %s', (host, start, ways) => {
  const ends: [number, string][] = [];
  const servers: { close(): unknown; closeAllConnections(): void }[] = [];
  let node: ProxyNode;
  const bases: Record<string, string> = {};

  beforeAll(async () => {
    const ca = await authority('upstreams');
    const { cert, key } = await ca.leaf({ name: 'localhost' });
    const refuse: RequestListener = (_request, response) => response.writeHead(426).end();
    const [plain, secure] = [createHttpServer(refuse), createHttpsServer({ cert, key }, refuse)];
    const ports: number[] = [];
    for (const server of [plain, secure]) {
      serveSockets(server, ends);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ports.push((server.address() as AddressInfo).port);
      servers.push(server);
    }
    const [plainPort = 0, securePort = 0] = ports;
    node = await startProxyNode(
      {
        services: [
          service(1, plainPort),
          service(3, plainPort, { read_timeout: 3_000, write_timeout: 3_000, connect_timeout: 3_000 }),
          service(2, securePort, { protocol: 'https', tls_verify: false }),
        ],
        routes: [
          route(1, '/native', 1),
          route(2, '/egress', 1, { preserve_host: true }),
          route(3, '/tls', 2),
          route(4, '/native/idle', 3),
          route(5, '/egress/idle', 3, { preserve_host: true }),
        ],
      },
      { start },
    );
    Object.assign(bases, {
      directly: `ws://127.0.0.1:${plainPort}`,
      natively: `ws://127.0.0.1:${node.port}/native`,
      'through the egress process': `ws://127.0.0.1:${node.port}/egress`,
      'to a TLS upstream': `ws://127.0.0.1:${node.port}/tls`,
    });
  });
  afterAll(async () => {
    await node?.stop();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });

  it.runIf(host === 'node' && process.platform === 'linux')(
    'has the kernel find out whether a silent client is still there',
    async () => {
      const socket = new WebSocket(`${bases.natively}/`);
      await once(socket, 'open');
      const client = Reflect.get(socket, '_socket') as Socket;
      await expect.poll(() => keepsAlive(node.port, client.localPort ?? 0)).toBe(true);
      socket.close();
    },
  );

  // The same client with and without a gateway between: what holds directly must hold through it.
  const all = [...(host === 'workerd' ? ['directly'] : []), ...ways, 'to a TLS upstream'];
  describe.each(all)('%s', (how) => {
    async function open(path = '/', protocols: string[] = [], options: ClientOptions = {}) {
      const socket = new WebSocket(`${bases[how]}${path}`, protocols, { maxPayload: 64 << 20, ...options });
      const messages: Message[] = [];
      socket.on('message', (data: Buffer, binary) => void messages.push([data, binary]));
      await once(socket, 'open');
      const received = (count: number) => expect.poll(() => messages.length).toBe(count);
      return { socket, messages, received };
    }
    const closing = async (socket: WebSocket): Promise<[number, string]> => {
      const [code, reason] = await once(socket, 'close');
      return [Number(code), String(reason)];
    };

    it('echoes text and binary of every length that is framed differently, in order', async () => {
      const { socket, messages, received } = await open();
      const sizes = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 1 << 20];
      for (const size of sizes) {
        socket.send('é'.repeat(size >> 1));
        socket.send(Buffer.alloc(size, size & 0xff));
      }
      await received(sizes.length * 2);
      for (const [n, size] of sizes.entries()) {
        expect(messages[n * 2]?.[1]).toBe(false);
        expect(String(messages[n * 2]?.[0]) === 'é'.repeat(size >> 1)).toBe(true);
        expect(messages[n * 2 + 1]?.[1]).toBe(true);
        expect(messages[n * 2 + 1]?.[0].equals(Buffer.alloc(size, size & 0xff))).toBe(true);
      }
      socket.close();
    });

    it('puts fragments together, with control frames between them', async () => {
      const { socket, messages, received } = await open();
      const pongs: string[] = [];
      socket.on('pong', (data) => pongs.push(String(data)));
      socket.send('one ', { fin: false });
      socket.ping('between');
      socket.send('two ', { fin: false });
      socket.send('', { fin: false });
      socket.send('three');
      socket.send(Buffer.from([1, 2]), { fin: false, binary: true });
      socket.send(Buffer.from([3]), { binary: true });
      await received(2);
      expect(messages.map(([data, binary]) => [[...data], binary])).toEqual([
        [[...Buffer.from('one two three')], false],
        [[1, 2, 3], true],
      ]);
      await expect.poll(() => pongs).toEqual(['between']);
      socket.close();
    });

    it('answers pings of either side', async () => {
      const { socket, messages, received } = await open('/ping');
      socket.ping('x'.repeat(125));
      const [data] = await once(socket, 'pong');
      expect(String(data)).toBe('x'.repeat(125));
      await received(1);
      expect(String(messages[0]?.[0])).toBe('pong are you there');
      socket.close();
    });

    it('tells the upstream why the client closed', async () => {
      for (const [code, reason] of [
        [1000, ''],
        [1001, 'leaving'],
        [3000, 'é'.repeat(61)],
        [4999, 'last'],
      ] as const) {
        ends.length = 0;
        const { socket } = await open();
        socket.close(code, reason);
        expect((await closing(socket))[0]).toBe(code);
        await expect.poll(() => ends).toContainEqual([code, reason]);
      }
    });

    it('tells the client why the upstream closed', async () => {
      for (const code of [1000, 1003, 1008, 1011, 1013, 3999, 4000, 4999]) {
        const { socket } = await open(`/close/${code}`);
        expect(await closing(socket)).toEqual([code, 'the server says so']);
      }
    });

    it('ends when either side dies', async () => {
      const dead = await open('/die');
      expect((await closing(dead.socket))[0]).toBe(1006);
      ends.length = 0;
      const { socket } = await open();
      socket.terminate();
      await expect.poll(() => ends.map(([code]) => code)).toContain(1006);
    });

    it('passes a message of 16 MB there and back', async () => {
      const { socket, messages, received } = await open();
      const large = Buffer.alloc(16 << 20, 'holdfast');
      socket.send(large);
      await received(1);
      expect(messages[0]?.[0].equals(large)).toBe(true);
      socket.close();
    });

    it('agrees on the subprotocol that the upstream chose, and on none', async () => {
      const chosen = await open('/', ['v1.chat', 'v2.chat']);
      expect(chosen.socket.protocol).toBe('v2.chat');
      chosen.socket.close();
      const plain = await open();
      expect(plain.socket.protocol).toBe('');
      plain.socket.close();
    });

    it('does without compression where it is offered but not taken', async () => {
      const { socket, messages, received } = await open('/', [], { perMessageDeflate: true });
      socket.send('x'.repeat(10_000));
      await received(1);
      expect(String(messages[0]?.[0])).toBe('x'.repeat(10_000));
      socket.close();
    });

    it('passes on the answer of an upstream that refuses', async () => {
      const socket = new WebSocket(`${bases[how]}/refused`);
      socket.on('error', () => undefined);
      const [, response] = await once(socket, 'unexpected-response');
      expect(response.statusCode).toBe(403);
      expect(response.headers['x-why']).toBe('you');
    });

    it('lives on when nothing is said for longer than the timeouts', async () => {
      const { socket, messages, received } = await open('/idle');
      await new Promise((resolve) => setTimeout(resolve, 6_500));
      socket.send('still here');
      await received(1);
      expect(String(messages[0]?.[0])).toBe('still here');
      socket.close();
    });
  });

  it.each([['/native'], ['/egress']])('sends a POST that asks for an upgrade on %s as a POST', async (path) => {
    const asks =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n';
    const { text } = await node.raw(`POST ${path} HTTP/1.1\r\nHost: a\r\n${asks}Content-Length: 3\r\n\r\nabc`, {
      answers: 1,
    });
    // The answer of the upstream to requests that are no handshake.
    expect(statuses(text)).toEqual([426]);
  });

  it.each(ways)('serves 200 at once %s, each its own', async (how) => {
    const echoes = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const socket = new WebSocket(`${bases[how]}/`);
        await once(socket, 'open');
        socket.send(`number ${n}`);
        const [data] = await once(socket, 'message');
        return { socket, right: String(data) === `number ${n}` };
      }),
    );
    expect(echoes.filter(({ right }) => right)).toHaveLength(200);
    for (const { socket } of echoes) socket.close();
  });

  it.each(ways)('holds the upstream back for a slow reader %s', async (how) => {
    const before = residentBytes(node.dataPlane);
    const socket = new WebSocket(`${bases[how]}/flood`, { maxPayload: 64 << 20 });
    await once(socket, 'open');
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const grown = residentBytes(node.dataPlane) - before;
    let bytes = 0;
    socket.on('message', (data: Buffer) => {
      bytes += data.length;
    });
    socket.resume();
    await expect.poll(() => bytes).toBe(64 << 20);
    socket.close();
    expect(grown).toBeLessThan(32 << 20);
  });
});
