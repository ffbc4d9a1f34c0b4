import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { type Authority, authority } from '../../cp/pki/authority.ts';
import { id, type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

/** Does by the name what the tests ask for, in the phase before TLS. */
const BEFORE = `
  local name = ngx.var.ssl_server_name
  kong.ctx.shared.seen = kong.client.get_protocol() .. kong.client.get_forwarded_ip()
  if name == 'asked.test' then assert(kong.client.tls.request_client_certificate()) end
  if name == 'once.test' then assert(kong.client.tls.disable_session_reuse()) end
  if name == 'later.test' then ngx.sleep(0.02) kong.client.tls.request_client_certificate() end
  if name == 'refused.test' then ngx.exit(ngx.ERROR) end
  if name == 'broken.test' then error('as told') end
  if name == 'endless.test' then while true do end end
  if name == 'request.test' then kong.request.get_header('host') end
  if name == 'exits.test' then kong.response.exit(200) end
`;
const AFTER = `
  kong.service.request.set_header('X-Verify', ngx.var.ssl_client_verify)
  kong.service.request.set_header('X-Chain', #(kong.client.tls.get_full_client_certificate_chain() or ''))
  kong.service.request.set_header('X-Server-Name', ngx.var.ssl_server_name or '')
  for _, name in ipairs { 's_dn', 'i_dn', 'serial', 'fingerprint', 'v_start', 'v_end', 'v_remain', 'escaped_cert' } do
    kong.service.request.set_header('X-Client-' .. name:gsub('_', '-'), ngx.var['ssl_client_' .. name] or 'none')
  end
  local ok, message = pcall(kong.client.tls.request_client_certificate)
  kong.service.request.set_header('X-Late', message)
`;
/** A plugin in Lua that has clients of one name checked by an authority of its configuration. */
const GATE = `
  local ssl = require 'ngx.ssl'
  local Gate = { VERSION = '1.0.0', PRIORITY = 1 }
  function Gate:certificate(conf)
    if kong.ctx.shared.seen ~= 'https127.0.0.1' and kong.ctx.shared.seen ~= 'tls127.0.0.1' then error('not seen') end
    if ssl.server_name() == 'rows.test' then
      local all = {}
      for ca in kong.db.ca_certificates:each() do
        assert(kong.db.ca_certificates:select({ id = ca.id }).cert == ca.cert)
        all[#all + 1] = ca.cert
      end
      assert(kong.db.ca_certificates:select({ id = conf.none }) == nil)
      kong.client.tls.request_client_certificate(assert(ssl.parse_pem_cert(table.concat(all, '\\n'))))
    end
    if ssl.server_name() ~= 'gate.test' then return end
    assert(kong.client.tls.request_client_certificate(assert(ssl.parse_pem_cert(conf.ca))))
  end
  return Gate
`;

describe('plugins before the TLS of clients on the native host', () => {
  let upstream: Upstream;
  let node: ProxyNode;
  let known: Authority;
  let unknown: Awaited<ReturnType<Authority['leaf']>>;
  let tables: Record<string, readonly BundleRow[]>;

  beforeAll(async () => {
    upstream = await startUpstream();
    known = await authority('known');
    unknown = await (await authority('unknown')).leaf();
    const tls = await generateListenerCertificate();
    const tcp = service(2, upstream.port, { protocol: 'tcp' });
    const none = { rewrite: [], header_filter: [], body_filter: [], log: [] };
    const protocols = ['https', 'tls'];
    tables = {
      services: [service(1, upstream.port), tcp],
      ca_certificates: [{ id: id(81), cert: known.pem }],
      routes: [
        route(1, '/', 1),
        { id: id(2), protocols: ['tls'], snis: ['asked.test', 'refused.test'], service: { id: tcp.id } },
      ],
      custom_plugins: [{ id: id(97), name: 'gate', handler: GATE, modules: null }],
      plugins: [
        { id: id(31), name: 'pre-function', protocols, config: { ...none, certificate: [BEFORE], access: [AFTER] } },
        { id: id(32), name: 'gate', protocols, config: { ca: known.pem, none: id(99) } },
      ],
    };
    node = await startProxyNode(tables, {
      start: startNodeHost,
      proxyListen: [{ host: '127.0.0.1', port: 0, tls }],
      streamListen: [{ host: '127.0.0.1', port: 0, udp: false, tls }],
    });
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  /** What the upstream was told of a request over a connection for the name, or why there was none. */
  const told = async (servername: string, options: ConnectionOptions = {}): Promise<object | string> => {
    upstream.seen.length = 0;
    const where = { host: '127.0.0.1', port: node.port, agent: false, rejectUnauthorized: false, servername };
    const answer = await new Promise<IncomingMessage | Error>((resolve) =>
      httpsRequest({ ...where, ...options, headers: { host: 'a' } }, (response) => {
        response.resume().once('end', () => resolve(response));
      })
        .once('error', resolve)
        .end(),
    );
    if (answer instanceof Error) return 'no connection';
    const [{ header } = { header: () => null }] = upstream.seen;
    return { status: answer.statusCode, verify: header('X-Verify'), shown: header('X-Chain') !== '0' };
  };

  it.each<ConnectionOptions>([{}, { maxVersion: 'TLSv1.2' }])(
    'have a client asked for its certificate, and serve it whatever it shows: %j',
    async (options) => {
      expect(await told('plain.test', { ...options, ...unknown })).toEqual({
        status: 200,
        verify: 'NONE',
        shown: false,
      });
      for (const name of ['asked.test', 'later.test']) {
        const failed = 'FAILED:unable to verify the first certificate';
        expect(await told(name, { ...options, ...unknown })).toEqual({ status: 200, verify: failed, shown: true });
        expect(await told(name, options)).toEqual({ status: 200, verify: 'NONE', shown: false });
      }
      const [{ header } = { header: () => null }] = upstream.seen;
      expect(header('X-Server-Name')).toBe('later.test');
      expect(header('X-Late')).toContain('cannot be called in access phase (only in: certificate)');
    },
  );

  it('have it checked by the authorities that they name', async () => {
    expect(await told('gate.test', await known.leaf())).toEqual({ status: 200, verify: 'SUCCESS', shown: true });
    const failed = 'FAILED:unable to verify the first certificate';
    expect(await told('gate.test', unknown)).toEqual({ status: 200, verify: failed, shown: true });
  });

  it.each<ConnectionOptions>([{ maxVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }])(
    'keep a session from being taken up again: %j',
    async (options) => {
      /** A session that the server gave, or says it goes on with. */
      const talk = (servername: string, session?: Buffer) =>
        new Promise<{ reused: boolean; session: Buffer | undefined }>((resolve, reject) => {
          const sessions: Buffer[] = [];
          const where = { host: '127.0.0.1', port: node.port, rejectUnauthorized: false, servername };
          const socket: TLSSocket = connect({ ...where, ...options, ...(session !== undefined && { session }) });
          socket.on('session', (given) => sessions.push(given));
          socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
          socket.once('error', reject).resume();
          socket.once('end', () => resolve({ reused: socket.isSessionReused(), session: sessions.at(-1) }));
        });
      for (const [name, reused] of [
        ['plain.test', true],
        ['once.test', false],
      ] as const) {
        const first = await talk(name);
        expect(first.reused).toBe(false);
        expect(await talk(name, first.session)).toMatchObject({ reused });
      }
    },
  );

  it.each([
    ['refused.test', null],
    ['broken.test', /plugin pre-function \(.*1\) failed in certificate: .*as told/],
    ['endless.test', /failed in certificate: .*instruction budget used up/],
    ['request.test', /failed in certificate: .*not available in the certificate phase/],
    ['exits.test', /failed in certificate: .*cannot be called in certificate phase/],
  ])('end the connection where they refuse it or fail, and no other: %s', async (name, line) => {
    expect(await told(name)).toBe('no connection');
    expect(await told('plain.test')).toMatchObject({ status: 200 });
    if (line !== null) await expect.poll(() => node.log.join('\n'), { timeout: 60_000 }).toMatch(line);
  });

  it('have it checked by the authorities of the config, those of the moment, and tell the upstream what it says', async () => {
    const another = await authority('another');
    // A name with what its notation escapes, and what its text does.
    const strange = await known.leaf({ name: 'Ünlü\\, Ltd. \\+ Co, O=Acme' });
    const failed = 'FAILED:unable to verify the first certificate';
    expect(await told('rows.test', strange)).toEqual({ status: 200, verify: 'SUCCESS', shown: true });
    const [{ header } = { header: () => null }] = upstream.seen;
    const { serialNumber, fingerprint, validFrom, validTo } = new X509Certificate(strange.cert);
    expect(header('X-Client-S-DN')).toBe('O=Acme,CN=\\C3\\9Cnl\\C3\\BC\\, Ltd. \\+ Co');
    expect(header('X-Client-I-DN')).toBe('CN=known');
    expect(header('X-Client-Serial')).toBe(serialNumber);
    expect(header('X-Client-Fingerprint')).toBe(fingerprint.replaceAll(':', '').toLowerCase());
    expect([header('X-Client-V-Start'), header('X-Client-V-End')]).toEqual([validFrom, validTo]);
    expect(header('X-Client-V-Remain')).toMatch(/^\d+$/);
    expect(decodeURIComponent(header('X-Client-Escaped-Cert') ?? '').trim()).toBe(strange.cert.trim());

    const theirs = await another.leaf();
    expect(await told('rows.test', theirs)).toMatchObject({ verify: failed });
    const changed = { ...tables, ca_certificates: [{ id: id(82), cert: another.pem }] };
    await node.controlPlane.publish(
      Object.fromEntries(Object.entries(changed).map(([name, rows]) => [name, { rows }])),
    );
    await expect
      .poll(() => told('rows.test', theirs), { timeout: 60_000 })
      .toEqual({ status: 200, verify: 'SUCCESS', shown: true });
    expect(await told('rows.test', strange)).toMatchObject({ verify: failed });
  });

  it('do the same on listeners for streams', async () => {
    const port = node.dataPlane.streamAddresses?.[0]?.port ?? 0;
    const first = (servername: string) =>
      new Promise<string>((resolve) => {
        const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, ...unknown });
        socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
        socket.once('data', (part) => {
          resolve(part.toString().slice(0, 15));
          socket.destroy();
        });
        socket.once('error', () => resolve('no connection')).once('close', () => resolve('no connection'));
      });
    expect(await first('asked.test')).toBe('HTTP/1.1 200 OK');
    expect(await first('refused.test')).toBe('no connection');
  });
});
