import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
} from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { expectProxyHeaders } from '../../../edge-dp/hosts/node/proxy-protocol.ts';
import { relay } from '../../../edge-dp/hosts/node/stream/relay.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { authority } from '../../cp/pki/authority.ts';
import { freePorts } from '../../free-port.ts';
import { until } from '../../until.ts';
import { within } from '../../within.ts';
import { id, type ProxyNode, startProxyNode } from '../proxy/node.ts';

/** Milliseconds anything here may take before it is said to be missing. */
const LIMIT = 60_000;

/** A plugin in Lua that lets nobody in. */
const DOOR = `return { VERSION = '1.0', PRIORITY = 5, preread = function(self, conf)
  kong.log.set_serialize_value('knocked', ngx.var.remote_addr)
  return kong.response.exit(conf.status, conf.body)
end }`;

/** A plugin in Lua that sends a session elsewhere, without TLS. */
const TURN = `return { VERSION = '1.0', PRIORITY = 5, preread = function(self, conf)
  assert(kong.nginx.get_subsystem() == 'stream')
  kong.service.set_target('127.0.0.1', conf.port)
  kong.service.request.disable_tls()
end }`;
/** One that has the upstream checked by what its configuration has. */
const CHECK = `return { VERSION = '1.0', PRIORITY = 5, preread = function(self, conf)
  local store = require('resty.openssl.x509.store').new()
  store:add(assert(require('resty.openssl.x509').new(conf.ca)))
  kong.service.set_tls_verify_store(store)
  local ssl = require 'ngx.ssl'
  kong.service.set_tls_cert_key(assert(ssl.parse_pem_cert(conf.cert)), assert(ssl.parse_pem_priv_key(conf.key)))
end }`;

/** One that asks elsewhere whether to let a session in, and does not. */
const ASK = `return { VERSION = '1.0', PRIORITY = 5, preread = function(self, conf)
  assert(require('resty.http').new():request_uri(conf.url))
  return kong.response.exit(200, 'too late')
end }`;

/** Each case has a client address of its own, 127.0.1.<case>, by which its route is found. */
const clientOf = (n: number): string => `127.0.1.${n}`;

describe('streams on the native host', () => {
  const servers: (Server | UdpSocket)[] = [];
  /** What echoes, and what the other upstreams have been told or were left by. */
  const seen: { readonly text: string[]; ended: number; reset: number } = { text: [], ended: 0, reset: 0 };
  /** Answers that plugins wait for. */
  const awaited: ServerResponse[] = [];
  let logs: Server;
  const entries: Record<string, unknown>[] = [];
  let node: ProxyNode;
  let ca: Awaited<ReturnType<typeof authority>>;

  const listen = async (server: Server): Promise<number> => {
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  };
  const tcp = (serve: (socket: Socket) => void): Promise<number> =>
    listen(createServer({ allowHalfOpen: true }, (socket) => serve(socket.on('error', () => undefined))));
  const udp = async (answer: (text: string, port: number) => readonly string[]): Promise<number> => {
    const socket = createSocket('udp4');
    servers.push(socket);
    socket.on('message', (datagram, from) => {
      for (const text of answer(datagram.toString(), from.port)) socket.send(text, from.port, from.address);
    });
    await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
    return socket.address().port;
  };

  const rows: Record<string, BundleRow[]> = { services: [], routes: [], upstreams: [], targets: [], plugins: [] };
  /** A service, and the route to it for the client of the case. */
  const serve = (n: number, port: number, service: object = {}, route: object = {}): void => {
    rows.services?.push({ id: id(n), name: `s${n}`, host: '127.0.0.1', port, protocol: 'tcp', ...service });
    const matching = { protocols: ['tcp'], sources: [{ ip: clientOf(n) }] };
    rows.routes?.push({ id: id(n), name: `r${n}`, ...matching, service: { id: id(n) }, ...route });
  };

  beforeAll(async () => {
    ca = await authority('upstreams');
    const own = await ca.leaf({ name: 'inner.test' });
    const shown = await (await authority('shown')).leaf({ name: 'named.test' });
    const echo = await tcp((socket) => socket.pipe(socket));
    const secured = ({ cert, key }: { readonly cert: string; readonly key: string }): Promise<number> =>
      listen(
        createTlsServer(
          { cert, key, requestCert: true, rejectUnauthorized: false, allowHalfOpen: true },
          (socket: TLSSocket) => {
            const { subject } = socket.getPeerCertificate();
            socket.end(`${socket.servername} ${subject?.CN}`);
          },
        ).on('tlsClientError', () => undefined),
      );
    const securePort = await secured(own);
    // Nobody listens there, nor is it given to who asks for any.
    const dead = 1;
    logs = createServer((socket) => {
      let text = '';
      socket.on('data', (part) => {
        text += part;
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          entries.push(JSON.parse(text.slice(0, end)));
          text = text.slice(end + 1);
        }
      });
    });
    const logPort = await listen(logs);

    serve(1, echo);
    serve(2, await tcp((socket) => socket.on('data', (part) => seen.text.push(`${part}`)).end('ended first')));
    serve(3, await tcp((socket) => socket.once('data', () => socket.resetAndDestroy())));
    serve(4, await tcp((socket) => socket.on('error', () => (seen.reset += 1)).write('hi')));
    serve(5, dead, { host: 'pool.test', retries: 1 });
    rows.upstreams?.push({ id: id(5), name: 'pool.test', algorithm: 'round-robin' });
    for (const [n, port] of [
      [51, dead],
      [52, echo],
    ] as const)
      rows.targets?.push({ id: id(n), upstream: { id: id(5) }, target: `127.0.0.1:${port}` });
    serve(6, await tcp((socket) => socket.write('here').valueOf()), { read_timeout: 300 });
    serve(7, echo, { enabled: false });
    serve(8, dead, { retries: 0 });
    serve(9, echo);
    rows.plugins?.push({
      id: id(9),
      name: 'ip-restriction',
      protocols: ['tcp'],
      route: { id: id(9) },
      config: { deny: ['127.0.0.0/8'], allow: null, status: null, message: null },
    });
    const byName = { protocols: ['tls'], sources: null };
    serve(20, echo, {}, { ...byName, snis: ['named.test'] });
    serve(
      21,
      securePort,
      {
        protocol: 'tls',
        host: 'localhost',
        tls_verify: true,
        ca_certificates: [id(90)],
        client_certificate: { id: id(91) },
      },
      { ...byName, snis: ['inner.test'], preserve_host: true },
    );
    serve(
      22,
      securePort,
      { protocol: 'tls', tls_verify: true },
      { ...byName, snis: ['untrusted.test'], preserve_host: true },
    );
    serve(23, securePort, {}, { protocols: ['tls_passthrough'], sources: null, snis: ['*.inner.test'] });
    serve(
      24,
      await tcp((socket) => socket.resume().on('end', () => setImmediate(() => socket.end('all of it read')))),
      {},
      { ...byName, snis: ['late.test'] },
    );
    rows.ca_certificates = [{ id: id(90), cert: ca.pem }];
    const client = await ca.leaf({ name: 'gateway' });
    rows.certificates = [
      { id: id(91), cert: client.cert, key: client.key },
      { id: id(92), cert: shown.cert, key: shown.key },
    ];
    rows.snis = [{ id: id(92), name: 'named.test', certificate: { id: id(92) } }];
    serve(
      30,
      await udp((text, port) => [`${text} 1`, `${text} from ${port}`]),
      { protocol: 'udp' },
      { protocols: ['udp'] },
    );
    serve(31, await udp(() => []), { protocol: 'udp', host: 'datagrams.test', retries: 5 }, { protocols: ['udp'] });
    rows.upstreams?.push({ id: id(31), name: 'datagrams.test' });
    const answering = await udp((text) => [`${text} answered`]);
    for (const [n, port] of [
      [311, dead],
      [312, answering],
    ] as const)
      rows.targets?.push({ id: id(n), upstream: { id: id(31) }, target: `127.0.0.1:${port}` });
    serve(40, echo, {}, { sources: [{ ip: '192.0.2.1', port: 4001 }] });
    serve(41, echo, {}, { protocols: ['tls'], sources: [{ ip: '2001:db8::1' }] });
    const web = await listen(createHttpServer((request, response) => response.end(request.headers['x-real-ip'])));
    serve(42, web, { protocol: 'http' }, { protocols: ['http', 'https'], sources: null, paths: ['/'] });
    const log = [
      'kong.log.set_serialize_value("lua", { ip = kong.client.get_ip(), route = kong.router.get_route().name, sent = ngx.var.bytes_sent })',
      'kong.request.get_method()',
    ];
    const phases = { certificate: [], rewrite: [], access: ['x()'], header_filter: [], body_filter: [], log };
    rows.plugins?.push({ id: id(98), name: 'pre-function', protocols: ['tcp'], route: { id: id(1) }, config: phases });
    serve(43, echo);
    serve(45, echo, {}, { sources: [{ ip: clientOf(45) }, { ip: '2001:db8::1' }] });
    // Gives the line that came before TLS, within it.
    const announced = createTlsServer(own);
    const beforeTls = await tcp((socket) => {
      socket.once('readable', () => {
        const part: Buffer = socket.read();
        const end = part.indexOf('\n') + 1;
        const line = part.subarray(0, end);
        if (end < part.length) socket.unshift(part.subarray(end));
        announced.once('secureConnection', (inner: TLSSocket) => inner.end(line));
        announced.emit('connection', socket);
      });
    });
    serve(46, beforeTls, { protocol: 'tls' });
    serve(47, beforeTls, {}, { protocols: ['tls_passthrough'], sources: null, snis: ['announced.test'] });
    serve(44, dead, { protocol: 'tls', tls_verify: true });
    serve(
      25,
      await secured(await ca.leaf({ name: 'localhost' })),
      { protocol: 'tls', host: 'localhost', tls_verify: true },
      { ...byName, snis: ['checked.test'], preserve_host: false },
    );
    rows.custom_plugins = [
      { id: id(97), name: 'door', handler: DOOR, modules: null },
      { id: id(971), name: 'turn', handler: TURN, modules: null },
      { id: id(972), name: 'check', handler: CHECK, modules: null },
      { id: id(973), name: 'ask', handler: ASK, modules: null },
    ];
    rows.plugins?.push(
      { id: id(961), name: 'turn', protocols: ['tcp'], route: { id: id(44) }, config: { port: echo } },
      {
        id: id(962),
        name: 'check',
        protocols: ['tls'],
        route: { id: id(25) },
        config: { ca: ca.pem, cert: client.cert, key: client.key },
      },
    );
    rows.plugins?.push({
      id: id(96),
      name: 'door',
      protocols: ['tcp'],
      route: { id: id(43) },
      config: { status: 403, body: 'only told to the log' },
    });
    serve(48, echo, { protocol: 'tcp' }, {});
    serve(49, echo, { protocol: 'udp' }, { protocols: ['udp'] });
    for (const [n, config] of [
      [48, { status: 200, body: { said: 'no' } }],
      [49, { status: 200, body: 'no' }],
    ] as const) {
      const of = { id: id(n * 100), name: 'door', protocols: ['tcp', 'udp'], route: { id: id(n) } };
      rows.plugins?.push({ ...of, config });
    }
    serve(50, echo);
    const asked = await listen(createHttpServer((_request, response) => awaited.push(response)));
    rows.plugins?.push({
      id: id(963),
      name: 'ask',
      protocols: ['tcp'],
      route: { id: id(50) },
      config: { url: `http://127.0.0.1:${asked}/` },
    });
    const [left, right] = await Promise.all(['left', 'right'].map((name) => tcp((socket) => socket.write(name))));
    for (const [n, balanced] of [
      [60, { name: 'least.test', algorithm: 'least-connections' }],
      [61, { name: 'hash.test', algorithm: 'consistent-hashing', hash_on: 'ip' }],
    ] as const) {
      serve(n, dead, { host: balanced.name });
      rows.upstreams?.push({ id: id(n), ...balanced });
      for (const port of [left, right])
        rows.targets?.push({ id: id(n * 1000 + (port ?? 0)), upstream: { id: id(n) }, target: `127.0.0.1:${port}` });
    }
    rows.plugins?.push({
      id: id(99),
      name: 'tcp-log',
      protocols: ['tcp', 'udp', 'tls', 'tls_passthrough'],
      config: {
        host: '127.0.0.1',
        port: logPort,
        timeout: 10_000,
        keepalive: 60_000,
        tls: false,
        custom_fields_by_lua: { spoken: 'return ngx.var.protocol' },
      },
    });

    const tls = await generateListenerCertificate();
    node = await startProxyNode(rows, {
      start: startNodeHost,
      streamListen: [
        { host: '127.0.0.1', port: 0, udp: false },
        { host: '127.0.0.1', port: 0, udp: false, tls },
        { host: '127.0.0.1', port: 0, udp: true },
        { host: '127.0.0.1', port: 0, udp: false, proxyProtocol: true },
        { host: '127.0.0.1', port: 0, udp: false, proxyProtocol: true, tls },
        { host: '127.0.0.1', port: 0, udp: false, sendProxyProtocol: true },
        { host: '127.0.0.1', port: 0, udp: false, sendProxyProtocol: true, proxyProtocol: true },
        { host: '127.0.0.1', port: 0, udp: false, sendProxyProtocol: true, tls },
        { host: '0.0.0.0', port: 0, udp: false, tls },
      ],
      proxyListen: [
        { host: '127.0.0.1', port: 0, proxyProtocol: true },
        { host: '127.0.0.1', port: 0, proxyProtocol: true, tls },
        { host: '0.0.0.0', port: 0, proxyProtocol: true },
        { host: '0.0.0.0', port: 0, proxyProtocol: true, tls },
      ],
      proxy: { trustedIps: ['127.0.0.0/8'], realIpHeader: 'proxy_protocol' },
    });
  });
  afterAll(async () => {
    await node?.stop();
    for (const server of servers) server.close();
  });

  const portOf = (listener: number): number => node.dataPlane.streamAddresses?.[listener]?.port ?? 0;
  const open = (n: number): Socket => connect({ port: portOf(0), host: '127.0.0.1', localAddress: clientOf(n) });
  const openTls = (servername: string, options: ConnectionOptions = {}): TLSSocket =>
    connectTls({ port: portOf(1), host: '127.0.0.1', servername, rejectUnauthorized: false, ...options });
  /** All that comes until the other side ends; and how it does. */
  const rest = (socket: Socket): Promise<{ text: string; end: string }> => {
    let text = '';
    let end = 'closed';
    socket.on('data', (part) => (text += part));
    socket.on('end', () => (end = 'ended'));
    socket.on('error', (error) => (end = 'code' in error ? String(error.code) : error.message));
    return within(
      new Promise((resolve) => socket.on('close', () => resolve({ text, end }))),
      'the end of a connection',
      LIMIT,
    );
  };
  /** The log entry of the last session to the route. */
  const entryOf = async (route: string): Promise<Record<string, unknown>> => {
    const find = () => entries.findLast((entry) => Object(entry.route).name === route);
    await until(() => find() !== undefined, `a log entry of ${route}`, LIMIT);
    return find() ?? {};
  };

  it('moves bytes, passes on the end of one direction, and logs the session as Kong does', async () => {
    const socket = open(1);
    socket.end('hello');
    expect(await rest(socket)).toEqual({ text: 'hello', end: 'ended' });
    expect(await entryOf('r1')).toMatchObject({
      session: { received: 5, sent: 5, status: 200, server_port: portOf(0) },
      upstream: { received: 5, sent: 5 },
      client_ip: clientOf(1),
      service: { name: 's1' },
      tries: [{ ip: '127.0.0.1' }],
      spoken: 'TCP',
      lua: { ip: clientOf(1), route: 'r1', sent: '5' },
      workspace: expect.any(String),
      latencies: { kong: expect.any(Number), session: expect.any(Number) },
    });
  });

  it('tells the log what Lua asks for that only requests have', async () => {
    await expect
      .poll(() => node.log.join('\n'))
      .toMatch(/session \w+: plugin pre-function .* of route r1 failed in log: .*not available for streams/);
  });

  it('lets a client go on sending to an upstream that has ended its side', async () => {
    const socket = connect({ port: portOf(0), host: '127.0.0.1', localAddress: clientOf(2), allowHalfOpen: true });
    let text = '';
    socket.on('data', (part) => (text += part));
    await once(socket, 'end');
    expect(text).toBe('ended first');
    socket.end('still there');
    await until(() => seen.text.join('') === 'still there', 'what was sent behind the end', LIMIT);
  });

  it('passes on resets, of upstreams and of clients', async () => {
    const socket = open(3);
    socket.write('x');
    expect(await rest(socket)).toMatchObject({ end: 'ECONNRESET' });
    const leaving = open(4);
    await once(leaving, 'data');
    leaving.resetAndDestroy();
    await until(() => seen.reset > 0, 'the reset at the upstream', LIMIT);
  });

  it('tries another target of the upstream when one cannot be connected to', async () => {
    for (let i = 0; i < 3; i++) {
      const socket = open(5);
      socket.end(`to the pool ${i}`);
      expect((await rest(socket)).text).toBe(`to the pool ${i}`);
    }
    const tried = () =>
      entries.some(({ route, tries }) => Object(route).name === 'r5' && Array.isArray(tries) && tries.length === 2);
    await until(tried, 'an entry with two tries', LIMIT);
    const entry = entries.find(
      ({ route, tries }) => Object(route).name === 'r5' && Array.isArray(tries) && tries.length === 2,
    );
    expect(entry).toMatchObject({
      session: { status: 200 },
      tries: [{ state: 'failed', code: 502 }, { ip: '127.0.0.1' }],
    });
  });

  /** Opens a connection, with the name its upstream greets with. */
  const greeted = async (n: number): Promise<{ socket: Socket; by: string }> => {
    const socket = open(n);
    return { socket, by: String((await once(socket, 'data'))[0]) };
  };

  it('counts open connections for least-connections, from their beginning to their end', async () => {
    const all = [];
    for (let i = 0; i < 4; i++) all.push(await greeted(60));
    const ofLeft = all.filter(({ by }) => by === 'left');
    expect(ofLeft).toHaveLength(2);
    const over = () => entries.filter(({ route }) => Object(route).name === 'r60').length;
    // The upstream keeps its side open: a reset ends both.
    for (const { socket } of ofLeft) socket.resetAndDestroy();
    await until(() => over() === 2, 'the end of two sessions', LIMIT);
    const more = [await greeted(60), await greeted(60)];
    expect(more.map(({ by }) => by)).toEqual(['left', 'left']);
    for (const { socket } of [...all, ...more]) socket.destroy();
  });

  it('hashes by the address of the client', async () => {
    const names = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const { socket, by } = await greeted(61);
      names.add(by);
      socket.destroy();
    }
    expect(names.size).toBe(1);
  });

  it('ends a session in which nothing moves for read_timeout', async () => {
    expect((await rest(open(6))).text).toBe('here');
  });

  it('sends a session where a plugin in Lua says, with TLS as that wants it', async () => {
    const turned = open(44);
    turned.end('hello');
    expect((await rest(turned)).text).toBe('hello');
    expect((await rest(openTls('checked.test'))).text).toMatch(/ gateway$/);
  });

  it.each([
    ['no route is for it', 10, null],
    ['its service is switched off', 7, null],
    ['nobody listens at its upstream', 8, 502],
    ['a plugin refuses it', 9, 403],
    ['a plugin in Lua refuses it', 43, 403],
  ])('closes a connection when %s', async (_why, n, status) => {
    const socket = open(n);
    socket.on('error', () => undefined).write('hello');
    expect((await rest(socket)).text).toBe('');
    if (status !== null) expect(await entryOf(`r${n}`)).toMatchObject({ session: { status } });
  });

  it('says what a plugin in Lua has to say in place of an upstream, and ends', async () => {
    const socket = open(48);
    socket.on('error', () => undefined).write('hello');
    expect((await rest(socket)).text).toBe('{"said":"no"}');
    expect(await entryOf('r48')).toMatchObject({
      session: { status: 200, sent: 13 },
      upstream: { received: 0, sent: 0 },
    });
    expect(await ask(49, ['hello'], 1)).toEqual(['no']);
    expect(await entryOf('r49')).toMatchObject({ session: { status: 200, sent: 2 } });
  });

  it('ends a session whose client left before it was refused with words', async () => {
    const socket = open(50);
    await until(() => awaited.length > 0, 'the question of the plugin', LIMIT);
    socket.resetAndDestroy();
    // Another connection behind it: the reset is known.
    const later = open(1);
    later.end('hello');
    await rest(later);
    awaited[0]?.end();
    expect(await entryOf('r50')).toMatchObject({ session: { status: 200, received: 0 } });
  });

  it('ends TLS with the certificate of the name, and passes on what is inside', async () => {
    const socket = openTls('named.test');
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subject.CN).toBe('named.test');
    socket.end('secret');
    expect((await rest(socket)).text).toBe('secret');
    const entry = await entryOf('r20');
    expect(entry).toMatchObject({ session: { received: 6, sent: 6, status: 200, tls: { version: 'TLSv1.3' } } });
  });

  it('passes on what comes after a TLS client has ended its side, and outlives handshakes that fail', async () => {
    const failed = openTls('late.test', { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' });
    expect((await rest(failed)).text).toBe('');
    expect(await entryOf('r24')).toMatchObject({ session: { status: 499, sent: 0 } });
    const socket = openTls('late.test');
    socket.end('x'.repeat(100_000));
    expect((await rest(socket)).text).toBe('all of it read');
  });

  it('tells TLS clients apart that use one port of their own to two of its addresses', async () => {
    const [localPort] = await freePorts(1);
    const to = (host: string) => ({ host, port: portOf(8), localAddress: '127.0.0.1', localPort });
    let goOn = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      // Holds back what the first is answered, until the second has shaken hands.
      void tcp((client) => {
        const gateway = connect(to('127.0.0.1'));
        client.pipe(gateway);
        gateway.once('readable', resolve).on('error', () => client.destroy());
        goOn = () => gateway.pipe(client);
      }).then((port) => first(port));
    });
    let opened: TLSSocket | null = null;
    const first = (port: number): void => {
      opened = openTls('named.test', { port });
    };
    await within(answered, 'a ServerHello', LIMIT);
    const second = openTls('late.test', to('127.0.0.2'));
    second.end('to the second');
    expect((await rest(second)).text).toBe('all of it read');
    goOn();
    const one = opened ?? second;
    one.end('to the first');
    expect((await rest(one)).text).toBe('to the first');
  });

  it('speaks TLS to a tls service: verified, with its client certificate, by the name the client asked for', async () => {
    expect((await rest(openTls('inner.test'))).text).toBe('inner.test gateway');
    expect((await rest(openTls('untrusted.test'))).text).toBe('');
    expect(await entryOf('r22')).toMatchObject({ session: { status: 502 } });
  });

  it('passes TLS through by the name in the ClientHello, however it comes in pieces', async () => {
    const socket = openTls('a.inner.test', { ca: ca.pem });
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subject.CN).toBe('inner.test');
    expect((await rest(socket)).text).toBe('a.inner.test undefined');
    // A link that carries the first bytes one at a time.
    const link = await tcp((client) => {
      const gateway = connect({ port: portOf(1), host: '127.0.0.1', noDelay: true });
      gateway.on('error', () => undefined).pipe(client);
      client.once('data', async (hello: Buffer) => {
        client.pause();
        for (const byte of hello.subarray(0, 80)) {
          gateway.write(Buffer.of(byte));
          await new Promise(setImmediate);
        }
        gateway.write(hello.subarray(80));
        client.pipe(gateway);
      });
    });
    expect((await rest(openTls('b.inner.test', { port: link }))).text).toBe('b.inner.test undefined');
  });

  it.each([
    ['is no TLS', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['never ends', Buffer.concat([Buffer.of(22, 3, 1, 63, 255, 1, 0, 63, 251), Buffer.alloc(16_384)])],
    ['is longer than any', Buffer.of(22, 3, 1, 63, 255, 1, 255, 255, 255)],
  ])('closes a TLS connection whose beginning %s', async (_what, bytes) => {
    const socket = connect(portOf(1), '127.0.0.1');
    socket.on('error', () => undefined).write(bytes);
    expect((await rest(socket)).text).toBe('');
  });

  /** Sends datagrams from one socket until so many came back. */
  const ask = async (n: number, texts: readonly string[], answers: number): Promise<readonly string[]> => {
    const socket = createSocket('udp4');
    await new Promise<void>((bound) => socket.bind(0, clientOf(n), bound));
    const came: string[] = [];
    socket.on('message', (datagram) => came.push(datagram.toString()));
    for (const text of texts) socket.send(text, portOf(2), '127.0.0.1');
    await until(() => came.length >= answers, `${answers} answers over UDP, not ${came.length}`, LIMIT);
    socket.close();
    return came;
  };

  it('keeps the datagrams of a client together, apart from those of others', async () => {
    const [one, two] = await Promise.all([ask(30, ['a', 'b'], 4), ask(30, ['c', 'd'], 4)]);
    const ports = (came: readonly string[]) => new Set(came.flatMap((text) => text.split(' from ')[1] ?? []));
    expect(one.filter((text) => text.endsWith(' 1'))).toEqual(['a 1', 'b 1']);
    expect([ports(one).size, ports(two).size]).toEqual([1, 1]);
    expect(ports(one)).not.toEqual(ports(two));
  });

  it('sends the datagrams of a target that is not there to another', async () => {
    for (let i = 0; i < 3; i++) expect(await ask(31, [`q${i}`], 1)).toEqual([`q${i} answered`]);
  });

  describe('PROXY protocol', () => {
    const binary = (command: number, family: number, addresses: string): Buffer =>
      Buffer.concat([
        Buffer.from('0d0a0d0a000d0a515549540a', 'hex'),
        Buffer.of(0x20 + command, family, 0, addresses.length / 2 + 5),
        Buffer.from(addresses, 'hex'),
        // Something added, of a type nobody knows.
        Buffer.of(0xee, 0, 2, 1, 2),
      ]);
    const headers: Readonly<Record<string, Buffer>> = {
      'version 1': Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 4001 443\r\n'),
      'version 2': binary(1, 0x11, 'c0000201c63364010fa101bb'),
      'version 2, IPv6': binary(1, 0x21, `20010db8${'0'.repeat(22)}01${'20010db8'.padEnd(32, '0')}0fa101bb`),
    };
    const write = async (socket: Socket, bytes: Buffer): Promise<void> => {
      for (const part of [bytes.subarray(0, 5), bytes.subarray(5)]) {
        await new Promise((sent) => socket.write(part, sent));
        await new Promise(setImmediate);
      }
    };
    const secured = async (socket: Socket): Promise<TLSSocket> => {
      const inner = connectTls({ socket, servername: 'named.test', rejectUnauthorized: false });
      await once(inner, 'secureConnect');
      return inner;
    };

    it.each(['version 1', 'version 2'])('routes and logs a session by whom the header names (%s)', async (version) => {
      const socket = connect({ port: portOf(3), host: '127.0.0.1', noDelay: true });
      await write(socket, Buffer.concat([headers[version] ?? Buffer.of(), Buffer.from('hel')]));
      socket.end('lo');
      expect((await rest(socket)).text).toBe('hello');
      expect(await entryOf('r40')).toMatchObject({ client_ip: '192.0.2.1', session: { received: 5 } });
    });

    it('tells upstreams of the client, before TLS of whichever side', async () => {
      const [plain, behind, tls] = [portOf(5), portOf(6), portOf(7)];
      const open = (n: number) => connect({ port: plain, host: '127.0.0.1', localAddress: clientOf(n) });
      const told = (n: number, { localPort }: Socket) =>
        `PROXY TCP4 ${clientOf(n)} 127.0.0.1 ${localPort} ${plain}\r\n`;
      const direct = open(45);
      await once(direct, 'connect');
      const header = told(45, direct);
      direct.end('hello');
      expect((await rest(direct)).text).toBe(`${header}hello`);
      expect(await entryOf('r45')).toMatchObject({ session: { received: 5 } });
      const secure = open(46);
      await once(secure, 'connect');
      const before = told(46, secure);
      expect((await rest(secure)).text).toBe(before);
      const through = connectTls({
        port: tls,
        host: '127.0.0.1',
        servername: 'announced.test',
        rejectUnauthorized: false,
      });
      await once(through, 'secureConnect');
      const { localPort } = through;
      expect((await rest(through)).text).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${tls}\r\n`);
      const proxied = connect({ port: behind, host: '127.0.0.1', noDelay: true });
      await write(proxied, headers['version 2, IPv6'] ?? Buffer.of());
      proxied.end('hi');
      expect((await rest(proxied)).text).toBe(`PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 4001 ${behind}\r\nhi`);
    });

    it('reads it before TLS', async () => {
      const socket = connect({ port: portOf(4), host: '127.0.0.1', noDelay: true });
      await write(socket, headers['version 2, IPv6'] ?? Buffer.of());
      const inner = await secured(socket);
      inner.end('hello');
      expect((await rest(inner)).text).toBe('hello');
    });

    it.each([
      ['none', Buffer.from('hello hello hello')],
      ['one with an address that is none', Buffer.from('PROXY TCP4 192.0.2.256 198.51.100.1 4001 443\r\nhello')],
      ['one of a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
      [
        'one of another version',
        Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a31110000', 'hex'), Buffer.alloc(9)]),
      ],
      [
        'one that is too long',
        Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex'), Buffer.alloc(9)]),
      ],
      ['one of a proxy for itself, for which no route is', Buffer.concat([binary(0, 0, ''), Buffer.from('hello')])],
    ])('closes a connection with %s', async (_what, bytes) => {
      const socket = connect(portOf(3), '127.0.0.1');
      socket.on('error', () => undefined).write(bytes);
      expect((await rest(socket)).text).toBe('');
    });

    it.each([
      ['in clear', 0, 'version 1', '192.0.2.1'],
      ['over TLS', 1, 'version 2, IPv6', '2001:db8::1'],
    ])('is believed for requests %s, where real_ip_header says so', async (_how, listener, version, ip) => {
      const port = node.dataPlane.proxyAddresses[listener]?.port ?? 0;
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      await write(socket, headers[version] ?? Buffer.of());
      const inner = listener === 0 ? socket : await secured(socket);
      inner.write('GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 203.0.113.9\r\nConnection: close\r\n\r\n');
      const { text } = await rest(inner);
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
      expect(text).toContain(ip);
      expect(text).not.toContain('203.0.113.9');
    });

    it.each([
      ['in clear', 2],
      ['over TLS', 3],
    ])(
      'is believed of its own connection alone, where a proxy uses one port to two addresses, %s',
      async (_how, listener) => {
        const port = node.dataPlane.proxyAddresses[listener]?.port ?? 0;
        const [localPort] = await freePorts(1);
        const by = async (host: string, ip: string): Promise<Socket> => {
          const socket = connect({ port, host, localAddress: '127.0.0.1', localPort, noDelay: true });
          await write(socket, Buffer.from(`PROXY TCP4 ${ip} 198.51.100.1 4001 443\r\n`));
          return listener === 2 ? socket : secured(socket);
        };
        const first = await by('127.0.0.1', '192.0.2.11');
        const second = await by('127.0.0.2', '192.0.2.12');
        for (const [socket, ip] of [
          [second, '192.0.2.12'],
          [first, '192.0.2.11'],
        ] as const) {
          socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
          expect((await rest(socket)).text).toContain(ip);
        }
      },
    );
  });

  it('ends and logs, when it stops, the sessions that do not end by themselves', async () => {
    const socket = open(4);
    await once(socket, 'data');
    entries.length = 0;
    const ended = rest(socket);
    await node.dataPlane.stop(4_000);
    await ended;
    expect(await entryOf('r4')).toMatchObject({ session: { sent: 2, status: 200 } });
  });
});

it('a connection is for nobody whom an earlier one was for that had the same ends and was reset', async () => {
  const [localPort] = await freePorts(1);
  const server = createServer();
  const came: Socket[] = [];
  // One that is full, as where the upstream takes nothing for now, does not find out that it was reset.
  server.on('connection', (socket) => came.push(socket.pause()));
  const clientOf = expectProxyHeaders(server, LIMIT);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const told: (string | null)[] = [];
  const clients: Socket[] = [];
  try {
    for (const header of ['TCP4 192.0.2.1 198.51.100.1 4001 443', 'UNKNOWN', 'TCP4 192.0.2.2 198.51.100.1 4002 443']) {
      const client = connect({ port, host: '127.0.0.1', localPort });
      client.on('error', () => undefined).write(`PROXY ${header}\r\n${'a'.repeat(1 << 20)}`);
      const before = came.length;
      const full = ({ readableLength, readableHighWaterMark }: Socket) => readableLength >= readableHighWaterMark;
      await until(() => came.slice(before).some(full), 'the connection, and what it holds', LIMIT);
      const socket = came.at(-1) ?? client;
      told.push(clientOf(socket)?.ip ?? null);
      clients.push(client);
      if (clients.length === 3) break;
      client.resetAndDestroy();
      await once(client, 'close');
    }
    // The ends of earlier ones, whenever they are noticed, are not its own.
    const [one, two, three] = came;
    for (const earlier of [one, two]) {
      earlier?.destroy();
      if (earlier?.closed === false) await once(earlier, 'close');
    }
    told.push(three === undefined ? null : (clientOf(three)?.ip ?? null));
    expect(told).toEqual(['192.0.2.1', null, '192.0.2.2', '192.0.2.2']);
  } finally {
    for (const socket of [...came, ...clients]) socket.destroy();
    server.close();
  }
});

it('a side that takes nothing of the end of a session is let go of after a while', async () => {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pair = async (): Promise<readonly [Socket, Socket]> => {
    const far = connect({ port: Object(server.address()).port, host: '127.0.0.1', allowHalfOpen: true });
    const [near] = await once(server, 'connection');
    return [near.on('error', () => undefined), far.on('error', () => undefined)];
  };
  const [client, reader] = await pair();
  const [upstream, writer] = await pair();
  const over = relay(client, upstream, { read: 300, write: LIMIT });
  reader.pause().end('x');
  // Less than has the upstream wait, and more than the connection takes.
  while (client.writableLength === 0) await new Promise((written) => writer.write(Buffer.alloc(10_000), written));
  writer.end();
  expect(await within(over, 'the end of the session', LIMIT)).toMatchObject({ up: 1 });
  await until(() => client.destroyed && upstream.destroyed, 'the end of the connections', LIMIT);
  for (const socket of [reader, writer]) socket.destroy();
  server.close();
});
