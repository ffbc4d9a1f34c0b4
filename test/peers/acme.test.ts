import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWorkerdHost } from '../../edge-dp/hosts/workerd/host.ts';
import { mustBeRecord } from '../../shared/record.ts';
import { authority } from '../cp/pki/authority.ts';
import { type DnsServer, startDnsServer } from '../edge-dp/balancer/dns-server.ts';
import { type CaseGateway, startCaseGateway } from '../edge-dp/plugins/case-runner/gateway.ts';
import { until } from '../until.ts';
import { peerExecutable } from './peer.ts';

let folder: string;
let gateway: CaseGateway;
let dns: DnsServer;
let pebble: ChildProcess;
let output = '';
let acmePort: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-pebble-'));
  const ca = await authority('pebble');
  const { cert, key } = await ca.leaf({ name: 'localhost' });
  const at = (name: string): string => join(folder, name);
  for (const [name, text] of Object.entries({ 'ca.pem': ca.pem, 'cert.pem': cert, 'key.pem': key })) {
    writeFileSync(at(name), text);
  }
  gateway = await startCaseGateway(startWorkerdHost, {
    tls: false,
    environment: { HOLDFAST_LUA_SSL_TRUSTED_CERTIFICATE: at('ca.pem') },
  });
  dns = await startDnsServer();
  for (const name of ['a.test', 'b.test']) dns.records.set(name, [{ type: 'A', address: '127.0.0.1', ttl: 60 }]);
  acmePort = await freePort();
  writeFileSync(
    at('pebble.json'),
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${acmePort}`,
        managementListenAddress: `127.0.0.1:${await freePort()}`,
        certificate: at('cert.pem'),
        privateKey: at('key.pem'),
        httpPort: gateway.ports.plain,
        tlsPort: 1,
        externalAccountBindingRequired: true,
        externalAccountMACKeys: { 'kid-1': 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' },
      },
    }),
  );
  pebble = spawn(peerExecutable('pebble'), ['-config', at('pebble.json'), '-dnsserver', dns.address], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // It refuses a twentieth of good nonces unless told otherwise, and takes its time before it looks.
    env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '20' },
  });
  for (const stream of [pebble.stdout, pebble.stderr]) stream?.on('data', (data) => (output += data));
  await until(() => serves(ca.pem), 'pebble to serve', 60_000).catch((error) => {
    throw new Error(`${error.message}; it said: ${output}`);
  });
});
afterAll(async () => {
  await gateway?.stop();
  dns?.stop();
  if (pebble?.exitCode === null) {
    pebble.kill();
    await once(pebble, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function serves(ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host: 'localhost', port: acmePort, path: '/dir', ca }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

async function call(method: string, path: string, body?: object) {
  const answer = await fetch(`${gateway.admin}${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return { status: answer.status, json: mustBeRecord(await answer.json(), `${method} ${path}`) };
}

it('orders from pebble, keeps and orders anew, through challenges that a data plane answers', async () => {
  const made = await call('POST', '/plugins', {
    name: 'acme',
    config: {
      account_email: 'ops@example.test',
      api_uri: `https://localhost:${acmePort}/dir`,
      tos_accepted: true,
      storage: 'kong',
      domains: ['a.test', 'b.test'],
      eab_kid: 'kid-1',
      eab_hmac_key: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W',
      rsa_key_size: 2048,
    },
  });
  expect(made.status, JSON.stringify(made.json)).toBe(201);
  await gateway.applied();
  const serials = new Set<string>();
  for (const host of ['a.test', 'b.test', 'a.test']) {
    const answer = await call('POST', '/acme', { host });
    expect(answer, output.slice(-2000)).toMatchObject({ status: 201 });
    const { json } = await call('GET', `/certificates/${host}`);
    const certificate = new X509Certificate(String(json.cert));
    expect(certificate.subjectAltName).toBe(`DNS:${host}`);
    serials.add(certificate.serialNumber);
  }
  expect(serials.size).toBe(3);
  expect((await call('GET', '/acme/certificates')).json.data).toMatchObject([{ host: 'a.test' }, { host: 'b.test' }]);
});
