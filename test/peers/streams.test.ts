import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../cp/pki/certificate.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import { authority } from '../cp/pki/authority.ts';
import { type DnsServer, startDnsServer } from '../edge-dp/balancer/dns-server.ts';
import { id, type ProxyNode, startProxyNode } from '../edge-dp/proxy/node.ts';
import { freePorts } from '../free-port.ts';
import { type PostgresServer, startPostgres } from '../postgres-server.ts';
import { until } from '../until.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);

let folder: string;
let postgres: PostgresServer;
let dns: DnsServer;
let nginx: ChildProcess;
let node: ProxyNode;
let output = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-streams-'));
  const [ca, shown] = await Promise.all([authority('of the upstream'), authority('of the gateway')]);
  writeFileSync(join(folder, 'ca.pem'), ca.pem);
  const inner = await ca.leaf({ name: 'nginx.test' });
  const outer = await shown.leaf({ name: 'gateway.test' });
  const [web = 0] = await freePorts(1);
  startNginx(web, inner);
  [postgres, dns] = await Promise.all([startPostgres(), startDnsServer()]);
  dns.records.set('name.test', [{ type: 'A', ttl: 60, address: '192.0.2.7' }]);
  await until(() => listens(web), `nginx to listen; it said: ${output}`, 60_000);
  const service = (n: number, port: number, protocol: string) => ({ id: id(n), protocol, host: '127.0.0.1', port });
  const route = (n: number, protocol: string, matching: object) => ({
    id: id(n),
    protocols: [protocol],
    service: { id: id(n) },
    ...matching,
  });
  const anywhere = { sources: [{ ip: '127.0.0.0/8' }] };
  node = await startProxyNode(
    {
      services: [
        service(1, postgres.settings().pg_port, 'tcp'),
        service(2, Number(dns.address.split(':')[1]), 'udp'),
        service(3, web, 'tcp'),
        { ...service(4, web, 'tls'), host: 'web.test', tls_verify: true, ca_certificates: [id(90)] },
      ],
      upstreams: [{ id: id(4), name: 'web.test', host_header: 'nginx.test' }],
      targets: [{ id: id(4), upstream: { id: id(4) }, target: `127.0.0.1:${web}` }],
      routes: [
        route(1, 'tcp', anywhere),
        route(2, 'udp', anywhere),
        route(3, 'tls_passthrough', { snis: ['nginx.test'] }),
        route(4, 'tls', { snis: ['gateway.test'] }),
      ],
      certificates: [{ id: id(91), cert: outer.cert, key: outer.key }],
      ca_certificates: [{ id: id(90), cert: ca.pem }],
      snis: [{ id: id(92), name: 'gateway.test', certificate: { id: id(91) } }],
    },
    {
      start: startNodeHost,
      streamListen: [
        { host: '127.0.0.1', port: 0, udp: false },
        { host: '127.0.0.1', port: 0, udp: true },
        { host: '127.0.0.1', port: 0, udp: false, tls: await generateListenerCertificate() },
      ],
    },
  );
});

afterAll(async () => {
  await node?.stop();
  nginx?.kill();
  await postgres?.stop();
  dns?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function startNginx(port: number, { cert, key }: { readonly cert: string; readonly key: string }): void {
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  );
  const config = `daemon off; pid ${join(folder, 'nginx.pid')}; error_log stderr; events {}
    http { access_log off; ${paths.join(' ')} server { listen 127.0.0.1:${port} ssl;
    ssl_certificate ${join(folder, 'cert.pem')}; ssl_certificate_key ${join(folder, 'key.pem')};
    location / { return 200 "nginx saw $ssl_server_name"; } } }`;
  writeFileSync(join(folder, 'nginx.conf'), config);
  nginx = spawn(peerExecutable('nginx'), ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [nginx.stdout, nginx.stderr]) stream?.on('data', (data) => (output += data));
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

const portOf = (listener: number): string => String(node.dataPlane.streamAddresses?.[listener]?.port);

/** What s_client says of the handshake, and what it is sent for a request. */
async function client(name: string, ...more: string[]): Promise<string> {
  const options = ['s_client', '-connect', `127.0.0.1:${portOf(2)}`, '-servername', name, '-ign_eof', ...more];
  const asking = spawn(peerExecutable('openssl'), options, { stdio: ['pipe', 'pipe', 'pipe'] });
  asking.stdin.write(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
  let text = '';
  for (const stream of [asking.stdout, asking.stderr]) stream.setEncoding('utf8').on('data', (data) => (text += data));
  await new Promise((resolve) => asking.once('close', resolve));
  return text;
}

it('carries psql to PostgreSQL, many rows and errors included', async () => {
  const { settings } = postgres;
  const words = ['-h', '127.0.0.1', '-p', portOf(0), '-U', settings().pg_user, '-d', settings().pg_database, '-At'];
  const psql = (sql: string) => run(peerExecutable('psql'), [...words, '-c', sql], { maxBuffer: 1 << 26 });
  expect((await psql("select count(*), max(length(repeat('x', n))) from generate_series(1, 1000) n")).stdout).toBe(
    '1000|1000\n',
  );
  expect((await psql("select repeat('y', 1000) from generate_series(1, 20000)")).stdout).toHaveLength(20_000 * 1001);
  await expect(psql('select no_such_column')).rejects.toThrow(/no_such_column/);
});

it('carries dig to a name server', async () => {
  const dig = (...words: string[]) => run(peerExecutable('dig'), ['@127.0.0.1', '-p', portOf(1), '+time=20', ...words]);
  expect((await dig('+short', 'name.test', 'A')).stdout).toBe('192.0.2.7\n');
  expect((await dig('missing.test', 'A')).stdout).toContain('status: NXDOMAIN');
});

it('passes TLS through to nginx, whose certificate openssl verifies', async () => {
  const text = await client('nginx.test', '-CAfile', join(folder, 'ca.pem'), '-verify_return_error');
  expect(text).toContain('Verify return code: 0 (ok)');
  expect(text).toMatch(/subject=.*nginx\.test/);
  expect(text).toContain('nginx saw nginx.test');
});

it('ends TLS with the certificate of the name, and speaks it to nginx anew', async () => {
  const text = await client('gateway.test');
  expect(text).toMatch(/subject=.*gateway\.test/);
  expect(text).toContain('nginx saw nginx.test');
});
