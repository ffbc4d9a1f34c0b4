import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import {
  createServer as createHttp2Server,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Http1, joinSockets } from '../../../../edge-dp/hosts/egress/http1.ts';
import { Http2 } from '../../../../edge-dp/hosts/egress/http2.ts';
import {
  decodeFailure,
  EGRESS_ERROR,
  EGRESS_TARGET,
  type EgressTarget,
  encodeHeader,
} from '../../../../edge-dp/proxy/egress/protocol.ts';
import { type Authority, authority } from '../../../cp/pki/authority.ts';
import { until } from '../../../until.ts';
import { within } from '../../../within.ts';
import { EgressNode, target } from './egress-node.ts';

let egress: EgressNode;
let ca: Authority;

beforeAll(async () => {
  [egress, ca] = await Promise.all([EgressNode.start(), authority('upstreams')]);
});

afterAll(() => egress.stop());

describe('HTTP/2', () => {
  test('by ALPN and with prior knowledge, with trailers as a gRPC-Web frame', async () => {
    const { cert, key } = await ca.leaf({ name: 'h2.test' });
    const grpc = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'x-te': headers.te,
          'x-authority': headers[':authority'],
          'x-constructor': String(headers.constructor),
        },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    };
    const secure = await egress.serve(createSecureServer({ cert, key }).on('stream', grpc));
    const plain = await egress.serve(createHttp2Server().on('stream', grpc));
    const tls = { identity: await egress.identity({ ca: [ca.pem] }), serverName: 'h2.test' };
    for (const to of [target(secure, { scheme: 'https', tls }), target(plain)]) {
      const answer = await egress.send(
        { ...to, version: '2', authority: 'grpc.test', trailers: 'grpc-web' },
        {
          method: 'POST',
          body: 'message',
          headers: { 'content-type': 'application/grpc', te: 'trailers', constructor: 'c' },
        },
      );
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({ 'x-te': 'trailers', 'x-authority': 'grpc.test', 'x-constructor': 'c' });
      expect(answer.text).toMatch(/^message.{5}grpc-status: 0\r\n$/s);
    }
  });

  test('failures are told apart as in HTTP/1.1', async () => {
    const { cert, key } = await ca.leaf({ name: 'h1.test' });
    const only1 = await egress.serve(createHttpsServer({ cert, key }, (_request, response) => response.end()));
    const tls = { identity: await egress.identity({ ca: [ca.pem] }), serverName: 'h1.test' };
    const { failure } = await egress.send(target(only1, { version: '2', scheme: 'https', tls }));
    expect(failure).toMatchObject({ sent: false });
    expect(['protocol', 'tls']).toContain(failure?.code);
    const mute = await egress.serve(createHttp2Server().on('stream', () => {}));
    const timeouts = { connect: 5_000, read: 200, write: 5_000 };
    expect((await egress.send(target(mute, { version: '2', timeouts }))).failure).toMatchObject({
      code: 'read_timeout',
    });
    const gone = await egress.freePort();
    expect((await egress.send(target(gone, { version: '2' }))).failure).toMatchObject({ code: 'connection_refused' });
  });

  test('a connection whose other side is gone without a word has no second request to fail', async () => {
    const { port, between } = await behindAnother();
    const to = { ...target(port, { timeouts: { connect: 5_000, read: 300, write: 5_000 } }), version: '2' as const };
    expect((await egress.send(to)).status).toBe(204);
    expect((await egress.send(to)).status).toBe(204);
    expect(between).toHaveLength(1);
    // As behind a machine that was switched off: what is sent is taken by nobody.
    between[0]?.unpipe().pause();
    const late = await egress.send(to);
    expect(late.status).toBe(504);
    expect((await egress.send(to)).status).toBe(204);
    expect(between).toHaveLength(2);
  });

  test('a connection that is silent is given up, too, when all lose their patience before the route does', async () => {
    const { port, between } = await behindAnother();
    const http2 = new Http2();
    const timeouts = { connect: 5_000, read: 60_000, write: 60_000 };
    const call = {
      scheme: 'http',
      method: 'GET',
      authority: 'one',
      path: '/',
      headers: [],
      body: null,
      trailers: null,
    } as const;
    const endpoint = { host: '127.0.0.1', port, tls: null, protocol: 'h2', connectTimeout: 5_000 } as const;
    const send = async (patience: number): Promise<number | null> => {
      const { promise, resolve } = Promise.withResolvers<number | null>();
      let abandon = (): void => undefined;
      await http2.send({ ...call, timeouts }, endpoint, {
        begin: (status) => resolve(status),
        data: () => true,
        onDrain: () => undefined,
        end: () => undefined,
        fail: () => resolve(null),
        onAbandoned: (listener) => {
          abandon = listener;
        },
      });
      const answer = await within(promise, 'an answer', patience).catch(() => null);
      if (answer === null) abandon();
      return answer;
    };
    expect(await send(5_000)).toBe(204);
    // One that is there is kept, however short somebody's patience was.
    between[0]?.pause();
    expect(await send(50)).toBeNull();
    between[0]?.resume();
    expect(await send(5_000)).toBe(204);
    expect(between).toHaveLength(1);
    between[0]?.unpipe().pause();
    await expect.poll(() => send(50), { timeout: 20_000 }).toBe(204);
    expect(between).toHaveLength(2);
    http2.close();
  });

  test('a status that is none is a failure, and stops nothing else', async () => {
    const port = await egress.serve(createTcpServer(answerStatus('099')));
    const pid = egress.pid();
    expect((await egress.send(target(port, { version: '2' }))).failure).toMatchObject({ code: 'protocol', sent: true });
    expect((await egress.send(target(port, { version: '2' }))).failure).toMatchObject({ code: 'protocol', sent: true });
    expect(egress.pid()).toBe(pid);
  });
});

/** An HTTP/2 upstream behind a machine between, whose connections may be made silent. */
async function behindAnother(): Promise<{ readonly port: number; readonly between: readonly Socket[] }> {
  const upstreamPort = await egress.serve(
    createHttp2Server().on('stream', (stream) => stream.respond({ ':status': 204 }, { endStream: true })),
  );
  const between: Socket[] = [];
  const port = await egress.serve(
    createTcpServer((socket) => {
      between.push(socket);
      const upstream = connectTcp(upstreamPort, '127.0.0.1');
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket],
      ] as const)
        one.on('error', () => other.destroy()).pipe(other);
    }),
  );
  return { port, between };
}

/** An HTTP/2 server by hand (RFC 9113, RFC 7541): answers each stream with a status that no library would write. */
function answerStatus(status: string): (socket: Socket) => void {
  const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const [HEADERS, SETTINGS, ACK, END_STREAM_AND_HEADERS] = [1, 4, 1, 5];
  // A literal without indexing whose name is the eighth of the static table.
  const fields = Buffer.concat([Buffer.from([0x08, status.length]), Buffer.from(status)]);
  return (socket) => {
    let read = Buffer.alloc(0);
    let greeted = false;
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      read = Buffer.concat([read, data]);
      if (!greeted && read.length >= PREFACE.length) {
        read = read.subarray(PREFACE.length);
        greeted = true;
        socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
      }
      while (greeted && read.length >= 9 && read.length >= 9 + read.readUIntBE(0, 3)) {
        const [type, flags, stream] = [read.readUInt8(3), read.readUInt8(4), read.readUInt32BE(5)];
        read = read.subarray(9 + read.readUIntBE(0, 3));
        if (type === SETTINGS && (flags & ACK) === 0) socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
        if (type === HEADERS) socket.write(frame(HEADERS, END_STREAM_AND_HEADERS, stream, fields));
      }
    });
  };
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

describe('WebSockets', () => {
  test('messages pass both ways, with subprotocol, close code and reason', async () => {
    const hosts: (string | undefined)[] = [];
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    const port = await egress.serve(server);
    sockets.on('connection', (socket, request) => {
      hosts.push(request.headers.host);
      socket.on('message', (data, binary) => socket.send(data, { binary }));
      socket.on('close', (code, reason) => hosts.push(`${code} ${reason}`));
    });
    const client = new WebSocket(`${egress.node.url.replace('http', 'ws')}/egress/`, ['chat'], {
      headers: { [EGRESS_TARGET]: encodeHeader(target(port, { authority: 'ws.test' })) },
    });
    await new Promise((resolve, reject) => client.once('open', resolve).once('error', reject));
    expect(client.protocol).toBe('chat');
    const large = randomUUID().repeat(30_000);
    const back = new Promise<string>((resolve) => client.once('message', (data) => resolve(String(data))));
    client.send(large);
    expect(await back).toBe(large);
    client.close(4001, 'enough');
    await until(() => hosts.length === 2);
    expect(hosts).toEqual(['ws.test', '4001 enough']);
  });

  test('a refusal of the upstream, and a failure, reach the client as responses', async () => {
    const port = await egress.serve(createServer((_request, response) => response.writeHead(401).end('no')));
    const open = (to: EgressTarget) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const client = new WebSocket(`${egress.node.url.replace('http', 'ws')}/egress/`, {
          headers: { [EGRESS_TARGET]: encodeHeader(to) },
        });
        client.once('unexpected-response', (_request, response) => resolve(response));
        client.once('error', reject);
      });
    expect((await open(target(port))).statusCode).toBe(401);
    const gone = await egress.freePort();
    const refused = await open(target(gone));
    expect(decodeFailure(String(refused.headers[EGRESS_ERROR])).code).toBe('connection_refused');
  });
});

test('what one side of a tunnel said before its end reaches the other, however late it takes that', async () => {
  const words = ['first', ' and', ' last'];
  const server = createTcpServer((socket) => {
    // Each on its own: one is written to the other side, the others wait behind it.
    const say = (at: number): void => {
      const word = words[at];
      if (word === undefined) socket.end();
      else socket.write(word, () => setImmediate(say, at + 1));
    };
    socket.on('error', () => undefined).resume();
    say(0);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const upstream = connectTcp(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
  let taken = '';
  let take = (): void => undefined;
  let slow = true;
  const client = new Duplex({
    read: () => undefined,
    write(part: Buffer, _encoding, done) {
      taken += part.toString();
      if (slow) take = done;
      else done();
    },
  });
  try {
    joinSockets(client, upstream, Buffer.alloc(0));
    await until(() => upstream.closed, 'the end of the upstream', 60_000);
    expect(client.destroyed).toBe(false);
    slow = false;
    take();
    await until(() => client.closed, 'the end of the client', 60_000);
    expect(taken).toBe(words.join(''));
    expect(client.writableFinished).toBe(true);
  } finally {
    client.destroy();
    upstream.destroy();
    server.close();
  }
});

test('a connection in HTTP/2 whose other side takes no streams is not left open behind the next one', async () => {
  const open = new Set<Socket>();
  const server = createHttp2Server({ settings: { maxConcurrentStreams: 0 } });
  server.on('connection', (socket: Socket) => {
    open.add(socket.once('close', () => open.delete(socket)));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const http2 = new Http2();
  const endpoint = { host: '127.0.0.1', port, tls: null, protocol: 'h2', connectTimeout: 5_000 } as const;
  const timeouts = { connect: 5_000, read: 60_000, write: 60_000 };
  const asked = {
    scheme: 'http',
    method: 'GET',
    authority: 'one',
    path: '/',
    headers: [],
    body: null,
    trailers: null,
  } as const;
  const send = (): Promise<unknown> =>
    new Promise((resolve) => {
      const sink = { begin: resolve, data: () => true, onDrain: () => undefined, end: () => undefined, fail: resolve };
      http2.send({ ...asked, timeouts }, endpoint, { ...sink, onAbandoned: () => undefined }).catch(resolve);
    });
  try {
    for (let sent = 0; sent < 4; sent += 1) await within(send(), 'a failure', 60_000);
    await until(() => open.size <= 1, 'the end of the connections before', 60_000);
  } finally {
    http2.close();
    for (const socket of open) socket.destroy();
    server.close();
  }
});

test('an answer before the end of the body is not lost with the connection that its upstream reset', async () => {
  const { promise: asked, resolve: came } = Promise.withResolvers<Socket>();
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined).once('data', () => came(socket));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const http1 = new Http1();
  const body = new PassThrough();
  const { promise: answer, resolve } = Promise.withResolvers<number | string>();
  try {
    http1.send(
      {
        scheme: 'http',
        method: 'POST',
        authority: 'one',
        path: '/',
        headers: [],
        body,
        trailers: null,
        timeouts: { connect: 5_000, read: 60_000, write: 60_000 },
      },
      { host: '127.0.0.1', port, tls: null, protocol: 'http/1.1', connectTimeout: 5_000 },
      {
        begin: resolve,
        data: () => true,
        onDrain: () => undefined,
        end: () => undefined,
        fail: ({ message }) => resolve(message),
        onAbandoned: () => undefined,
      },
    );
    body.write('some of it');
    const upstream = await within(asked, 'the request', 60_000);
    // From here to the next look at what has come, so that more of the body, and the answer, come together.
    await new Promise(setImmediate);
    upstream.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    upstream.resetAndDestroy();
    body.write('more of it');
    expect(await within(answer, 'the answer', 60_000)).toBe(413);
  } finally {
    http1.close();
    server.close();
  }
});
