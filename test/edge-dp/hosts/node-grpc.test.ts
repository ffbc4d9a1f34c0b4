import { createServer, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import {
  type CallOptions,
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { within } from '../../within.ts';
import { id, type ProxyNode, service, startProxyNode } from '../proxy/node.ts';
import { answerOf, ask2, openHttp2 } from './http2-client.ts';

const write = (text: string): Buffer => Buffer.from(text);
const read = (bytes: Buffer): string => bytes.toString();

/** One of two bytes, behind a flag and its length. */
const MESSAGE = Buffer.from([0, 0, 0, 0, 2, 0x68, 0x69]);

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: write,
  requestDeserialize: read,
  responseSerialize: write,
  responseDeserialize: read,
});

const ECHO = {
  Unary: method('Unary', false, false),
  Server: method('Server', false, true),
  Client: method('Client', true, false),
  Both: method('Both', true, true),
  Failing: method('Failing', false, false),
  Much: method('Much', false, true),
  Waiting: method('Waiting', false, false),
} satisfies ServiceDefinition;

/** What the upstream was told of calls that nobody wants any more. */
const cancelled: string[] = [];
let waiting = 0;

const unary: handleUnaryCall<string, string> = (call, answer) => {
  const trailers = new Metadata();
  trailers.set('x-trailer', 'of the upstream');
  const head = new Metadata();
  for (const name of ['x-sent', 'grpc-timeout', 'x-forwarded-host'])
    for (const value of call.metadata.get(name)) head.add(`seen-${name}`, value);
  head.set('seen-deadline', String(call.getDeadline() !== Number.POSITIVE_INFINITY));
  call.sendMetadata(head);
  answer(null, call.request, trailers);
};
const server: handleServerStreamingCall<string, string> = (call) => {
  for (let at = 0; at < 3; at++) call.write(`${call.request} ${at}`);
  call.end();
};
/** More than fits on the way, in messages of 100,000 bytes. */
const MUCH = 100;
const much: handleServerStreamingCall<string, string> = (call) => {
  for (let at = 0; at < MUCH; at++) call.write('x'.repeat(100_000));
  call.end();
};
const client: handleClientStreamingCall<string, string> = (call, answer) => {
  const all: string[] = [];
  call.on('data', (message: string) => all.push(message));
  call.on('end', () => answer(null, all.join(' ')));
};
const both: handleBidiStreamingCall<string, string> = (call) => {
  call.on('data', (message: string) => call.write(`${message}!`));
  call.on('end', () => call.end());
};
const failing: handleUnaryCall<string, string> = (_call, answer) => {
  const metadata = new Metadata();
  metadata.set('x-why', 'because');
  answer({ code: status.FAILED_PRECONDITION, details: 'nicht so: größe', metadata });
};
const waits: handleUnaryCall<string, string> = (call) => {
  waiting += 1;
  call.on('cancelled', () => cancelled.push(call.request));
};

let upstream: Server;
/** Answers whole calls before it has heard all of them, and reads no more. */
const hasty = createServer();
const hastyStreams: ServerHttp2Stream[] = [];
/** Calls that it never answers. */
const heldStreams: ServerHttp2Stream[] = [];
let node: ProxyNode;
let plain: Client;
let secure: Client;

const route = (n: number, path: string, to: number | null, protocols = ['grpc', 'grpcs']) => ({
  id: id(1000 + n),
  paths: [path],
  protocols,
  strip_path: false,
  service: to === null ? null : { id: id(to) },
});
const plugin = (n: number, name: string, of: number, config: object) => ({
  id: id(2000 + n),
  name,
  protocols: ['grpc', 'grpcs'],
  route: { id: id(1000 + of) },
  config,
});

beforeAll(async () => {
  upstream = new Server();
  upstream.addService(ECHO, {
    Unary: unary,
    Server: server,
    Client: client,
    Both: both,
    Failing: failing,
    Much: much,
    Waiting: waits,
  });
  const port = await new Promise<number>((resolve, reject) =>
    upstream.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  hasty.on('stream', (stream, { ':path': path }) => {
    if (path?.startsWith('/test.Held') === true) {
      heldStreams.push(stream.on('error', () => undefined).resume());
      return;
    }
    hastyStreams.push(stream.on('error', () => undefined));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(MESSAGE);
  });
  await new Promise<void>((listening) => hasty.listen(0, '127.0.0.1', listening));
  const grpc = { protocol: 'grpc', retries: 0 };
  const tls = await generateListenerCertificate();
  const listener = { host: '127.0.0.1', port: 0, http2: true };
  node = await startProxyNode(
    {
      services: [
        service(1, port, grpc),
        service(2, 1, grpc),
        service(3, port, { ...grpc, read_timeout: 200 }),
        service(4, Number(Object(hasty.address()).port), grpc),
      ],
      routes: [
        route(1, '/test.Echo', 1),
        route(2, '/test.Refused', 2),
        route(3, '/test.Nowhere', null),
        route(4, '/test.Denied', 1),
        route(5, '/test.Secure', 1, ['grpcs']),
        route(6, '/test.Locked', 1),
        route(7, '/test.Scripted', 1),
        route(8, '/test.Echo/Much', 3),
        route(9, '/test.Hasty', 4),
        route(10, '/test.Held', 4),
      ],
      plugins: [
        plugin(4, 'grpc-web', 10, { proto: null, pass_stripped_path: false, allow_origin_header: '*' }),
        plugin(3, 'pre-function', 7, {
          access: ["return kong.response.exit(403, { message = 'not you' })"],
          ...{ certificate: [], rewrite: [], header_filter: [], body_filter: [], log: [] },
        }),
        plugin(1, 'request-termination', 4, { status_code: 429, message: 'not now: größe' }),
        plugin(2, 'key-auth', 6, {
          ...{ key_names: ['apikey'], key_in_header: true, key_in_query: true, key_in_body: false },
          ...{ hide_credentials: false, anonymous: null, run_on_preflight: true, realm: null },
        }),
      ],
    },
    { start: startNodeHost, proxyListen: [listener, { ...listener, tls }] },
  );
  const at = (place: number) => `localhost:${node.dataPlane.proxyAddresses[place]?.port}`;
  plain = new Client(at(0), credentials.createInsecure(), { 'grpc.default_authority': 'localhost' });
  secure = new Client(at(1), credentials.createSsl(Buffer.from(tls.cert)));
});
afterAll(async () => {
  plain?.close();
  secure?.close();
  await node?.stop();
  upstream?.forceShutdown();
  hasty.close();
});

interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly answer: string | undefined;
  readonly head: Metadata;
  readonly trailers: Metadata;
}

function call(to: Client, path: string, message: string, options: CallOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    let head = new Metadata();
    let answer: string | undefined;
    const metadata = new Metadata();
    metadata.set('x-sent', 'by the client');
    const running = to.makeUnaryRequest(path, write, read, message, metadata, options, (_error, value) => {
      answer = value;
    });
    running.on('metadata', (fields) => {
      head = fields;
    });
    running.on('status', ({ code, details, metadata: trailers }) => resolve({ code, details, answer, head, trailers }));
  });
}

describe.each([
  ['in clear', () => plain],
  ['with TLS', () => secure],
] as const)('gRPC %s', (_, to) => {
  it('carries unary calls with metadata, deadline and trailers', async () => {
    const outcome = await call(to(), '/test.Echo/Unary', 'größe', { deadline: Date.now() + 300_000 });
    expect(outcome).toMatchObject({ code: status.OK, answer: 'größe' });
    expect(outcome.head.get('seen-x-sent')).toEqual(['by the client']);
    expect(outcome.head.get('seen-deadline')).toEqual(['true']);
    expect(outcome.head.get('via').join()).toMatch(/^2 kong\//);
    expect(outcome.trailers.get('x-trailer')).toEqual(['of the upstream']);
  });

  it('streams from the server, from the client, and both ways at once', async () => {
    const answers = await new Promise<string[]>((resolve, reject) => {
      const all: string[] = [];
      to()
        .makeServerStreamRequest('/test.Echo/Server', write, read, 'n')
        .on('data', (message: string) => all.push(message))
        .on('error', reject)
        .on('end', () => resolve(all));
    });
    expect(answers).toEqual(['n 0', 'n 1', 'n 2']);
    const joined = await new Promise<string | undefined>((resolve, reject) => {
      const stream = to().makeClientStreamRequest('/test.Echo/Client', write, read, (error, value) =>
        error === null ? resolve(value) : reject(error),
      );
      for (const message of ['a', 'b', 'c']) stream.write(message);
      stream.end();
    });
    expect(joined).toBe('a b c');
    // Each message only after the answer to the one before.
    const echoed = await new Promise<string[]>((resolve, reject) => {
      const all: string[] = [];
      const stream = to().makeBidiStreamRequest('/test.Echo/Both', write, read);
      stream.on('data', (message: string) => {
        all.push(message);
        if (all.length < 3) stream.write(`${all.length}`);
        else stream.end();
      });
      stream.on('error', reject).on('end', () => resolve(all));
      stream.write('0');
    });
    expect(echoed).toEqual(['0!', '1!', '2!']);
  });

  it('passes an outcome on that is all there is, with its words and its trailers', async () => {
    const outcome = await call(to(), '/test.Echo/Failing', 'x');
    expect(outcome).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'nicht so: größe' });
    expect(outcome.trailers.get('x-why')).toEqual(['because']);
    expect(await call(to(), '/test.Echo/Unknown', 'x')).toMatchObject({ code: status.UNIMPLEMENTED });
  });

  it('ends the call upstream when its client cancels it', async () => {
    const before = waiting;
    const running = to().makeUnaryRequest('/test.Echo/Waiting', write, read, 'cancelled', () => undefined);
    const ended = new Promise((resolve) => running.on('status', resolve));
    await expect.poll(() => waiting, { message: 'it did not arrive' }).toBe(before + 1);
    running.cancel();
    expect(await ended).toMatchObject({ code: status.CANCELLED });
    await expect.poll(() => cancelled, { message: 'the upstream was not told' }).toContain('cancelled');
    cancelled.length = 0;
  });

  it.each<[string, number, string]>([
    ['/test.None/X', status.NOT_FOUND, 'no Route matched with those values'],
    ['/test.Nowhere/X', status.UNAVAILABLE, 'No Service found with those values'],
    ['/test.Refused/X', status.INTERNAL, 'An invalid response was received from the upstream server'],
    ['/test.Denied/X', status.RESOURCE_EXHAUSTED, 'not now: größe'],
    ['/test.Scripted/X', status.PERMISSION_DENIED, 'not you'],
    ['/test.Locked/X', status.UNAUTHENTICATED, 'No API key found in request'],
  ])('says for %s by an outcome why it is not served', async (path, code, details) => {
    expect(await call(to(), path, 'x')).toMatchObject({ code, details });
  });
});

describe('gRPC', () => {
  it('is what the node says that it can do', async () => {
    expect((await node.controlPlane.heard('hello')).node.capabilities).toContain('inbound_http2');
  });

  it('is told apart from what is none, and from what has to be secure', async () => {
    expect(await call(plain, '/test.Secure/X', 'x')).toMatchObject({ details: 'gRPC request matched gRPCs route' });
    const session = await openHttp2(node.url);
    const stream = session.request({ ':path': '/test.Echo/Unary', ':method': 'POST', 'content-type': 'text/plain' });
    stream.end();
    const response = new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
    const head = await within(response, 'an answer', 60_000);
    expect(head[':status']).toBe(415);
    session.destroy();
  });

  it('says no length of an answer with trailers behind it, and that there is none where the head is all', async () => {
    const session = await openHttp2(node.url);
    const ask = (path: string) =>
      ask2(session, { ':path': path, ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }, MESSAGE);
    const [answered, denied] = [await ask('/test.Echo/Unary'), await ask('/test.Denied/X')];
    session.destroy();
    expect(answered.headers['content-length']).toBe(undefined);
    expect(answered).toMatchObject({ text: MESSAGE.toString(), trailers: { 'grpc-status': '0' }, code: 0 });
    expect(denied.headers).toMatchObject({ 'content-length': '0', 'grpc-status': String(status.RESOURCE_EXHAUSTED) });
    expect(denied).toMatchObject({ text: '', code: 0 });
  });

  it('is not ended for its upstream where it is the client that takes nothing for longer than read_timeout', async () => {
    const session = await openHttp2(node.url);
    const head = { ':path': '/test.Echo/Much', ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request(head);
    stream.end(MESSAGE);
    const answered = answerOf(stream.pause());
    await within(new Promise((resolve) => stream.once('response', resolve)), 'an answer', 60_000);
    stream.pause();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    stream.resume();
    const answer = await within(answered, 'the end of it', 60_000);
    session.destroy();
    expect([answer.text.length, answer.code]).toEqual([MUCH * 100_005, 0]);
    expect(answer.trailers['grpc-status']).toBe('0');
  });

  it('is over for both sides once it is answered, whatever its client still had to say', async () => {
    const session = await openHttp2(node.url);
    const head = { ':path': '/test.Hasty/X', ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request(head);
    stream.write(MESSAGE);
    expect(await within(answerOf(stream), 'the answer', 60_000)).toMatchObject({ trailers: { 'grpc-status': '0' } });
    session.destroy();
    const open = (): number => hastyStreams.filter((each) => !each.closed && !each.destroyed).length;
    await expect.poll(() => [hastyStreams.length, open()], { message: 'it is held open' }).toEqual([1, 0]);
  });

  it('is over for its upstream where its body breaks off, which is no fault that nobody looks after', async () => {
    const head = 'POST /test.Held/X HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\n';
    const socket = connect(node.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    await expect.poll(() => heldStreams.length, { message: 'it did not arrive' }).toBe(1);
    socket.write('none\r\n');
    await expect.poll(() => heldStreams[0]?.closed, { message: 'it is held open' }).toBe(true);
    socket.destroy();
    await expect.poll(() => node.log.join('\n')).toMatch(/test\.Held.*client_closed/);
    expect(node.log.filter((line) => line.includes('not caught'))).toEqual([]);
  });

  it('opens another connection where an upstream takes no more streams on one', async () => {
    // More than the 100 that are taken for granted.
    const before = waiting;
    const running = Array.from({ length: 110 }, (_, n) =>
      (n % 2 === 0 ? plain : secure).makeUnaryRequest('/test.Echo/Waiting', write, read, 'many', () => undefined),
    );
    await expect.poll(() => waiting, { message: 'some did not arrive' }).toBe(before + 110);
    for (const each of running) each.cancel();
    await expect.poll(() => cancelled.length, { message: 'some were not cancelled' }).toBe(110);
  });
});
