import { createSocket, Socket } from 'node:dgram';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { listenForUdp } from '../../../edge-dp/hosts/node/stream/udp-listener.ts';
import { bytesKept, UdpSession } from '../../../edge-dp/hosts/node/stream/udp-session.ts';
import { stopReceiving, udpHandle } from '../../../edge-dp/hosts/udp-handle.ts';
import type { StreamPassage } from '../../../edge-dp/stream/passage.ts';
import { until } from '../../until.ts';
import { within } from '../../within.ts';

const LIMIT = 60_000;
const sockets: Socket[] = [];
/** Ports of clients whose session has ended, in order. */
const ended: number[] = [];
let port: number;
/** Until it is known what becomes of a session. */
let known: Promise<object> = Promise.resolve({});

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
  return socket;
}

beforeAll(async () => {
  const echo = await bound();
  echo.on('message', (datagram, from) => echo.send(datagram, from.port, from.address));
  const place = { host: '127.0.0.1', port: echo.address().port, tls: null, connectTimeout: LIMIT };
  const held = await bound();
  stopReceiving(held);
  port = held.address().port;
  const options = { descriptor: Number(Object(udpHandle(held)).fd), port, address: '127.0.0.1', most: 2 };
  await listenForUdp(
    options,
    async ({ peerPort }): Promise<StreamPassage> => ({
      ...(await known),
      passthrough: false,
      farewell: null,
      client: { ip: '127.0.0.1', port: peerPort },
      timeouts: { read: LIMIT, write: LIMIT },
      secured: () => undefined,
      async open(dial) {
        const result = await dial(place);
        return result.kind === 'connected' ? result.connection : null;
      },
      connected: () => undefined,
      reopen: async () => null,
      ended: () => void ended.push(peerPort ?? 0),
    }),
  );
});
afterAll(() => {
  for (const socket of sockets) socket.close();
});

it('ends the session that was quiet for longest when there are too many, and begins it anew when its client is back', async () => {
  const [a, b, c] = await Promise.all([bound(), bound(), bound()]);
  const ask = (client: Socket, text: string) =>
    within(
      new Promise<string>((resolve) => {
        client.once('message', (answer) => resolve(answer.toString()));
        client.send(text, port, '127.0.0.1');
      }),
      `the answer to ${text}`,
      LIMIT,
    );
  for (const [client, text] of [
    [a, 'one'],
    [b, 'two'],
    [a, 'three'],
  ] as const)
    expect(await ask(client, text)).toBe(text);
  expect(ended).toEqual([]);
  // The second client has not been heard of since.
  expect(await ask(c, 'four')).toBe('four');
  await until(() => ended.length === 1, 'the end of one session', LIMIT);
  expect(ended).toEqual([b.address().port]);
  expect(await ask(b, 'five')).toBe('five');
  await until(() => ended.length === 2, 'the end of another session', LIMIT);
  expect(ended).toEqual([b, a].map((client) => client.address().port));
});

it('tells of the end of sessions that ended before it was known what becomes of them', async () => {
  ended.length = 0;
  const { promise, resolve } = Promise.withResolvers<object>();
  known = promise;
  const clients = await Promise.all([bound(), bound(), bound(), bound()]);
  const [first, second, ...others] = clients.map((client) => client.address().port);
  for (const client of clients) {
    await new Promise((sent) => client.send('hello', port, '127.0.0.1', sent));
  }
  // Those of the test before this one go first.
  await until(() => ended.length === 2, 'the end of the sessions before', LIMIT);
  resolve({});
  await until(() => ended.length === 4, 'the end of two sessions', LIMIT);
  expect(ended.slice(2)).toEqual([first, second]);
  expect(others).toHaveLength(2);
});

it('keeps no more than a share of memory for upstreams that do not answer, and leaves room for those who come next', async () => {
  const [silent, other] = await Promise.all([bound(), bound()]);
  const opened = Promise.withResolvers<void>();
  const before = bytesKept();
  let open = 0;
  const session = (upstream: Socket) =>
    new UdpSession(
      () => ({
        passthrough: false,
        farewell: null,
        client: { ip: '127.0.0.1', port: 1 },
        timeouts: { read: LIMIT, write: LIMIT },
        secured: () => undefined,
        async open(dial) {
          await opened.promise;
          const result = await dial({
            host: '127.0.0.1',
            port: upstream.address().port,
            tls: null,
            connectTimeout: LIMIT,
          });
          open += 1;
          return result.kind === 'connected' ? result.connection : null;
        },
        connected: () => undefined,
        reopen: async () => null,
        ended: () => undefined,
      }),
      () => undefined,
      () => undefined,
    );
  const datagram = Buffer.alloc(60_000);
  const waiting = Array.from({ length: 700 }, () => session(silent));
  for (const each of waiting) {
    each.send(datagram);
    each.send(datagram);
  }
  expect(bytesKept()).toBeGreaterThan(60 << 20);
  expect(bytesKept()).toBeLessThanOrEqual(64 << 20);
  opened.resolve();
  await until(() => open === waiting.length, 'their upstreams', LIMIT);
  await until(() => bytesKept() <= 32 << 20, 'the end of what is kept', LIMIT);
  for (const each of waiting) each.send(Buffer.alloc(0));
  const heard = new Promise((resolve) => other.once('message', (message) => resolve(message.toString())));
  const last = session(other);
  last.send(Buffer.from('last'));
  expect(await within(heard, 'the datagram of who came last', LIMIT)).toBe('last');
  for (const each of [...waiting, last]) each.end();
  expect(bytesKept()).toBe(before);
});

it('takes an upstream that the system knows no way to for one that failed, and keeps no socket of it', async () => {
  const there = await bound();
  const failures: string[] = [];
  const over = Promise.withResolvers<void>();
  const to = (host: string) => ({ host, port: there.address().port, tls: null, connectTimeout: LIMIT });
  const open = () => process.getActiveResourcesInfo().filter((name) => name === 'UDPWrap').length;
  // Those of the tests before this one are closed by then.
  for (let turns = 0; turns < 3; turns += 1) await new Promise(setImmediate);
  const before = open();
  const heard = new Promise((resolve) => there.once('message', (message) => resolve(message.toString())));
  const session = new UdpSession(
    () => ({
      passthrough: false,
      farewell: null,
      client: { ip: '127.0.0.1', port: 1 },
      timeouts: { read: LIMIT, write: LIMIT },
      secured: () => undefined,
      async open(dial) {
        // Nobody may send there who has not asked for it.
        for (const host of ['255.255.255.255', '127.0.0.1']) {
          const result = await dial(to(host));
          if (result.kind === 'connected') return result.connection;
          failures.push(result.failure.code);
        }
        return null;
      },
      connected: () => undefined,
      reopen: async () => null,
      ended: () => over.resolve(),
    }),
    () => undefined,
    () => undefined,
  );
  session.send(Buffer.from('to whom it may reach'));
  expect(await within(Promise.race([heard, over.promise]), 'the datagram', LIMIT)).toBe('to whom it may reach');
  expect(failures).toEqual(['unreachable']);
  session.end();
  await until(() => open() === before, 'the end of both sockets', LIMIT);
});

it('answers nobody who sends from port 0, which needs a socket of another kind', async () => {
  const echo = await bound();
  echo.on('message', (datagram, from) => echo.send(datagram, from.port, from.address));
  const held = await bound();
  stopReceiving(held);
  const on = vi.spyOn(Socket.prototype, 'on');
  let answered = 0;
  const options = { descriptor: Number(Object(udpHandle(held)).fd), port: held.address().port, address: '127.0.0.1' };
  const listener = await listenForUdp(options, async () => ({
    passthrough: false,
    farewell: null,
    client: { ip: '127.0.0.1', port: 0 },
    timeouts: { read: LIMIT, write: LIMIT },
    secured: () => undefined,
    async open(dial) {
      const place = { host: '127.0.0.1', port: echo.address().port, tls: null, connectTimeout: LIMIT };
      const result = await dial(place);
      return result.kind === 'connected' ? result.connection : null;
    },
    connected() {
      answered += 1;
    },
    reopen: async () => null,
    ended: () => undefined,
  }));
  const listening = on.mock.contexts.find((_, at) => on.mock.calls[at]?.[0] === 'message');
  on.mockRestore();
  const thrown: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => thrown.push(error));
  try {
    Object(listening).emit('message', Buffer.from('from nobody'), {
      address: '127.0.0.1',
      port: 0,
      family: 'IPv4',
      size: 11,
    });
    await until(() => answered === 1, 'the answer', LIMIT);
    await new Promise(setImmediate);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
    listener.cut();
  }
  expect(thrown).toEqual([]);
});
