import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSigningKey } from '../../../cp/pki/cluster-tls.ts';
import { recordOrEmpty } from '../../../shared/record.ts';
import { rawRequest } from '../../raw-http.ts';
import { hello, NODE_ID, TestLink } from '../cluster/control-plane.ts';
import { NODE_ID as OWN_ID, type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';

let plane: RunningControlPlane;

beforeAll(async () => {
  plane = await runControlPlane({
    status_listen: '127.0.0.1:0, 127.0.0.1:0 ssl',
    status_allowed_hosts: 'Probe.corp',
    status_access_log: 'logs/status.log combined',
  });
});
afterAll(() => plane?.stop());

const ask = (path: string, init?: RequestInit) => fetch(plane.status + path, init);
const metrics = async (): Promise<string> => (await ask('/metrics')).text();

async function createService(): Promise<void> {
  const { status } = await fetch(`${plane.admin}/services`, {
    method: 'POST',
    body: JSON.stringify({ host: 'h' }),
    headers: { 'content-type': 'application/json' },
  });
  expect(status).toBe(201);
}

async function linkDataPlane(): Promise<TestLink> {
  const pem = (path: string | null) => readFileSync(path ?? '', 'utf8');
  const { cluster_cert, cluster_cert_key, bundle_signing_key } = plane.settings;
  const tls = {
    cert: pem(cluster_cert),
    key: pem(cluster_cert_key),
    ca: pem(cluster_cert),
    servername: 'kong_clustering',
  };
  const link = await TestLink.open(plane.plane.cluster?.port ?? 0, tls, await loadSigningKey(bundle_signing_key ?? ''));
  link.say(hello({ version: '0.1.0', hostname: 'edge' }));
  return link;
}

/** What the manifest says that the control plane sends next. */
async function offered(link: TestLink): Promise<{ readonly serial: number; readonly config_hash: string }> {
  const [, payload = ''] = (await link.hear('manifest')).manifest.split('.');
  const { serial, config_hash } = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return { serial, config_hash };
}

it('tells of the control plane without the Admin API', async () => {
  expect(await (await ask('/status/ready')).json()).toEqual({ message: 'ready' });
  expect(await (await ask('/status')).json()).toMatchObject({ node_id: OWN_ID, database: { reachable: true } });
  expect((await ask('/status?unit=x')).status).toBe(400);
  for (const path of ['/', '/services', '/config']) expect((await ask(path)).status, path).toBe(404);
  expect((await ask('/status', { method: 'DELETE' })).status).toBe(405);
  const secure = plane.plane.status[1];
  expect(secure).toMatchObject({ tls: true });
  await expect
    .poll(() => readFileSync(`${plane.settings.prefix}/logs/status.log`, 'utf8'), { timeout: 60_000 })
    .toMatch(/"GET \/status\?unit=x HTTP\/1\.1" 400 /);
});

it('is not for pages of the web, under whatever name they know it', async () => {
  const port = Number(new URL(plane.status).port);
  const sent = async (...headers: string[]) =>
    (await rawRequest(port, ['GET /status HTTP/1.1', ...headers, 'Connection: close'], '')).status;
  expect(await sent('Host: evil.test')).toBe(403);
  expect(await sent('Host: probe.CORP')).toBe(200);
  const order = { method: 'POST', body: new URLSearchParams({ status: 'draining' }) };
  expect((await ask('/status/ready', { ...order, headers: { origin: 'https://evil.test' } })).status).toBe(403);
});

it('counts what data planes make of the config, and shows how far they are behind', async () => {
  const link = await linkDataPlane();
  const first = await offered(link);
  link.say({ type: 'applied', serial: first.serial, config_hash: first.config_hash });
  await expect.poll(metrics, { timeout: 60_000 }).toMatch(/^holdfast_config_acknowledge_seconds_count 1$/m);
  expect(await metrics()).toContain('\nholdfast_data_planes_behind 0\n');
  await expect
    .poll(metrics, { timeout: 60_000 })
    .toMatch(/^holdfast_data_planes\{state="connected",sync_status="normal"\} 1$/m);

  await createService();
  const second = await offered(link);
  const lag = second.serial - first.serial;
  link.say({ type: 'rejected', serial: second.serial, reason: 'no' });
  await expect.poll(metrics, { timeout: 60_000 }).toMatch(/^holdfast_config_rejections_total 1$/m);
  const behind = await metrics();
  expect(behind).toContain('\nholdfast_data_planes_behind 1\n');
  expect(behind).toContain(`\nholdfast_data_plane_serial_lag{node_id="${NODE_ID}",hostname="edge"} ${lag}\n`);
  for (const family of [
    /^holdfast_publish_seconds_count [1-9]/m,
    /^holdfast_database_statement_seconds_count [1-9]/m,
    /^holdfast_publish_failures_total 0$/m,
    /^holdfast_queue_length\{queue="data_plane_states"\} \d+$/m,
    /^holdfast_certificate_expires_timestamp_seconds\{setting="cluster_cert",subject="[^"]+"\} \d{10}/m,
    /^holdfast_certificate_expires_timestamp_seconds\{setting="status_ssl_cert",/m,
    /^nodejs_eventloop_lag_p99_seconds \d/m,
    /^process_cpu_seconds_total \d/m,
    /^kong_data_plane_last_seen\{/m,
  ])
    expect(behind).toMatch(family);
  // The same at the Admin API, by the same names.
  const names = (text: string) => text.match(/(?<=^# TYPE )\S+/gm);
  expect(names(await (await fetch(`${plane.admin}/metrics`)).text())).toEqual(names(behind));

  link.socket.close();
  await expect.poll(metrics, { timeout: 60_000 }).toContain('\nholdfast_data_planes_connected 0\n');
  await expect.poll(metrics, { timeout: 60_000 }).toMatch(/^holdfast_data_planes\{state="disconnected",.*\} 1$/m);
  const { data } = recordOrEmpty(await (await fetch(`${plane.admin}/clustering/data-planes`)).json());
  expect(data).toEqual([expect.objectContaining({ id: NODE_ID, state: 'disconnected' })]);
});

it('is no longer ready once it is told to drain, and then while it stops', async () => {
  expect((await ask('/status/ready', { method: 'POST', body: new URLSearchParams({ status: 'x' }) })).status).toBe(400);
  const order = { method: 'POST', body: new URLSearchParams({ status: 'draining' }) };
  expect((await ask('/status/ready', order)).status).toBe(204);
  const answer = await ask('/status/ready');
  expect([answer.status, await answer.json()]).toEqual([503, { message: 'draining' }]);
  await plane.plane.drain(0);
  expect((await ask('/status/ready')).status).toBe(503);
});
