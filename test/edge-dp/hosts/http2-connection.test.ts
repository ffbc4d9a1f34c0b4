import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RefusalPages } from '../../../edge-dp/hosts/node/http/refuse.ts';
import { Http2Connection } from '../../../edge-dp/hosts/node/http2/connection.ts';
import { Misuse } from '../../../edge-dp/hosts/node/http2/misuse.ts';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import { within } from '../../within.ts';
import { PROXY_SETTINGS } from '../proxy-settings.ts';
import { block, END_HEADERS, END_STREAM, FRAMES, frame, GET, RawHttp2, uint32 } from './http2-client.ts';

/** Settings of HTTP/2 that a frame of the client changes. */
const INITIAL_WINDOW_SIZE = Buffer.from([0, 4]);

describe('what time tells of a connection in HTTP/2', () => {
  let server: Server;
  let port = 0;
  const counted: string[] = [];
  const connections: Http2Connection[] = [];
  let ended = 0;
  /** Requests that one may make. */
  let requests = 3;

  beforeAll(async () => {
    const facts = { peerIp: '127.0.0.1', peerPort: 1, localIp: null, localPort: 1, scheme: 'http', sni: null } as const;
    server = createServer((socket: Socket) => {
      const around = {
        serve: () => Promise.resolve(new OwnResponse(200, 'x'.repeat(200_000))),
        limits: { head: 32 << 10, line: 8 << 10, fields: 1_000 },
        ...{ firstTimeout: 60_000, idleTimeout: 75_000, sendTimeout: 60_000, requests },
        pages: new RefusalPages(PROXY_SETTINGS),
        misuse: new Misuse(1, (_family, labels) => counted.push(labels)),
      };
      const arrival = { ...facts, edge: null, tls: null, waitUntil: () => undefined };
      connections.push(new Http2Connection(socket, arrival, around, () => (ended += 1)));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = Number(Object(server.address()).port);
  });
  afterAll(() => void server?.close());

  const open = async (): Promise<{ raw: RawHttp2; look: (later: number) => void }> => {
    const known = connections.length;
    const raw = new RawHttp2(port);
    await expect.poll(() => connections.length, { message: 'no connection' }).toBe(known + 1);
    // Of its own clock nobody knows more than that it has begun.
    return { raw, look: (later) => connections[known]?.look(performance.now() + later) };
  };
  const request = (stream: number): Buffer => frame(FRAMES.HEADERS, END_STREAM | END_HEADERS, stream, block(...GET));

  it('ends one that asks for nothing, or for nothing more, and no earlier', async () => {
    const { raw, look } = await open();
    look(59_000);
    raw.send(request(1));
    raw.send(frame(FRAMES.WINDOW_UPDATE, 0, 0, uint32(1 << 20)), frame(FRAMES.WINDOW_UPDATE, 0, 1, uint32(1 << 20)));
    const size = (): number =>
      raw.frames.reduce((sum, { type, payload }) => sum + (type === FRAMES.DATA ? payload.byteLength : 0), 0);
    await expect.poll(size, { message: 'no answer' }).toBe(200_000);
    look(74_000);
    expect(raw.goaways).toEqual([]);
    const silent = await open();
    silent.look(61_000);
    look(76_000);
    for (const each of [raw, silent.raw]) {
      await expect.poll(() => each.goaways.length, { message: 'no GOAWAY' }).toBeGreaterThan(0);
      expect(each.goaways).not.toContain(11);
      for (const { payload } of each.frames.filter(({ type }) => type === FRAMES.PING))
        each.send(frame(FRAMES.PING, 1, 0, payload));
    }
    await within(Promise.all([raw.closed, silent.raw.closed]), 'the connections to end', 60_000);
    expect(counted).toEqual([]);
  });

  it('bears with what was on its way of bodies that nobody wants, and not with more', async () => {
    requests = 1_000;
    const { raw, look } = await open();
    requests = 3;
    raw.send(frame(FRAMES.SETTINGS, 0, 0, Buffer.concat([INITIAL_WINDOW_SIZE, uint32(1 << 20)])));
    const part = Buffer.alloc(16_000);
    const acknowledged = async (times: number): Promise<void> => {
      raw.send(frame(FRAMES.PING, 0, 0, Buffer.alloc(8)));
      await expect.poll(() => raw.count(FRAMES.PING), { message: 'it reads no more' }).toBe(times);
    };
    for (let n = 0; n < 40; n++) {
      const stream = 1 + 2 * n;
      raw.send(frame(FRAMES.WINDOW_UPDATE, 0, 0, uint32(1)));
      raw.send(frame(FRAMES.HEADERS, END_HEADERS, stream, block([':method', 'HEAD'], ...GET.slice(1))));
      await expect.poll(() => raw.resetOf(stream), { message: 'it is waited for' }).toBe(0);
      // Sent before its client knew.
      raw.send(...Array.from({ length: 4 }, () => frame(FRAMES.DATA, 0, stream, part)));
    }
    await acknowledged(1);
    look(0);
    expect(counted).not.toContain('reason="idle_frames"');
    for (let n = 0; n < 40; n++) raw.send(...Array.from({ length: 4 }, () => frame(FRAMES.DATA, 0, 1, part)));
    await acknowledged(2);
    look(0);
    expect(counted.splice(0)).toEqual(['reason="idle_frames"']);
    await within(raw.closed, 'the connection to end', 60_000);
  });

  it('ends the stream of an answer that its client does not take, and tells of it', async () => {
    const { raw, look } = await open();
    raw.send(frame(FRAMES.SETTINGS, 0, 0, Buffer.concat([INITIAL_WINDOW_SIZE, uint32(0)])), request(1));
    await expect.poll(() => raw.count(FRAMES.HEADERS), { message: 'no answer' }).toBe(1);
    look(0);
    look(59_000);
    // Some of it is taken: the time begins anew.
    raw.send(frame(FRAMES.WINDOW_UPDATE, 0, 1, uint32(65_000)));
    await expect.poll(() => raw.count(FRAMES.DATA), { message: 'nothing was sent' }).toBeGreaterThan(3);
    look(59_500);
    look(61_000);
    expect(raw.resetOf(1)).toBe(null);
    look(130_000);
    await expect.poll(() => raw.resetOf(1), { message: 'it was not ended' }).toBe(8);
    expect(counted).toEqual(['reason="stalled"']);
    raw.socket.destroy();
  });

  it('has a client go over to another connection when it has made as many requests as one may', async () => {
    const before = ended;
    const { raw } = await open();
    raw.send(frame(FRAMES.SETTINGS, 0, 0, Buffer.concat([INITIAL_WINDOW_SIZE, uint32(1 << 20)])));
    raw.send(frame(FRAMES.WINDOW_UPDATE, 0, 0, uint32(1 << 20)), request(1), request(3), request(5));
    await expect.poll(() => raw.goaways, { message: 'no GOAWAY' }).toContain(0);
    for (const { payload } of raw.frames.filter(({ type }) => type === FRAMES.PING))
      raw.send(frame(FRAMES.PING, 1, 0, payload));
    await within(raw.closed, 'the connection to end', 60_000);
    // Those that it had made were answered.
    expect(raw.count(FRAMES.HEADERS)).toBe(3);
    await expect.poll(() => ended, { message: 'nobody was told' }).toBeGreaterThan(before);
  });
});
