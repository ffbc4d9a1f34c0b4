import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { generateClusterCertificate } from '../../cp/pki/certificate.ts';
import { loadSigningKey, loadTrustedKeys } from '../../cp/pki/cluster-tls.ts';
import { generateSigningKey, trustedKeysFile } from '../../shared/bundle/signing.ts';
import { authority } from '../cp/pki/authority.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { type HoldfastProcess, holdfast, runHoldfast, until } from './processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'reload '));
const [adminPort = 0, uiPort = 0, proxyPort = 0, statusPort = 0, clusterPort = 0] = await freePorts(5);
const ca = await authority('listeners');
let prefix: string;
let settings: Record<string, string>;
let gateway: HoldfastProcess;

/** Puts a new pair in place of the one of a listener. */
async function renew(listener: string, name: string): Promise<void> {
  const { cert, key } = await ca.leaf({ name });
  writeFileSync(join(folder, `${listener}.crt`), cert);
  writeFileSync(join(folder, `${listener}.key`), key);
}

const LISTENERS = ['admin_ssl_cert', 'admin_gui_ssl_cert', 'ssl_cert', 'status_ssl_cert'] as const;

beforeAll(async () => {
  for (const listener of LISTENERS) await renew(listener, `first.${listener}`);
  prefix = await freshPrefix('migrated');
  settings = {
    prefix,
    admin_listen: `127.0.0.1:${adminPort} ssl`,
    admin_gui_listen: `127.0.0.1:${uiPort} ssl`,
    proxy_listen: `127.0.0.1:${proxyPort} ssl`,
    status_listen: `127.0.0.1:${statusPort} ssl`,
    cluster_listen: `127.0.0.1:${clusterPort}`,
    cluster_telemetry_listen: 'off',
    nginx_worker_processes: '1',
    ...Object.fromEntries(
      LISTENERS.flatMap((name) => [
        [name, join(folder, `${name}.crt`)],
        [`${name}_key`, join(folder, `${name}.key`)],
      ]),
    ),
  };
  gateway = await holdfast(['start'], settings, folder);
});

afterAll(async () => {
  await gateway?.end('SIGKILL');
  for (const path of [folder, prefix]) rmSync(path, { recursive: true, force: true });
});

/** Milliseconds a handshake or an answer may take. */
const PATIENCE = 60_000;

function open(port: number, patience = PATIENCE): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, timeout: patience }, () => {
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.once('timeout', () => socket.destroy(new Error(`no handshake at port ${port}`)));
    socket.once('error', reject);
  });
}

/** The names in the certificates that new connections are shown, in the order of `LISTENERS`. */
async function shown(): Promise<unknown[]> {
  const names: unknown[] = [];
  for (const port of [adminPort, uiPort, proxyPort, statusPort]) {
    const socket = await open(port);
    names.push(socket.getPeerCertificate().subject.CN);
    socket.destroy();
  }
  return names;
}

/** One request over a connection that is open already. */
async function ask(socket: TLSSocket, request: string, body = '', patience = PATIENCE): Promise<string> {
  const length = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return await answerTo(socket, `${request} HTTP/1.1\r\nHost: localhost\r\n${length}\r\n${body}`, patience);
}

/** What comes back for bytes. */
async function answerTo(socket: TLSSocket, bytes: string, patience = PATIENCE): Promise<string> {
  if (socket.destroyed) throw new Error('the connection is closed');
  const answer = new Promise<string>((resolve, reject) => {
    socket.setTimeout(patience, () => reject(new Error(`no answer to ${bytes}`)));
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    socket.once('close', () => reject(new Error(`closed without an answer to ${bytes}`)));
  });
  socket.write(bytes);
  return await answer;
}

it('takes every certificate and key anew, and keeps the connections that are open', async () => {
  expect(await shown()).toEqual(LISTENERS.map((name) => `first.${name}`));
  const admin = await open(adminPort);
  // In the middle of a request: an idle connection is closed after some seconds, which a reload may take.
  admin.write(`POST /services HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`);
  const service = '{"name":"s","url":"http://127.0.0.1:9"}';
  admin.write(`Content-Length: ${service.length}\r\n\r\n${service.slice(0, 10)}`);
  const cluster = await generateClusterCertificate();
  const link = await open(clusterPort);
  expect(link.getPeerX509Certificate()?.toString()).not.toBe(cluster.cert);
  link.destroy();

  for (const listener of LISTENERS) await renew(listener, `second.${listener}`);
  writeFileSync(join(prefix, 'cluster.crt'), cluster.cert);
  writeFileSync(join(prefix, 'cluster.key'), cluster.key);
  const old = await loadSigningKey(join(prefix, 'bundle-signing.key'));
  const successor = await generateSigningKey(old.cluster);
  writeFileSync(join(prefix, 'bundle-signing.key'), successor.privateFile);
  const { keys } = loadTrustedKeys(join(prefix, 'bundle-keys.json'));
  writeFileSync(
    join(prefix, 'bundle-keys.json'),
    trustedKeysFile({ cluster: old.cluster, keys: [...keys, successor.key.publicKey] }),
  );
  expect((await runHoldfast(['reload'], settings, folder)).code).toBe(0);

  expect(await shown()).toEqual(LISTENERS.map((name) => `second.${name}`));
  const again = await open(clusterPort);
  expect(again.getPeerX509Certificate()?.toString().trim()).toBe(cluster.cert.trim());
  again.destroy();

  // A change made over the old connection reaches the data plane: over the new pair, signed with the new key.
  expect(await answerTo(admin, service.slice(10))).toContain('201 Created');
  expect(await ask(admin, 'POST /services/s/routes', '{"name":"r","paths":["/r"]}')).toContain('201 Created');
  admin.destroy();
  await until(async () => (await askProxy('GET /r')).startsWith('HTTP/1.1 502'), 'the route at the data plane');
});

/** One request over a connection of its own; empty when the connection came to nothing, as some do while processes change. */
async function askProxy(request: string, patience = PATIENCE): Promise<string> {
  try {
    const proxy = await open(proxyPort, patience);
    const answer = await ask(proxy, request, '', patience);
    proxy.destroy();
    return answer;
  } catch {
    return '';
  }
}

it('leaves new connections to the new process while the old one finishes an answer', async () => {
  const answers: ServerResponse[] = [];
  const upstream = createServer((_, response) => {
    answers.push(response);
    response.write('first');
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const { port } = upstream.address() as AddressInfo;
  const admin = await open(adminPort);
  const service = `{"name":"slow","url":"http://127.0.0.1:${port}"}`;
  expect(await ask(admin, 'POST /services', service)).toContain('201 Created');
  expect(await ask(admin, 'POST /services/slow/routes', '{"name":"slow","paths":["/slow"]}')).toContain('201 Created');
  admin.destroy();
  await until(async () => (await askProxy('GET /slow')).startsWith('HTTP/1.1 200'), 'the route at the data plane');

  const download = await open(proxyPort);
  expect(await ask(download, 'GET /slow')).toContain('200 OK');
  const idle = await open(proxyPort);
  expect(await ask(idle, 'GET /nowhere')).toContain('404 Not Found');
  const draining = once(idle, 'close');
  const reloading = runHoldfast(['reload'], settings, folder);
  await draining;
  // Half of them would be the old process's, were it still accepting.
  await until(async () => {
    for (let n = 0; n < 12; n++) if ((await askProxy('GET /nowhere', 1000)) === '') return false;
    return true;
  }, '12 new connections in a row that are answered');
  expect(download.closed, 'the old process still has its answer to finish').toBe(false);
  for (const answer of answers) answer.end('last');
  expect((await reloading).code).toBe(0);
  upstream.close();
});

it('keeps what it has when a file is bad, and names the setting', async () => {
  const sound = readFileSync(join(folder, 'admin_ssl_cert.crt'));
  copyFileSync(join(folder, 'ssl_cert.crt'), join(folder, 'admin_ssl_cert.crt'));
  const { code, output } = await runHoldfast(['reload'], settings, folder);
  expect(code).toBe(1);
  for (const told of [output, gateway.output()]) {
    expect(told).toContain('admin_ssl_cert_key is not the key of admin_ssl_cert');
  }
  expect(await shown()).toEqual(LISTENERS.map((name) => `second.${name}`));
  writeFileSync(join(folder, 'admin_ssl_cert.crt'), sound);
});

it('says that it does not read another file than it was started with', async () => {
  const other = join(folder, 'other.conf');
  writeFileSync(other, 'log_level = debug\n');
  const { code, output } = await runHoldfast(['reload', '--conf', other], settings, folder);
  expect(output).toContain(`was started without a configuration file; to have it read ${other}, restart it`);
  expect(code).toBe(1);
});

it('tells of certificates that expire soon: in the log, and in `health`', async () => {
  await expect
    .poll(() => gateway.output())
    .toMatch(/warn\] holdfast: ssl_cert: certificate 'CN=second.ssl_cert' expires in less than a day/);
  const { code, output } = await runHoldfast(['health'], settings, folder);
  expect(output).toContain("warning: admin_ssl_cert: certificate 'CN=second.admin_ssl_cert' expires in");
  expect(code).toBe(0);
});
