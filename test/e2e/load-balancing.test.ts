import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePorts } from '../free-port.ts';

import {
  admin,
  type ClusterFolder,
  createCluster,
  type RunningControlPlane,
  type RunningDataPlane,
  until,
} from './processes.ts';

interface Target {
  readonly port: number;
  server: Server;
  served: number;
  sick: boolean;
}

const targets: Target[] = [];
let cluster: ClusterFolder;
let control: RunningControlPlane;
let plane: RunningDataPlane;

async function listen(target: Omit<Target, 'server' | 'port'>, port = 0): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/probe') {
      response.writeHead(target.sick ? 500 : 200).end();
      return;
    }
    target.served += 1;
    setTimeout(() => response.end(String((server.address() as AddressInfo | null)?.port)), 5);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

function kill({ server }: Target): void {
  server.close();
  server.closeAllConnections();
}

async function call(): Promise<{ status: number; text: string }> {
  const response = await fetch(`${plane.proxy}/balanced`);
  return { status: response.status, text: await response.text() };
}

beforeAll(async () => {
  for (let n = 0; n < 3; n++) {
    const state = { served: 0, sick: false };
    const server = await listen(state, (await freePorts(1))[0]);
    targets.push(Object.assign(state, { server, port: (server.address() as AddressInfo).port }));
  }
  cluster = await createCluster();
  [control, plane] = await Promise.all([cluster.controlPlane(), cluster.dataPlane('plane')]);
  const checks = {
    active: {
      // None of the targets is slow: who is ill says so or is not there.
      timeout: 60,
      http_path: '/probe',
      healthy: { interval: 0.2, successes: 1 },
      unhealthy: { interval: 0.2, http_failures: 1, tcp_failures: 1, timeouts: 1 },
    },
    passive: { unhealthy: { tcp_failures: 1, timeouts: 1 } },
  };
  await admin(`${control.admin}/upstreams`, 'POST', { name: 'three', healthchecks: checks });
  for (const { port } of targets)
    await admin(`${control.admin}/upstreams/three/targets`, 'POST', { target: `127.0.0.1:${port}` });
  await admin(`${control.admin}/services`, 'POST', { name: 'three', host: 'three' });
  await admin(`${control.admin}/services/three/routes`, 'POST', { name: 'balanced', paths: ['/balanced'] });
  await until(async () => (await call()).status === 200, 'the first config');
});

afterAll(async () => {
  for (const target of targets) kill(target);
  await Promise.all([control?.end('SIGKILL'), plane?.end('SIGTERM')]);
  cluster?.remove();
});

/** Health by target, at the control plane and on the data plane. */
async function healths(base: string): Promise<Record<string, unknown>> {
  const { data } = await admin(`${base}/upstreams/three/health`);
  const rows = Array.isArray(data) ? data : [];
  return Object.fromEntries(rows.map(({ target, health }) => [String(target).split(':')[1], health]));
}

const healthy = (...ports: readonly number[]): Record<string, string> =>
  Object.fromEntries(targets.map(({ port }) => [port, ports.includes(port) ? 'HEALTHY' : 'UNHEALTHY']));

const bothSay = async (expected: Record<string, string>): Promise<boolean> =>
  (await Promise.all([healths(control.admin), healths(plane.status)])).every(
    (seen) => JSON.stringify(Object.entries(seen).toSorted()) === JSON.stringify(Object.entries(expected).toSorted()),
  );

it('fails no request when one of three targets is killed under load, ejects it, and takes it back', async () => {
  const [victim, second, third] = targets;
  if (victim === undefined || second === undefined || third === undefined) throw new Error('no targets');
  const all = healthy(...targets.map(({ port }) => port));
  await until(() => bothSay(all), 'all three to be healthy');
  const answers = new Map<string, number>();
  let loading = true;
  let answered = 0;
  const concurrency = 12;
  const load = Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (loading) {
        const { status, text } = await call().catch((error) => ({ status: 0, text: String(error.cause ?? error) }));
        const what = status === 200 ? '200' : `${status} ${text}`;
        answers.set(what, (answers.get(what) ?? 0) + 1);
        answered += 1;
      }
    }),
  );
  await until(() => answered > 300, 'some load');
  const before = targets.reduce((sum, { served }) => sum + served, 0) - answered;
  kill(victim);
  const atKill = answered;
  await until(() => answered > atKill + 300, 'load on the two others');
  await until(() => bothSay(healthy(second.port, third.port)), 'the killed target to be unhealthy');
  expect((await call()).text).not.toBe(String(victim.port));

  victim.server = await listen(victim, victim.port);
  await until(() => bothSay(all), 'the target to be back');
  const servedBefore = victim.served;
  await until(() => victim.served > servedBefore + 50, 'the target to be served again');
  loading = false;
  await load;
  expect([...answers.keys()]).toEqual(['200']);
  // Whatever was sent twice was in flight to the victim when it died.
  const twice = targets.reduce((sum, { served }) => sum + served, 0) - answered - before - 1;
  expect(twice).toBeLessThanOrEqual(2 * concurrency);
});

it('ejects a target whose probes fail, whatever its answers, until they succeed', async () => {
  const [first, second, third] = targets;
  if (first === undefined || second === undefined || third === undefined) throw new Error('no targets');
  second.sick = true;
  await until(() => bothSay(healthy(first.port, third.port)), 'the sick target to be unhealthy');
  const served = second.served;
  for (let n = 0; n < 30; n++) expect((await call()).status).toBe(200);
  expect(second.served).toBe(served);
  second.sick = false;
  await until(() => bothSay(healthy(first.port, second.port, third.port)), 'the target to be well');
});

it('marks a target as the Admin API says, until probes say otherwise', async () => {
  const [first] = targets;
  if (first === undefined) throw new Error('no targets');
  const { configuration_hash: before } = await admin(`${plane.status}/status`);
  // Without probes of targets that are out, a mark stays.
  await admin(`${control.admin}/upstreams/three`, 'PATCH', {
    healthchecks: { active: { healthy: { interval: 0 }, unhealthy: { interval: 0 } } },
  });
  await until(async () => (await admin(`${plane.status}/status`)).configuration_hash !== before, 'the change');
  await admin(`${control.admin}/upstreams/three/targets/127.0.0.1:${first.port}/unhealthy`, 'PUT');
  await until(
    async () => (await healths(plane.status))[String(first.port)] === 'UNHEALTHY',
    'the mark at the data plane',
  );
  await until(
    async () => (await healths(control.admin))[String(first.port)] === 'UNHEALTHY',
    'the mark at the control plane',
  );
  const served = first.served;
  for (let n = 0; n < 30; n++) expect((await call()).status).toBe(200);
  expect(first.served).toBe(served);
  await admin(`${control.admin}/upstreams/three/targets/127.0.0.1:${first.port}/healthy`, 'PUT');
  await until(async () => (await call()).text === String(first.port), 'the target to be served again');
});

it('explains a request at the control plane as the data plane does', async () => {
  const request = { path: '/balanced/x?y=1', method: 'GET', host: 'a.example' };
  const { data_plane: asked, ...explained } = await admin(`${control.admin}/debug/route`, 'POST', request);
  expect(explained).toEqual(await admin(`${plane.status}/debug/route`, 'POST', request));
  expect(explained).toMatchObject({ route: { name: 'balanced' }, upstream: { balanced: true, path: '/x' } });
  expect(asked).toBe((await admin(`${plane.status}/status`)).node_id);
  await expect(admin(`${control.admin}/debug/route`, 'POST', { path: 1 })).rejects.toThrow('path: expected a string');
});
