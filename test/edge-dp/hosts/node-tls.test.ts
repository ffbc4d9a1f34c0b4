import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, createServer, type Server as TlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { DEFAULT_LIMITS } from '../../../edge-dp/hosts/node/tls/limits.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { type Authority, authority } from '../../cp/pki/authority.ts';
import { id, type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

/** What pre-function is given for its access phase alone. */
const functions = (access: string) => ({
  certificate: [],
  rewrite: [],
  access: [access],
  header_filter: [],
  body_filter: [],
  log: [],
});
const ASKED = `
  kong.service.request.set_header("X-Verify", ngx.var.ssl_client_verify)
  kong.service.request.set_header("X-Chain", #(kong.client.tls.get_full_client_certificate_chain() or ""))
  kong.client.tls.set_client_verify("FAILED:said a plugin")
`;
/** A plugin in Lua that logs what it was told of the client's certificate before the session went on. */
const LOOKER = `return { VERSION = '1.0', PRIORITY = 5, preread = function()
  local chain = kong.client.tls.get_full_client_certificate_chain()
  kong.log.set_serialize_value('seen', ngx.var.ssl_client_verify .. ' ' .. ngx.var.ssl_client_s_dn .. ' ' .. #chain)
end }`;

describe('certificates by server name on the native host', () => {
  let upstream: Upstream;
  let secured: TlsServer;
  let node: ProxyNode;
  let clients: Authority;
  let tables: Record<string, readonly BundleRow[]>;

  /** A certificate row for the common name. */
  const certificate = async (n: number, name: string): Promise<BundleRow> => {
    const { cert, key } = await (await authority('of tests')).leaf({ name });
    return { id: id(n), cert, key };
  };
  const sni = (n: number, name: string, of: number): BundleRow => ({ id: id(n), name, certificate: { id: id(of) } });

  beforeAll(async () => {
    upstream = await startUpstream(({ line }) =>
      line.includes('/waits') ? undefined : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    );
    clients = await authority('of clients');
    const alternative = await (await authority('of others')).leaf({ name: 'wild-rsa', type: 'rsa' });
    const own = await clients.leaf({ name: 'upstream' });
    const asking = { cert: own.cert, key: own.key, requestCert: true, rejectUnauthorized: false };
    secured = createServer(asking, (socket) => socket.resume().end(`saw ${socket.getPeerCertificate().subject?.CN}`));
    await once(secured.listen(0, '127.0.0.1'), 'listening');
    const address = secured.address();
    const through = typeof address === 'object' ? (address?.port ?? 0) : 0;
    tables = {
      services: [
        service(1, upstream.port),
        service(2, upstream.port, { path: '/named' }),
        service(4, upstream.port, { protocol: 'tcp' }),
        service(5, through, { protocol: 'tcp' }),
      ],
      routes: [
        route(3, '/asked', 1, { name: 'asked' }),
        route(1, '/', 1),
        route(2, '/', 2, { snis: ['exact.test'] }),
        { id: id(4), name: 'stream', protocols: ['tls'], snis: ['stream.test'], service: { id: service(4, 1).id } },
        { id: id(5), protocols: ['tls_passthrough'], snis: ['through.test'], service: { id: service(5, 1).id } },
      ],
      custom_plugins: [{ id: id(97), name: 'looker', handler: LOOKER, modules: null }],
      certificates: [
        await certificate(11, 'exact'),
        { ...(await certificate(12, 'wild')), cert_alt: alternative.cert, key_alt: alternative.key },
        await certificate(13, 'suffix'),
        { ...(await certificate(14, 'keyless')), key: '{vault://env/nowhere}' },
      ],
      plugins: [
        { id: id(32), name: 'pre-function', route: { id: route(3, '/', 1).id }, config: functions(ASKED) },
        { id: id(31), name: 'file-log', protocols: ['https'], config: { path: 'requests.log', reopen: false } },
        { id: id(34), name: 'file-log', protocols: ['tls'], config: { path: 'requests.log', reopen: false } },
        { id: id(33), name: 'looker', protocols: ['tls'], route: { id: id(4) }, config: {} },
      ],
      snis: [
        sni(21, 'Exact.test', 11),
        sni(22, '*.wild.test', 12),
        sni(23, 'suffix.*', 13),
        sni(25, 'keyless.test', 14),
      ],
    };
    const tls = await generateListenerCertificate();
    node = await startProxyNode(tables, {
      start: startNodeHost,
      proxyListen: [{ host: '127.0.0.1', port: 0, tls }],
      streamListen: [{ host: '127.0.0.1', port: 0, udp: false, tls }],
      tls: {
        ...DEFAULT_LIMITS,
        clients: { mode: 'optional', ca: clients.pem },
        streamClients: { mode: 'on', ca: clients.pem },
      },
    });
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
    secured?.close();
  });

  /** The common name of what a client that asks for the name is shown; null: the handshake fails. */
  const shown = (servername: string, options: ConnectionOptions = {}): Promise<string | null> =>
    new Promise((resolve) => {
      const socket = connect({ port: node.port, host: '127.0.0.1', servername, rejectUnauthorized: false, ...options });
      socket.once('secureConnect', () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.setTimeout(60_000, () => socket.destroy());
      socket.once('error', () => resolve(null)).once('close', () => resolve(null));
    });

  it.each([
    ['exact.test', 'exact'],
    ['EXACT.test', 'exact'],
    ['a.wild.test', 'wild'],
    ['suffix.example', 'suffix'],
    ['unknown.test', 'localhost'],
    ['', 'localhost'],
  ])('shows clients that ask for %s the certificate %s', async (name, expected) => {
    expect(await shown(name)).toBe(expected);
  });

  it('shows the other pair of a certificate to clients that know its type alone', async () => {
    const rsa = { sigalgs: 'RSA-PSS+SHA256:RSA+SHA256' };
    expect(await shown('a.wild.test', rsa)).toBe('wild-rsa');
    expect(await shown('exact.test', rsa)).toBe(null);
  });

  it('shows nothing in place of a certificate whose key cannot be had, and says so', async () => {
    expect(await shown('keyless.test')).toBe(null);
    expect(await shown('exact.test')).toBe('exact');
    await expect
      .poll(() => node.log.join('\n'))
      .toContain('the certificate for server name keyless.test cannot be used: ');
  });

  it('tells who speaks plain HTTP to it that it is to speak TLS', async () => {
    const { text, closed } = await node.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*The plain HTTP request was sent to HTTPS port/);
    expect(closed).toBe(true);
  });

  it('shows that of a changed config with the next handshake, and the one of * to all that nobody else has', async () => {
    const renewed = await certificate(11, 'renewed');
    const next = {
      ...tables,
      certificates: [renewed, ...(tables.certificates ?? []).slice(1)],
      snis: [...(tables.snis ?? []), sni(24, '*', 12)],
    };
    await node.controlPlane.publish(Object.fromEntries(Object.entries(next).map(([name, rows]) => [name, { rows }])));
    await expect.poll(() => shown('exact.test')).toBe('renewed');
    expect(await shown('unknown.test')).toBe('wild');
  });

  /** The status of an answer, and its body. */
  const ask = (path: string, options: ConnectionOptions = {}): Promise<string> =>
    new Promise((resolve, reject) => {
      const where = { host: '127.0.0.1', port: node.port, path, agent: false, rejectUnauthorized: false };
      httpsRequest({ ...where, headers: { host: 'a' }, ...options }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.once('end', () => resolve(`${response.statusCode} ${text}`));
      })
        .once('error', reject)
        .end();
    });

  it('tells plugins and the log of clients’ certificates, and serves none with a bad one', async () => {
    const good = await clients.leaf({ name: 'good' });
    upstream.seen.length = 0;
    expect(await ask('/asked', good)).toMatch(/^200 /);
    expect(await ask('/asked')).toMatch(/^200 /);
    const headers = upstream.seen.map(({ header }) => [header('X-Verify'), header('X-Chain')]);
    expect(headers).toEqual([
      ['SUCCESS', String(good.cert.length + 1)],
      ['NONE', '0'],
    ]);
    expect(await ask('/asked', await (await authority('of others')).leaf())).toMatch(
      /^400 [\s\S]*The SSL certificate error/,
    );
    expect(upstream.seen).toHaveLength(2);
    const logged = () => readFileSync(join(node.prefix, 'requests.log'), 'utf8');
    await expect.poll(logged).toMatch(/"client_verify":"FAILED:said a plugin"/);
  });

  it.each(['close', 'reset'])(
    'tells the log of clients that leave before their answer what it tells of others: a %s',
    async (how) => {
      const { cert, key } = await clients.leaf({ name: 'leaving' });
      const plain = connectTcp(node.port, '127.0.0.1');
      const socket = connect({ socket: plain, servername: 'exact.test', rejectUnauthorized: false, cert, key });
      socket.on('error', () => undefined);
      socket.write(`GET /waits-${how} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await expect.poll(() => upstream.seen.some(({ line }) => line.includes(how)), { timeout: 60_000 }).toBe(true);
      if (how === 'reset') plain.resetAndDestroy();
      else socket.destroy();
      const logged = () => {
        const lines = readFileSync(join(node.prefix, 'requests.log'), { encoding: 'utf8', flag: 'a+' }).split('\n');
        const entries = lines.filter((line) => line.includes(`waits-${how}`)).map((line) => JSON.parse(line));
        return entries.map(({ request, response }) => [response.status, request.tls]);
      };
      const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', client_verify: 'SUCCESS' };
      await expect.poll(logged, { timeout: 60_000 }).toEqual([[499, tls]]);
    },
  );

  /** What comes over a stream first; empty: it is closed before. */
  const streamed = (servername: string, options: ConnectionOptions): Promise<string> =>
    new Promise((resolve) => {
      const port = node.dataPlane.streamAddresses?.[0]?.port ?? 0;
      const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, ...options });
      socket.once('secureConnect', () => socket.write('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n'));
      socket.once('data', (part) => {
        resolve(part.toString());
        socket.destroy();
      });
      socket.on('error', () => undefined).once('close', () => resolve(''));
    });

  it('asks clients of streams for what settings of their own say, and lets none on without', async () => {
    const good = await clients.leaf({ name: 'streaming' });
    const bad = await (await authority('of others')).leaf();
    upstream.seen.length = 0;
    expect(await streamed('stream.test', good)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await streamed('stream.test', bad)).toBe('');
    expect(await streamed('stream.test', {})).toBe('');
    expect(upstream.seen).toHaveLength(1);
    expect(await streamed('through.test', good)).toBe('saw streaming');
    expect(await streamed('through.test', {})).toBe('saw undefined');
    const logged = () => {
      const lines = readFileSync(join(node.prefix, 'requests.log'), 'utf8').split('\n');
      const entries = lines.filter((line) => line.includes('"name":"stream"')).map((line) => JSON.parse(line));
      return entries.map(({ session, seen }) => [session.status, session.tls.client_verify, seen]);
    };
    const seen = `SUCCESS CN=streaming ${good.cert.length + 1}`;
    const failed = 'FAILED:unable to verify the first certificate';
    const expected = [
      [200, 'SUCCESS', seen],
      [500, failed, undefined],
      [500, 'NONE', undefined],
    ];
    await expect.poll(logged, { timeout: 60_000 }).toEqual(expect.arrayContaining(expected));
  });

  it('knows the name where routes ask for it', async () => {
    upstream.seen.length = 0;
    expect(await ask('/x', { servername: 'exact.test' })).toMatch(/^200 /);
    expect(await ask('/x', { servername: 'a.wild.test' })).toMatch(/^200 /);
    expect(upstream.seen.map(({ line }) => line)).toEqual(['GET /named/x HTTP/1.1', 'GET /x HTTP/1.1']);
    const logged = () => readFileSync(join(node.prefix, 'requests.log'), 'utf8');
    await expect
      .poll(logged)
      .toMatch(/"tls":\{"version":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384","client_verify":"NONE"\}/);
  });
});
