import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startGateway } from '../proxy/gateway.ts';
import { id, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

interface Running {
  readonly port: number;
  readonly stop: () => Promise<unknown>;
}

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';

/** RFC 6455 section 4.2.2. */
function accepted(key: string): string {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`;
}

function tables(targets: readonly Upstream[], fields: Readonly<Record<string, unknown>>) {
  return {
    upstreams: [{ id: id(90), name: 'both', algorithm: 'least-connections' }],
    targets: targets.map(({ port }, n) => ({
      id: id(91 + n),
      upstream: { id: id(90) },
      target: `127.0.0.1:${port}`,
      weight: 100,
    })),
    services: [service(1, 80, { host: 'both', retries: 1 })],
    routes: [route(1, '/', 1, fields)],
  };
}

const TICK = gzipSync('tick').toString('latin1');
const STREAMS = ['/stream', '/compressed'];

describe.each<[way: string, start: (targets: readonly Upstream[]) => Promise<Running>, kinds: string[]]>([
  ['natively', (targets) => startProxyNode(tables(targets, {})), [...STREAMS, '/socket']],
  [
    'through the egress process',
    (targets) => startProxyNode(tables(targets, { preserve_host: true })),
    [...STREAMS, '/socket'],
  ],
  ['on Node', (targets) => startProxyNode(tables(targets, {}), { start: startNodeHost }), [...STREAMS, '/socket']],
  [
    "through the runtime's sockets",
    (targets) => startGateway({ tables: tables(targets, { preserve_host: true }) }),
    STREAMS,
  ],
])('least-connections, %s', (_, start, kinds) => {
  const targets: Upstream[] = [];
  let gateway: Running;
  /** The target that is ill, by its number. */
  let ill: number | null = null;
  const open: { readonly at: string; readonly client: Socket }[] = [];
  /** Connections of the targets on which something lasts. */
  const held = new Set<Socket>();

  beforeAll(async () => {
    for (const n of [0, 1]) {
      targets.push(
        await startUpstream(({ line, header }, socket) => {
          const head = `X-Target: ${n}\r\n`;
          if (ill === n) {
            socket.destroy();
            return undefined;
          }
          if (line.includes('/silent')) return undefined;
          if (!line.includes('/short')) {
            held.add(socket);
            socket.once('close', () => held.delete(socket));
          }
          const ticking = (tick: string): void => {
            const ticks = setInterval(() => socket.write(tick, 'latin1'), 50);
            socket.once('close', () => clearInterval(ticks));
          };
          if (line.includes('/socket')) return `${accepted(header('Sec-WebSocket-Key') ?? '')}${head}\r\n`;
          if (line.includes('/short')) return `HTTP/1.1 200 OK\r\n${head}Content-Length: 2\r\n\r\nok`;
          if (line.includes('/compressed')) {
            ticking(TICK);
            return `HTTP/1.1 200 OK\r\n${head}Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n${TICK}`;
          }
          if (line.includes('/stream')) ticking('4\r\ntick\r\n');
          return `HTTP/1.1 200 OK\r\n${head}Transfer-Encoding: chunked\r\n\r\n4\r\ntick\r\n`;
        }),
      );
    }
    gateway = await start(targets);
  });
  afterAll(async () => {
    for (const { client } of open) client.resetAndDestroy();
    await gateway?.stop();
    for (const target of targets) await target.stop();
  });
  beforeEach(() => {
    ill = null;
  });

  /** Sends a request; gives the connection, and the answer's head once it is there. */
  const send = async (path: string): Promise<{ readonly client: Socket; readonly head: Promise<string> }> => {
    const client = connect(gateway.port, '127.0.0.1');
    client.setEncoding('latin1');
    client.on('error', () => undefined);
    await once(client, 'connect');
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${path === '/socket' ? HANDSHAKE : ''}\r\n`);
    let text = '';
    const head = new Promise<string>((resolve, reject) => {
      client.on('data', (part) => {
        text += String(part);
        if (text.includes('\r\n\r\n')) resolve(text);
      });
      client.once('close', () => reject(new Error(`${path}: no answer, only '${text}'`)));
    });
    head.catch(() => undefined);
    return { client, head };
  };
  const targetOf = (head: string) => /\r\nX-Target: (\d)/i.exec(head)?.[1] ?? head.slice(9, 12);
  const hold = async (path: string): Promise<string> => {
    const { client, head } = await send(path);
    const at = targetOf(await head);
    open.push({ at, client });
    return at;
  };
  /** The targets two short requests go to: the same one only where the other has more connections. */
  const next = async (): Promise<string> => {
    const seen: string[] = [];
    for (const _ of [1, 2]) {
      const { client, head } = await send('/short');
      seen.push(targetOf(await head));
      client.destroy();
    }
    return seen.toSorted().join('');
  };
  const settles = (at: string) => expect.poll(next, { message: 'the connections counted' }).toBe(at);

  it.each(kinds)('counts %s until its end', async (path) => {
    const seen: string[] = [];
    for (const _ of [1, 2, 3, 4]) seen.push(await hold(path));
    expect(seen.toSorted()).toEqual(['0', '0', '1', '1']);
    for (const { at, client } of open) if (at === '0') client.destroy();
    await settles('00');
    await expect.poll(() => held.size, { message: 'connections of the targets' }).toBe(2);
    expect([await hold(path), await hold(path)]).toEqual(['0', '0']);
    await settles('01');
    for (const { client } of open.splice(0)) client.destroy();
    await expect.poll(() => held.size, { message: 'connections of the targets' }).toBe(0);
    await settles('01');
  });

  it('gives connections back that failed, and that the client gave up', async () => {
    ill = 0;
    for (const _ of [1, 2, 3, 4, 5, 6]) expect(targetOf(await (await send('/short')).head)).toBe('1');
    ill = null;
    await settles('01');
    const before = targets.map(({ seen }) => seen.length);
    const clients = await Promise.all([1, 2, 3].map(() => send('/silent')));
    const arrived = () => targets.reduce((sum, { seen }, n) => sum + seen.length - (before[n] ?? 0), 0);
    await expect.poll(arrived, { message: 'the requests upstream' }).toBe(3);
    for (const { client } of clients) client.resetAndDestroy();
    await settles('01');
  });

  it('gives back those of clients that are reset while an answer pauses', async () => {
    for (const _ of [1, 2, 3]) await hold('/pause');
    // The runtime does not notice a reset in the instant of a write.
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const { client } of open.splice(0)) client.resetAndDestroy();
    await expect.poll(() => held.size, { message: 'connections of the targets' }).toBe(0);
    await settles('01');
  });
});
