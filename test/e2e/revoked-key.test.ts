import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadTrustedKeys } from '../../cp/pki/cluster-tls.ts';
import type { DataPlane } from '../../edge-dp/hosts/options.ts';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { nodeOptions, startOwnBox } from '../edge-dp/hosts.ts';
import { admin, until } from './processes.ts';

/** Processes of the node: a key must be gone from the memory of each. */
const PROCESSES = 2;
/** Requests on connections of their own: enough that each process takes some of them. */
const REQUESTS = 20;

let folder: string;
let upstream: Server;
let control: RunningControlPlane;
let node: DataPlane;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'revoked key '));
  upstream = createServer((_, response) => response.end('upstream'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  control = await runControlPlane();
  node = await startNode();
  const { port } = upstream.address() as AddressInfo;
  await admin(`${control.admin}/services/up`, 'PUT', { url: `http://127.0.0.1:${port}` });
  await admin(`${control.admin}/services/up/routes`, 'POST', { paths: ['/'] });
  await admin(`${control.admin}/services/up/plugins`, 'POST', { name: 'key-auth' });
  await admin(`${control.admin}/consumers/stays`, 'PUT', {});
  await addKey('stays', 'open-sesame');
  await expectStatus('open-sesame', 200);
});
afterAll(async () => {
  await node?.stop(0);
  await control?.stop();
  upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

function startNode(): Promise<DataPlane> {
  const { settings, plane } = control;
  const pem = (path: string | null) => readFileSync(path ?? '', 'utf8');
  const cert = pem(settings.cluster_cert);
  return startOwnBox(
    nodeOptions(join(folder, 'node'), null, {
      processes: PROCESSES,
      controlPlanes: [{ host: '127.0.0.1', port: plane.cluster?.port ?? 0 }],
      clusterTls: { cert, key: pem(settings.cluster_cert_key), ca: cert, serverName: 'kong_clustering' },
      trustedKeys: loadTrustedKeys(settings.bundle_trusted_keys ?? ''),
    }),
  );
}

async function addKey(consumer: string, key: string): Promise<string> {
  const { id } = await admin(`${control.admin}/consumers/${consumer}/key-auth`, 'POST', { key });
  return `${control.admin}/consumers/${consumer}/key-auth/${id}`;
}

/** Statuses of some requests with a key. */
async function statuses(key: string): Promise<ReadonlySet<number>> {
  const port = node.proxyAddresses[0]?.port ?? 0;
  const one = () =>
    new Promise<number>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/', headers: { apikey: key }, agent: false };
      get(options, (response) => response.resume().once('end', () => resolve(response.statusCode ?? 0)))
        .setTimeout(60_000, () => reject(new Error('no answer of the data plane in 60 s')))
        .once('error', reject);
    });
  return new Set(await Promise.all(Array.from({ length: REQUESTS }, one)));
}

/** Waits until every process answers so. */
async function expectStatus(key: string, status: number): Promise<void> {
  const answered = async () => [...(await statuses(key))].every((one) => one === status);
  await until(answered, `'${key}' to be answered ${status} by every process of the data plane`, 60_000);
}

it.each<[string, (consumer: string, credential: string) => Promise<unknown>]>([
  ['its key is deleted', (_, credential) => admin(credential, 'DELETE')],
  ['its key is another', (_, credential) => admin(credential, 'PATCH', { key: 'another' })],
  ['the consumer is deleted', (consumer) => admin(`${control.admin}/consumers/${consumer}`, 'DELETE')],
])('a caller that data planes know well is answered 401 once %s at the Admin API', async (what, revoke) => {
  const consumer = `goes-${what.replaceAll(' ', '-')}`;
  const key = `key of ${consumer}`;
  await admin(`${control.admin}/consumers/${consumer}`, 'PUT', {});
  const credential = await addKey(consumer, key);
  await expectStatus(key, 200);
  await revoke(consumer, credential);
  await expectStatus(key, 401);
  // Nobody else is shut out.
  expect(await statuses('open-sesame')).toEqual(new Set([200]));
});

it('stays 401 on a data plane that starts again, whose control plane is gone', async () => {
  const credential = await addKey('stays', 'short-lived');
  await expectStatus('short-lived', 200);
  await admin(credential, 'DELETE');
  await expectStatus('short-lived', 401);
  await node.stop(0);
  await control.plane.stop();
  node = await startNode();
  await expectStatus('open-sesame', 200);
  expect(await statuses('short-lived')).toEqual(new Set([401]));
});
