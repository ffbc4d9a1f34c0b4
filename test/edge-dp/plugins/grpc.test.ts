import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { admin } from '../../e2e/processes.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';

/** A message of gRPC: flags, length, content. */
function frame(content: Buffer | string, flags = 0): Buffer {
  const bytes = Buffer.from(content);
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** What the gRPC server does, by method. */
const METHODS: Readonly<Record<string, (stream: ServerHttp2Stream, body: Buffer) => void>> = {
  '/pkg.Svc/Echo': (stream, body) =>
    answer(stream, [body], { 'grpc-status': '0', 'grpc-message': 'fine', 'x-more': '1' }),
  // In pieces that end within heads and contents.
  '/pkg.Svc/Stream': (stream) => {
    const bytes = Buffer.concat([frame('first'), frame('x'.repeat(100_000)), frame('')]);
    const pieces = [bytes.subarray(0, 3), bytes.subarray(3, 12), bytes.subarray(12, 50_000), bytes.subarray(50_000)];
    answer(stream, pieces, { 'grpc-status': '13', 'grpc-message': 'broke%20off' });
  },
  '/pkg.Svc/Refuse': (stream) =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true }),
  '/pkg.Svc/Dies': (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(frame('first').subarray(0, 7), () => stream.destroy(new Error('died')));
  },
};

function answer(stream: ServerHttp2Stream, pieces: readonly Buffer[], trailers: Record<string, string>): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  for (const piece of pieces) stream.write(piece);
  stream.end();
}

/** What comes over a connection until it ends. */
function allOf(port: number, request: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  const socket = connect(port, '127.0.0.1', () => socket.write(request));
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => undefined).once('close', () => resolve(text));
  socket.setTimeout(10_000, () => socket.destroy());
  return promise;
}

describe('gRPC upstreams over HTTP/1.1', () => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer().on('stream', (stream, headers) => {
    seen.push(headers);
    const parts: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => METHODS[headers[':path'] ?? '']?.(stream, Buffer.concat(parts)));
  });
  let gateway: CaseGateway;

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    gateway = await startCaseGateway(startWorkerdHost, { tls: false });
    await admin(`${gateway.admin}/services`, 'POST', { name: 'svc', url: `grpc://127.0.0.1:${port}` });
    await admin(`${gateway.admin}/services/svc/routes`, 'POST', {
      name: 'web',
      paths: ['/pkg.Svc'],
      strip_path: false,
      protocols: ['http'],
    });
    await admin(`${gateway.admin}/routes/web/plugins`, 'POST', { name: 'grpc-web' });
    await gateway.applied();
  });
  afterAll(async () => {
    await gateway?.stop();
    server.close();
  });

  const call = async (method: string, type: string, body: Buffer | string) => {
    const response = await fetch(`http://127.0.0.1:${gateway.ports.plain}/pkg.Svc/${method}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: Buffer.from(body),
    });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: response.arrayBuffer().then(Buffer.from),
    };
  };
  const trailers = (text: string) => frame(text, 0x80).toString('latin1');

  it('carries messages to grpc-web clients, and the trailers behind them', async () => {
    const echoed = await call('Echo', 'application/grpc-web+proto', frame('hello'));
    expect(echoed).toMatchObject({ status: 200, type: 'application/grpc-web+proto' });
    const text = (await echoed.body).toString('latin1');
    expect(text).toBe(
      frame('hello').toString('latin1') + trailers('grpc-status:0\r\ngrpc-message:fine\r\nx-more:1\r\n'),
    );
    expect(seen.at(-1)).toMatchObject({ 'content-type': 'application/grpc', te: 'trailers' });

    const streamed = (await (await call('Stream', 'application/grpc-web', frame(''))).body).toString('latin1');
    const messages = [frame('first'), frame('x'.repeat(100_000)), frame('')].map((bytes) => bytes.toString('latin1'));
    expect(streamed).toBe(messages.join('') + trailers('grpc-status:13\r\ngrpc-message:broke%20off\r\n'));

    const refused = await (await call('Refuse', 'application/grpc-web', frame(''))).body;
    expect(refused.toString('latin1')).toBe(trailers('grpc-status:7\r\ngrpc-message:\r\n'));
  });

  it('speaks base64 where the client does, each frame by itself', async () => {
    const halves = [frame('hello').subarray(0, 4), frame('hello').subarray(4)];
    const sent = halves.map((part) => part.toString('base64')).join('');
    const { type, body } = await call('Echo', 'application/grpc-web-text', sent);
    expect(type).toBe('application/grpc-web-text');
    const parts = (await body).toString().match(/[^=]+=*/g) ?? [];
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')));
    expect(bytes.toString('latin1')).toContain(
      `hello${trailers('grpc-status:0\r\ngrpc-message:fine\r\nx-more:1\r\n')}`,
    );
    expect(await call('Echo', 'application/grpc-web-text', '!')).toMatchObject({ status: 400 });
  });

  it('ends no call that broke off as if it were complete', async () => {
    const head = 'POST /pkg.Svc/Dies HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\n';
    const received = await allOf(gateway.ports.plain, `${head}Content-Length: 5\r\n\r\n\0\0\0\0\0`);
    expect(received).toMatch(/^HTTP\/1.1 200 [\s\S]*fi/);
    expect(received).not.toContain('grpc-status:');
  });
});
