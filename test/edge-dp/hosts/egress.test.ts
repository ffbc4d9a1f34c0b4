import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import {
  createServer as createHttp2Server,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import {
  decodeFailure,
  EGRESS_ERROR,
  EGRESS_TARGET,
  EGRESS_TOKEN,
  type EgressTarget,
  encodeHeader,
  type TlsIdentity,
} from '../../../edge-dp/proxy/egress/protocol.ts';
import { type Authority, authority } from '../../cp/pki/authority.ts';
import { commandOf, descendants, peakMemory } from '../../proc.ts';
import { ask, startNode, stopNode, type TestNode, until } from './node.ts';

let node: TestNode;
let ca: Authority;
const servers: { close(): unknown }[] = [];

beforeAll(async () => {
  [node, ca] = await Promise.all([startNode(), authority('upstreams')]);
});

afterAll(async () => {
  for (const server of servers) server.close();
  await stopNode(node);
});

/** Listens on a free port of the loopback, and closes with the tests. */
async function serve(server: Server | TcpServer | ReturnType<typeof createSecureServer>): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address: AddressInfo | string | null = server.address();
  return Number(Reflect.get(Object(address), 'port'));
}

function target(port: number, overrides: Partial<EgressTarget> = {}): EgressTarget {
  return {
    scheme: 'http',
    host: '127.0.0.1',
    port,
    version: '1.1',
    authority: 'upstream.test',
    path: '/',
    tls: null,
    timeouts: { connect: 5_000, read: 5_000, write: 5_000 },
    ...overrides,
  };
}

/** A request through the Worker and its EGRESS binding. */
async function send(to: EgressTarget, options: Parameters<typeof ask>[1] = {}) {
  const headers = { ...options.headers, [EGRESS_TARGET]: encodeHeader(to) };
  const answer = await ask(`${node.url}/egress/`, { ...options, headers });
  const failure = answer.headers[EGRESS_ERROR];
  return { ...answer, failure: failure === undefined ? null : decodeFailure(String(failure)) };
}

/** A request to the egress process itself: workerd resets a client that it answers while that is still sending. */
async function sendDirectly(to: EgressTarget, body: Uint8Array) {
  const config = readFileSync(`${node.prefix}/run/config-1/first.capnp`, 'utf8');
  const token = new RegExp(`"${EGRESS_TOKEN}", value = "([^"]+)"`).exec(config)?.[1];
  const headers = { [EGRESS_TARGET]: encodeHeader(to), [EGRESS_TOKEN]: token };
  const answer = await ask('http://egress/', {
    socketPath: `${node.prefix}/run/egress.sock`,
    method: 'POST',
    headers,
    body,
  });
  return { ...answer, failure: decodeFailure(String(answer.headers[EGRESS_ERROR])) };
}

/** Hands a TLS identity over; returns its name. */
async function identity(overrides: Partial<TlsIdentity>): Promise<string> {
  const body = JSON.stringify({ verify: true, verifyDepth: null, ca: null, certificate: null, ...overrides });
  const name = createHash('sha256').update(body).digest('hex');
  const put = await ask(`${node.url}/egress/identities/${name}`, { method: 'PUT', body });
  expect(put.status).toBe(204);
  return name;
}

/** Tells the request as it arrived. */
function echo(request: IncomingMessage): string {
  return JSON.stringify({ method: request.method, target: request.url, headers: request.rawHeaders });
}

describe('requests', () => {
  test('carry the Host, the request target and the headers they are told, and nothing of ours', async () => {
    const port = await serve(createServer((request, response) => response.end(echo(request))));
    const path = "/a//b/../c%2F?q=%zz&é=ü'".replace(/[éü]/g, encodeURIComponent);
    const answer = await send(target(port, { authority: 'Some.Host:81', path }), {
      method: 'DELETE',
      headers: { 'X-Case': 'Kept', cookie: 'a=1' },
    });
    const { method, target: asked, headers } = JSON.parse(answer.text);
    expect([method, asked]).toEqual(['DELETE', path]);
    expect(headers).toEqual(expect.arrayContaining(['host', 'Some.Host:81', 'X-Case', 'Kept']));
    expect(headers.join(' ')).not.toMatch(/x-holdfast|127\.0\.0\.1/i);
  });

  test('bring back status, reason, repeated headers and a body, without hop-by-hop headers', async () => {
    const port = await serve(
      createTcpServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () =>
          socket.end(
            [
              'HTTP/1.1 103 Early Hints\r\nLink: </early>\r\n\r\nHTTP/1.1 299 Very Fine',
              'Set-Cookie: a=1',
              'Set-Cookie: b=2',
              'Connection: close, X-Hop',
              'X-Hop: 1',
              'X-Holdfast-Egress-Error: {"code":"forged"}',
              'Content-Length: 4\r\n\r\nbody',
            ].join('\r\n'),
          ),
        );
      }),
    );
    const answer = await send(target(port));
    expect(answer).toMatchObject({ status: 299, text: 'body', failure: null });
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.headers).not.toHaveProperty('x-hop');
    expect(answer.headers).not.toHaveProperty('link');
  });

  test('reuse connections of the same identity only', async () => {
    const connections = new Set<unknown>();
    const port = await serve(
      createServer((request, response) => {
        connections.add(request.socket);
        response.end();
      }),
    );
    await send(target(port));
    await send(target(port, { authority: 'another.test' }));
    expect(connections.size).toBe(1);
  });

  test('are refused to anyone without the token of this node', async () => {
    const socketPath = `${node.prefix}/run/egress.sock`;
    const answer = await ask('http://egress/', { socketPath, headers: { [EGRESS_TARGET]: encodeHeader(target(1)) } });
    expect(answer.status).toBe(403);
    expect(decodeFailure(String(answer.headers[EGRESS_ERROR])).code).toBe('unauthorized');
  });
});

describe('streaming', () => {
  const MEGABYTE = Buffer.alloc(1 << 20, 'x');

  test('100 MB go each way without piling up', async () => {
    let received = 0;
    const port = await serve(
      createServer((request, response) => {
        request.on('data', (chunk: Buffer) => {
          received += chunk.byteLength;
        });
        request.on('end', () => {
          let left = 100;
          const write = (): void => {
            while (left > 0) {
              left -= 1;
              if (!response.write(MEGABYTE)) return void response.once('drain', write);
            }
            response.end();
          };
          write();
        });
      }),
    );
    const egress = egressPid();
    const before = peakMemory(egress);
    const returned = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(`${node.url}/egress/`, {
        method: 'POST',
        agent: false,
        headers: { [EGRESS_TARGET]: encodeHeader(target(port)) },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.byteLength;
        });
        response.on('end', () => resolve(length));
        response.on('error', reject);
      });
      let left = 100;
      const write = (): void => {
        while (left > 0) {
          left -= 1;
          if (!request.write(MEGABYTE)) return void request.once('drain', write);
        }
        request.end();
      };
      write();
    });
    expect(received).toBe(100 << 20);
    expect(returned).toBe(100 << 20);
    expect(peakMemory(egress) - before).toBeLessThan(80 << 20);
  });

  test('an upstream is not read faster than the client reads', async () => {
    let written = 0;
    const port = await serve(
      createServer((_request, response) => {
        const write = (): void => {
          written += MEGABYTE.byteLength;
          if (response.write(MEGABYTE)) setImmediate(write);
          else response.once('drain', write);
        };
        response.on('close', () => response.removeAllListeners('drain'));
        write();
      }),
    );
    const request = httpRequest(`${node.url}/egress/`, {
      agent: false,
      headers: { [EGRESS_TARGET]: encodeHeader(target(port)) },
    });
    request.end();
    request.on('error', () => {});
    const response = await new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
    response.pause();
    // It stops growing once every buffer on the way is full.
    let last = -1;
    await until(async () => {
      const still = written === last;
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return still;
    });
    expect(written).toBeLessThan(40 << 20);
    request.destroy();
  });

  test('a client that goes away takes the upstream request with it', async () => {
    let gone = false;
    const port = await serve(
      createServer((request, response) => {
        // The runtime sees that its client is gone when it has something for it.
        const events = setInterval(() => response.write('event'), 20);
        request.on('close', () => {
          clearInterval(events);
          gone = true;
        });
      }),
    );
    const request = httpRequest(`${node.url}/egress/`, { headers: { [EGRESS_TARGET]: encodeHeader(target(port)) } });
    request.on('error', () => {});
    request.end();
    await new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
    request.destroy();
    await until(() => gone);
  });

  test('an upstream that dies mid-body does not look complete', async () => {
    const port = await serve(
      createServer((_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half');
        setTimeout(() => response.destroy(), 50);
      }),
    );
    await expect(send(target(port))).rejects.toThrow();
  });
});

describe('failures', () => {
  const silent = () => serve(createTcpServer((socket) => socket.on('error', () => {})));
  const short = (name: 'connect' | 'read' | 'write') => ({ connect: 5_000, read: 5_000, write: 5_000, [name]: 200 });

  test('a refused connection', async () => {
    const port = await serve(createTcpServer());
    servers.pop()?.close();
    expect(await send(target(port))).toMatchObject({
      status: 502,
      failure: { code: 'connection_refused', sent: false },
    });
  });

  test('a name that does not resolve', async () => {
    const { failure } = await send(target(80, { host: 'no-such-host.invalid' }));
    expect(failure).toMatchObject({ code: 'dns', sent: false });
  });

  test('no TLS handshake in time', async () => {
    const answer = await send(target(await silent(), { scheme: 'https', timeouts: short('connect') }));
    expect(answer).toMatchObject({ status: 504, failure: { code: 'connect_timeout', sent: false } });
  });

  test('no response in time', async () => {
    const answer = await send(target(await silent(), { timeouts: short('read') }), { method: 'POST', body: 'x' });
    expect(answer).toMatchObject({ status: 504, failure: { code: 'read_timeout', sent: true } });
  });

  test('a body that is not taken in time', async () => {
    const port = await serve(createTcpServer((socket) => socket.on('error', () => {}).pause()));
    const answer = await sendDirectly(target(port, { timeouts: short('write') }), new Uint8Array(32 << 20));
    expect(answer).toMatchObject({ status: 504, failure: { code: 'write_timeout', sent: true } });
  });

  test('a connection closed without a response, and one that is not HTTP', async () => {
    const closing = await serve(createTcpServer((socket) => socket.once('data', () => socket.destroy())));
    expect((await send(target(closing))).failure).toMatchObject({ code: 'closed', sent: true });
    const garbage = await serve(
      createTcpServer((socket) =>
        socket.on('error', () => {}).once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
      ),
    );
    expect((await send(target(garbage))).failure).toMatchObject({ code: 'protocol', sent: true });
  });

  test('a target that is not understood', async () => {
    const { failure } = await send(target(0));
    expect(failure).toMatchObject({
      code: 'bad_request',
      message: 'egress target: port is not an integer from 1 to 65535',
    });
  });
});

describe('TLS', () => {
  const show = (request: IncomingMessage, response: { end(text: string): void }) => {
    const socket = request.socket;
    const peer: unknown = Reflect.apply(Reflect.get(socket, 'getPeerCertificate'), socket, []);
    response.end(
      JSON.stringify({ sni: Reflect.get(socket, 'servername'), client: Reflect.get(Object(peer), 'subject') }),
    );
  };

  test('a private CA, the server name and a client certificate are what the identity says', async () => {
    const clients = await authority('clients');
    const { cert, key } = await ca.leaf({ name: 'secure.test' });
    const port = await serve(
      createHttpsServer({ cert, key, ca: clients.pem, requestCert: true, rejectUnauthorized: true }, show),
    );
    const mine = await clients.leaf({ name: 'gateway' });
    const to = (name: string | null, serverName = 'secure.test') =>
      target(port, { scheme: 'https', tls: { identity: name, serverName } });

    const trusted = await identity({ ca: [ca.pem], certificate: { cert: mine.cert, key: mine.key } });
    expect(JSON.parse((await send(to(trusted))).text)).toEqual({ sni: 'secure.test', client: { CN: 'gateway' } });

    expect((await send(to(trusted, 'other.test'))).failure).toMatchObject({
      code: 'tls',
      message: expect.stringContaining('other.test'),
    });
    expect((await send(to(null))).failure).toMatchObject({ code: 'tls', sent: false });
    const anonymous = await identity({ ca: [ca.pem] });
    // This server hangs up on clients it does not accept; others send an alert, which would be `tls`.
    expect((await send(to(anonymous))).failure).toMatchObject({ code: 'closed' });
    const stranger = await (await authority('strangers')).leaf();
    const wrong = await identity({ ca: [ca.pem], certificate: { cert: stranger.cert, key: stranger.key } });
    expect((await send(to(wrong))).failure).toMatchObject({ code: 'closed' });
  });

  test('verification can be turned off, and the chain limited', async () => {
    const { cert, key } = await (await (await ca.intermediate('one')).intermediate('two')).leaf({ name: 'deep.test' });
    const port = await serve(createHttpsServer({ cert, key }, show));
    const to = (name: string) => target(port, { scheme: 'https', tls: { identity: name, serverName: 'deep.test' } });

    expect((await send(to(await identity({ verify: false })))).status).toBe(200);
    expect((await send(to(await identity({ ca: [ca.pem], verifyDepth: 2 })))).status).toBe(200);
    const { failure } = await send(to(await identity({ ca: [ca.pem], verifyDepth: 1 })));
    expect(failure).toMatchObject({ code: 'tls', sent: false, message: expect.stringContaining('tls_verify_depth 1') });
  });

  test('an identity nobody handed over is asked for; one that was survives a crash of the process', async () => {
    const { cert, key } = await ca.leaf({ name: 'kept.test' });
    const port = await serve(createHttpsServer({ cert, key }, show));
    const to = (name: string) => target(port, { scheme: 'https', tls: { identity: name, serverName: 'kept.test' } });
    expect((await send(to('0'.repeat(64)))).failure).toMatchObject({ code: 'unknown_identity', sent: false });

    const name = await identity({ ca: [ca.pem] });
    const before = egressPid();
    process.kill(before, 'SIGKILL');
    await until(() => node.log.some((line) => line.includes('the egress process is running again')));
    expect(egressPid()).not.toBe(before);
    expect((await send(to(name))).status).toBe(200);
  });
});

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
        },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    };
    const secure = await serve(createSecureServer({ cert, key }).on('stream', grpc));
    const plain = await serve(createHttp2Server().on('stream', grpc));
    const tls = { identity: await identity({ ca: [ca.pem] }), serverName: 'h2.test' };
    for (const to of [target(secure, { scheme: 'https', tls }), target(plain)]) {
      const answer = await send(
        { ...to, version: '2', authority: 'grpc.test', trailers: 'grpc-web' },
        { method: 'POST', body: 'message', headers: { 'content-type': 'application/grpc', te: 'trailers' } },
      );
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({ 'x-te': 'trailers', 'x-authority': 'grpc.test' });
      expect(answer.text).toMatch(/^message.{5}grpc-status: 0\r\n$/s);
    }
  });

  test('failures are told apart as in HTTP/1.1', async () => {
    const { cert, key } = await ca.leaf({ name: 'h1.test' });
    const only1 = await serve(createHttpsServer({ cert, key }, (_request, response) => response.end()));
    const tls = { identity: await identity({ ca: [ca.pem] }), serverName: 'h1.test' };
    const { failure } = await send(target(only1, { version: '2', scheme: 'https', tls }));
    expect(failure).toMatchObject({ sent: false });
    expect(['protocol', 'tls']).toContain(failure?.code);
    const mute = await serve(createHttp2Server().on('stream', () => {}));
    const timeouts = { connect: 5_000, read: 200, write: 5_000 };
    expect((await send(target(mute, { version: '2', timeouts }))).failure).toMatchObject({ code: 'read_timeout' });
    const gone = await serve(createTcpServer());
    servers.pop()?.close();
    expect((await send(target(gone, { version: '2' }))).failure).toMatchObject({ code: 'connection_refused' });
  });
});

describe('WebSockets', () => {
  test('messages pass both ways, with subprotocol, close code and reason', async () => {
    const hosts: (string | undefined)[] = [];
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    const port = await serve(server);
    sockets.on('connection', (socket, request) => {
      hosts.push(request.headers.host);
      socket.on('message', (data, binary) => socket.send(data, { binary }));
      socket.on('close', (code, reason) => hosts.push(`${code} ${reason}`));
    });
    const client = new WebSocket(`${node.url.replace('http', 'ws')}/egress/`, ['chat'], {
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
    const port = await serve(createServer((_request, response) => response.writeHead(401).end('no')));
    const open = (to: EgressTarget) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const client = new WebSocket(`${node.url.replace('http', 'ws')}/egress/`, {
          headers: { [EGRESS_TARGET]: encodeHeader(to) },
        });
        client.once('unexpected-response', (_request, response) => resolve(response));
        client.once('error', reject);
      });
    expect((await open(target(port))).statusCode).toBe(401);
    const gone = await serve(createTcpServer());
    servers.pop()?.close();
    const refused = await open(target(gone));
    expect(decodeFailure(String(refused.headers[EGRESS_ERROR])).code).toBe('connection_refused');
  });
});

test('names are resolved for the Worker', async () => {
  const dns = async (query: string) => JSON.parse((await ask(`${node.url}/egress/dns/${query}`)).text);
  expect(await dns('localhost?type=A')).toMatchObject({ status: 'ok', records: [{ address: '127.0.0.1' }] });
  expect((await dns('no-such-host.invalid?type=A')).status).toMatch(/not_found|failed/);
});

function egressPid(): number {
  const found = descendants(process.pid).find((pid) => commandOf(pid).includes('egress/main.ts'));
  if (found === undefined) throw new Error('there is no egress process');
  return found;
}
