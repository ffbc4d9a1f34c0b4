import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import { once } from '../../once.ts';
import { ControlPlane, type TestConfig } from '../control-plane.ts';
import { ask } from '../hosts/node.ts';
import { nodeOptions, proxyUrl, startOwnBox } from '../hosts.ts';
import { startGateway } from './gateway.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** Does what the header asks for. */
const TRUST = `
  local ssl, x509 = require 'ngx.ssl', require 'resty.openssl.x509'
  return { VERSION = '1.0.0', PRIORITY = 1, access = function(self, conf)
    local asked = kong.request.get_header('x-tls') or ''
    if asked:find 'verify' then kong.service.set_tls_verify(true) end
    if asked:find 'store' then
      local store = require('resty.openssl.x509.store').new()
      store:add(assert(x509.new(conf.ca)))
      kong.service.set_tls_verify_store(store)
    end
    if asked:find 'show' then
      kong.service.set_tls_cert_key(assert(ssl.parse_pem_cert(conf.cert)), assert(ssl.parse_pem_priv_key(conf.key)))
    end
  end }
`;
const DEEP = `
  local depth = kong.request.get_header('x-depth')
  if depth then kong.service.set_tls_verify_depth(tonumber(depth)) end
`;

describe('what fetch cannot say', () => {
  let server: Server;
  let controlPlane: ControlPlane;
  let node: DataPlane;
  let prefix: string;
  let port: number;
  let tables: TestConfig;
  let ownCa: string;
  let otherCa: string;

  beforeAll(async () => {
    const [{ cert, key }, client] = await Promise.all([generateClusterCertificate(), generateClusterCertificate()]);
    server = createServer(
      { cert, key, ca: client.cert, requestCert: true, rejectUnauthorized: false },
      (request, response) => {
        const socket = request.socket as TLSSocket;
        response.end(
          JSON.stringify({
            host: request.headers.host,
            forwardedFor: request.headers['x-forwarded-for'],
            sni: socket.servername,
            client: socket.authorized,
            url: request.url,
          }),
        );
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;

    const https = { protocol: 'https', host: '127.0.0.1', port, retries: 0 };
    const services = [
      { id: id(1), ...https },
      { id: id(2), ...https, tls_verify: true },
      { id: id(3), ...https, tls_verify: true, ca_certificates: [id(50)] },
      { id: id(4), ...https, client_certificate: { id: id(60) } },
      { id: id(5), ...https, tls_verify: true, ca_certificates: [id(51)] },
    ];
    const paths = ['/plain', '/public', '/private', '/client', '/missing'];
    const none = { certificate: [], rewrite: [], header_filter: [], body_filter: [], log: [] };
    tables = {
      services: { rows: services },
      routes: {
        rows: paths.map((path, n) => ({
          id: id(10 + n),
          paths: [path],
          protocols: ['http'],
          preserve_host: true,
          service: { id: id(n + 1) },
        })),
      },
      ca_certificates: { rows: [{ id: id(50), cert }] },
      certificates: { rows: [{ id: id(60), cert: client.cert, key: client.key }] },
      custom_plugins: { rows: [{ id: id(70), name: 'trust', handler: TRUST, modules: null }] },
      plugins: {
        rows: [
          {
            id: id(80),
            name: 'trust',
            config: { ca: cert, cert: client.cert, key: client.key },
            route: { id: id(10) },
          },
          { id: id(81), name: 'pre-function', config: { ...none, access: [DEEP] }, route: { id: id(12) } },
        ],
      },
    };
    ownCa = cert;
    otherCa = client.cert;
    controlPlane = await ControlPlane.create();
    await controlPlane.start();
    await controlPlane.publish(tables);
    prefix = await mkdtemp(join(tmpdir(), 'holdfast tls '));
    node = await startOwnBox(nodeOptions(prefix, controlPlane));
    await controlPlane.heard('applied');
  });
  afterAll(async () => {
    await node?.stop(0);
    await controlPlane?.stop();
    server?.closeAllConnections();
    server?.close();
    await rm(prefix, { recursive: true, force: true });
  });

  const get = async (path: string) => {
    const response = await fetch(proxyUrl(node, path));
    const text = await response.text();
    return { status: response.status, text, json: () => JSON.parse(text) as Record<string, unknown> };
  };

  it('takes any certificate where the service does not ask for verification, as Kong does', async () => {
    const { status, json } = await get('/plain/x?y=1');
    expect(status).toBe(200);
    expect(json()).toMatchObject({ url: '/x?y=1', client: false, forwardedFor: '127.0.0.1' });
    expect(json().host).toBe(`127.0.0.1:${node.proxyAddresses[0]?.port}`);
  });

  it('refuses a certificate no public CA signed where it does', async () => {
    expect((await get('/public')).status).toBe(502);
  });

  it('verifies those of services that say nothing, where the node is to, by the CAs it is told', async () => {
    const options = nodeOptions(prefix, controlPlane);
    const unsaid = (verify: boolean, ca: readonly string[]) => {
      const settings = { verify, verifyDepth: null, ca };
      return { ...options, proxy: { ...options.proxy, upstreamTls: { http: settings, stream: settings } } };
    };
    const status = async (path: string) =>
      (await ask(proxyUrl(node, path), { headers: { host: 'kong_clustering' } })).status;
    const statuses = async () => [await status('/plain'), await status('/public'), await status('/private')];
    onTestFinished(() => node.reload(options));
    await node.reload(unsaid(true, []));
    await expect.poll(statuses).toEqual([502, 502, 200]);
    await node.reload(unsaid(true, [ownCa]));
    await expect.poll(statuses).toEqual([200, 200, 200]);
    await node.reload(unsaid(true, [otherCa]));
    await expect.poll(statuses).toEqual([502, 502, 200]);
    await node.reload(unsaid(false, [ownCa]));
    await expect.poll(statuses).toEqual([200, 200, 200]);
  });

  it('shows the client certificate of the service', async () => {
    expect((await get('/client')).json()).toMatchObject({ client: true });
  });

  it('fails closed, naming what is missing, when a CA certificate is not there', async () => {
    const { status, text } = await get('/missing');
    expect(status).toBe(500);
    expect(text).toContain(`CA certificate ${id(51)}`);
  });

  it('asks for the name in the Host, and takes a certificate for that name alone where it verifies', async () => {
    const asked = async (path: string, host: string) => {
      const { status, text } = await ask(proxyUrl(node, path), { headers: { host } });
      return status === 200 ? JSON.parse(text).sni : status;
    };
    expect(await asked('/plain', 'virtual.example:8443')).toBe('virtual.example');
    expect(await asked('/plain', '192.0.2.1')).toBe(false);
    expect(await asked('/private', 'kong_clustering')).toBe('kong_clustering');
    expect(await asked('/private', 'virtual.example')).toBe(502);
  });

  it('trusts the CA of the service, and from a change of config on another one', async () => {
    const status = async () => (await ask(proxyUrl(node, '/private'), { headers: { host: 'kong_clustering' } })).status;
    expect(await status()).toBe(200);
    await controlPlane.publish({ ...tables, ca_certificates: { rows: [{ id: id(50), cert: otherCa }] } });
    await expect.poll(status).toBe(502);
    await controlPlane.publish(tables);
    await expect.poll(status).toBe(200);
  });

  it('does TLS as plugins in Lua want it', async () => {
    const asked = async (path: string, headers: Record<string, string>) => {
      const { status, text } = await ask(proxyUrl(node, path), { headers: { host: 'kong_clustering', ...headers } });
      return status === 200 ? JSON.parse(text).client : status;
    };
    expect(await asked('/plain', { 'x-tls': '' })).toBe(false);
    expect(await asked('/plain', { 'x-tls': 'verify' })).toBe(502);
    expect(await asked('/plain', { 'x-tls': 'verify store' })).toBe(false);
    expect(await asked('/plain', { 'x-tls': 'verify store show' })).toBe(true);
    expect(await asked('/private', { 'x-depth': '0' })).toBe(false);
    expect(await asked('/private', { 'x-depth': '0.5' })).toBe(500);
  });

  it('fails closed, naming what it lacks, where there is no egress process', async () => {
    const gateway = await startGateway({
      host: 'workerd',
      tables: {
        services: [{ id: id(1), protocol: 'https', host: '127.0.0.1', port, client_certificate: { id: id(60) } }],
        certificates: [{ id: id(60), cert: 'PEM', key: 'PEM' }],
        routes: [{ id: id(10), paths: ['/'], protocols: ['http'], service: { id: id(1) } }],
      },
    });
    const answer = await gateway.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await gateway.stop();
    expect(answer).toMatch(/^HTTP\/1\.1 500 /);
    expect(answer).toContain('no client certificates for upstreams');
  });
});
