import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnswerSink, UpstreamCall } from '../../../../edge-dp/hosts/egress/call.ts';
import { Http1 } from '../../../../edge-dp/hosts/egress/http1.ts';
import { once } from '../../../once.ts';

const LENGTH = 2 << 20;

/** A body that differs from all others in each place, and in itself from one read to the next. */
const bodyOf = (name: string): Buffer => Buffer.alloc(LENGTH, `${name}, `);

/** A part as it was given, and what gives it back where it was lent. */
interface Part {
  readonly bytes: Buffer;
  readonly done: (() => void) | undefined;
}

describe('a long answer over HTTP/1.1', () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.on('data', (data) => {
      const name = /^GET \/(\w+)/.exec(data.toString('latin1'))?.[1] ?? '';
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LENGTH}\r\n\r\n`);
      socket.write(bodyOf(name));
    });
  });
  const http1 = new Http1();
  let port = 0;

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  afterAll(() => {
    http1.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** All parts of an answer, once it has ended. `took`: what is done with each as it comes. */
  function parts(name: string, took: (part: Part) => void): Promise<readonly Part[]> {
    const call: UpstreamCall = {
      scheme: 'http',
      method: 'GET',
      authority: 'a',
      path: `/${name}`,
      headers: [],
      body: null,
      trailers: null,
      timeouts: { connect: 60_000, read: 60_000, write: 60_000 },
    };
    return new Promise((resolve, reject) => {
      const all: Part[] = [];
      const sink: AnswerSink = {
        begin: () => undefined,
        data(bytes, done) {
          all.push({ bytes, done });
          took({ bytes, done });
          return true;
        },
        onDrain: () => undefined,
        end: () => resolve(all),
        fail: reject,
        onAbandoned: () => undefined,
      };
      const endpoint = { host: '127.0.0.1', port, tls: null, protocol: null, connectTimeout: 60_000 };
      http1.send(call, endpoint, sink);
    });
  }

  const keep = (): void => undefined;
  const giveBack = ({ done }: Part): void => done?.();
  const whole = (all: readonly Part[]): Buffer => Buffer.concat(all.map(({ bytes }) => bytes));
  const memoryOf = (all: readonly Part[]) =>
    all.flatMap(({ bytes, done }) => (done === undefined ? [] : [bytes.buffer]));

  it('is read into what others gave back', async () => {
    const lent = new Set(memoryOf(await parts('first', giveBack)));
    expect(lent.size).toBeGreaterThan(0);
    const next = await parts('next', keep);
    expect(memoryOf(next).some((memory) => lent.has(memory))).toBe(true);
    expect(whole(next).equals(bodyOf('next'))).toBe(true);
  });

  it('stays what it is as long as it is kept, whatever comes on other connections', async () => {
    const names = ['one', 'two', 'three'];
    const kept = await Promise.all(names.map((name) => parts(name, keep)));
    await Promise.all(['four', 'five', 'six'].map((name) => parts(name, giveBack)));
    expect(kept.map((all, n) => whole(all).equals(bodyOf(names[n] ?? '')))).toEqual(names.map(() => true));
  });

  it("is nobody else's because one of its parts was given back twice", async () => {
    const before = await parts('before', giveBack);
    const names = ['one', 'two', 'three', 'four'];
    const kept = await Promise.all(names.map((name) => parts(name, () => before.forEach(giveBack))));
    expect(kept.map((all, n) => whole(all).equals(bodyOf(names[n] ?? '')))).toEqual(names.map(() => true));
  });
});
