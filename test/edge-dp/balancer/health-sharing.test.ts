import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { HealthView } from '../../../edge-dp/balancer/health-view.ts';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { type Row, recordOrEmpty } from '../../../shared/record.ts';
import { ControlPlane } from '../control-plane.ts';
import { nodeOptions, proxyUrl, startOwnBox, statusUrl } from '../hosts.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const ACTIVE = id(1);
const PASSIVE = id(2);
const COUNTED = id(3);
const LATE = id(4);
const NAMES = ['active', 'passive', 'counted', 'late'];

describe('target health across a node', () => {
  const targets: Upstream[] = [];
  const sick = new Set<number>();
  let controlPlane: ControlPlane;
  let node: DataPlane;
  let prefix: string;

  beforeAll(async () => {
    for (let n = 0; n < 2; n++)
      targets.push(
        await startUpstream(({ line }) => {
          if (line.includes('/fail')) return 'HTTP/1.1 500 Failed\r\nContent-Length: 0\r\n\r\n';
          const code = sick.has(n) && line.includes('/health') ? '503 Sick' : '200 OK';
          return `HTTP/1.1 ${code}\r\nContent-Length: 1\r\nX-Target: ${n}\r\n\r\n${n}`;
        }),
      );
    controlPlane = await ControlPlane.create();
    await controlPlane.start();
    await publish();
    prefix = await mkdtemp(join(tmpdir(), 'holdfast health '));
    node = await startOwnBox(nodeOptions(prefix, controlPlane, { processes: 2 }));
    await controlPlane.heard('applied');
  });
  afterAll(async () => {
    await node?.stop(0);
    await controlPlane?.stop();
    for (const target of targets) await target.stop();
    await rm(prefix, { recursive: true, force: true });
  });

  /** With or without the last upstream. */
  function publish(late = false): Promise<string> {
    const active = {
      type: 'http',
      http_path: '/health',
      timeout: 30,
      concurrency: 2,
      healthy: { interval: 0.1, successes: 1, http_statuses: [200] },
      unhealthy: { interval: 0.1, http_failures: 2, tcp_failures: 1, timeouts: 1, http_statuses: [503] },
    };
    const upstreams: BundleRow[] = [
      { id: ACTIVE, name: 'active', healthchecks: { active } },
      { id: PASSIVE, name: 'passive', healthchecks: { passive: { unhealthy: { tcp_failures: 1 } } } },
      {
        id: COUNTED,
        name: 'counted',
        healthchecks: { passive: { unhealthy: { http_failures: 12, http_statuses: [500] } } },
      },
      ...(late ? [{ id: LATE, name: 'late' }] : []),
    ];
    const names = NAMES.slice(0, upstreams.length);
    return controlPlane.publish({
      upstreams: { rows: upstreams },
      targets: {
        rows: upstreams.flatMap(({ id: upstream }, u) =>
          targets.map(({ port }, t) => ({
            id: id(10 + u * 2 + t),
            upstream: { id: upstream },
            target: `127.0.0.1:${port}`,
            weight: 100,
          })),
        ),
      },
      services: {
        rows: names.map((host, n) => ({
          id: id(20 + n),
          protocol: 'http',
          host,
          port: 80,
          retries: 5,
        })),
      },
      routes: {
        rows: names.map((name, n) => ({
          id: id(30 + n),
          paths: [`/${name}`],
          protocols: ['http'],
          service: { id: id(20 + n) },
        })),
      },
    });
  }

  /** The targets that answer, over enough connections to meet every process of the node. */
  async function answering(path: string): Promise<string> {
    const seen = new Set<string>();
    const calls = Array.from({ length: 24 }, async () => {
      const response = await fetch(proxyUrl(node, path), { headers: { connection: 'close' } });
      seen.add(response.status === 200 ? (response.headers.get('x-target') ?? '?') : String(response.status));
      await response.body?.cancel();
    });
    await Promise.all(calls);
    return [...seen].toSorted().join(',');
  }

  const within = { interval: 200 };

  it('probes targets without any traffic, ejects and re-admits them in every process, and tells the control plane', async () => {
    await expect.poll(() => targets[0]?.seen.some(({ line }) => line === 'GET /health HTTP/1.1'), within).toBe(true);
    // The second process takes the config from the first.
    await expect.poll(() => answering('/active'), within).toBe('0,1');
    sick.add(0);
    const told = await controlPlane.heard('heartbeat', ({ health }) =>
      JSON.stringify(health ?? {}).includes('"health":"UNHEALTHY"'),
    );
    expect(told.health).toMatchObject({
      [ACTIVE]: { [id(10)]: { health: 'UNHEALTHY' }, [id(11)]: { health: 'HEALTHY' } },
    });
    await expect.poll(() => answering('/active'), within).toBe('1');
    const shown = await (await fetch(statusUrl(node, '/upstreams/active/health'))).json();
    expect(shown).toMatchObject({
      data: [
        { id: id(10), health: 'UNHEALTHY' },
        { id: id(11), health: 'HEALTHY' },
      ],
    });
    sick.delete(0);
    await expect.poll(() => answering('/active'), within).toBe('0,1');
  });

  it('marks targets as the control plane orders, until it orders otherwise', async () => {
    const order = { type: 'target_health', upstream: PASSIVE, target: id(13), address: null } as const;
    // Nobody signed this one: it is refused before the signed one behind it is obeyed.
    controlPlane.say(JSON.stringify({ ...order, healthy: false }));
    await controlPlane.tell({ type: 'explain', id: 'next', request: { path: '/' } });
    expect(await controlPlane.heard('explained')).toMatchObject({ id: 'next', status: 200 });
    expect(await answering('/passive')).toBe('0,1');
    await controlPlane.tell({ ...order, healthy: false });
    await expect.poll(() => answering('/passive'), within).toBe('0');
    await controlPlane.tell({ ...order, healthy: true });
    await expect.poll(() => answering('/passive'), within).toBe('0,1');
  });

  it('has every process hear that a target is well, also when the first process ended before they asked', async () => {
    /** What a process answers, for each of many connections. */
    const byConnection = async () => {
      const agents = Array.from({ length: 40 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
      const ask = (agent: Agent) =>
        new Promise<string>((resolve, reject) => {
          get(proxyUrl(node, '/passive'), { agent }, (response) =>
            response.resume().on('end', () => resolve(String(response.headers['x-target']))),
          ).on('error', reject);
        });
      // All at once, so that every process has some; then one after the other, since each process takes its targets in turn.
      await Promise.all(agents.map(ask));
      const all: string[] = [];
      for (const agent of agents) {
        const seen = new Set([await ask(agent), await ask(agent), await ask(agent)]);
        all.push([...seen].toSorted().join());
        agent.destroy();
      }
      return [...new Set(all)].toSorted();
    };
    const order = { type: 'target_health', upstream: PASSIVE, target: id(13), address: null } as const;
    await controlPlane.tell({ ...order, healthy: false });
    await expect.poll(byConnection, within).toEqual(['0']);
    // Nobody has a request meanwhile, and nobody asks how the target is.
    const from = controlPlane.messages.length;
    await controlPlane.tell({ ...order, healthy: true });
    await controlPlane.heard('heartbeat', ({ health }) => health?.[PASSIVE] !== undefined, from);
    const [first] = node.pids();
    process.kill(first ?? 0, 'SIGKILL');
    await expect.poll(() => node.pids().length === 2 && node.pids()[0] !== first, within).toBe(true);
    await expect.poll(() => byConnection().catch(String), { ...within, timeout: 10_000 }).toEqual(['0,1']);
  });

  it('marks a target that comes only after the order, as one that was just made does', async () => {
    const order = { type: 'target_health', upstream: LATE, target: id(16), address: null } as const;
    await controlPlane.tell({ ...order, healthy: true });
    await controlPlane.tell({ ...order, healthy: false });
    await controlPlane.tell({ type: 'explain', id: 'behind', request: { path: '/' } });
    await controlPlane.heard('explained', (answer) => answer.id === 'behind');
    await publish(true);
    await expect.poll(() => answering('/late'), within).toBe('1');
    await controlPlane.tell({ ...order, healthy: true });
    await expect.poll(() => answering('/late'), within).toBe('0,1');
  });

  it('counts the failures of all processes together', async () => {
    const fail = (): Promise<Response> => fetch(proxyUrl(node, '/counted/fail'), { headers: { connection: 'close' } });
    // Of two targets each gets every other request of a process: no process has so many for one of them by itself.
    await Promise.all(Array.from({ length: 26 }, fail));
    await controlPlane.heard('heartbeat', ({ health }) =>
      JSON.stringify(health?.[COUNTED] ?? {}).includes('"health":"UNHEALTHY"'),
    );
  });

  it('lets every process know what one of them found out', async () => {
    const [victim] = targets;
    if (victim === undefined) throw new Error('no target');
    await victim.stop();
    await expect.poll(() => answering('/passive'), within).toBe('1');
    const unhealthy = async () => {
      const response = await fetch(statusUrl(node, '/upstreams/passive/health'));
      return JSON.stringify(await response.json()).includes('UNHEALTHY');
    };
    await expect.poll(unhealthy, within).toBe(true);
    // Back again, but without active checks nobody looks: it stays out.
    targets[0] = await startUpstream(() => 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-Target: 0\r\n\r\n0', victim.port);
    // A process that had no request for it since is told with the next one. More rounds than one process would take alone.
    const rounds = async () => [await answering('/passive'), await answering('/passive'), await answering('/passive')];
    await expect.poll(rounds, within).toEqual(['1', '1', '1']);
  });

  it('answers the read-only upstream endpoints, by name and by id', async () => {
    const get = async (path: string) => {
      const response = await fetch(statusUrl(node, path));
      return [response.status, await response.json()];
    };
    expect(await get(`/upstreams/${ACTIVE}/targets`)).toMatchObject([200, { data: [{ id: id(10) }, { id: id(11) }] }]);
    expect(await get('/upstreams/active/targets/all')).toMatchObject([200, { next: null }]);
    expect(await get(`/upstreams/active/targets/127.0.0.1:${targets[1]?.port}`)).toMatchObject([200, { id: id(11) }]);
    expect(await get('/upstreams/active/health?balancer_health=1')).toMatchObject([
      200,
      { data: { health: 'HEALTHY' } },
    ]);
    expect(await get('/upstreams/none/health')).toEqual([404, { message: 'Not found' }]);
  });

  it('explains which headers would go upstream: those that do', async () => {
    const sent = {
      'x-version': '1',
      connection: 'x-gone',
      'x-gone': 'y',
      via: '1.0 before',
      'x-forwarded-for': '10.9.9.9',
    };
    const proxy = new URL(proxyUrl(node, '/passive/headers?y=1'));
    const said = { path: '/passive/headers?y=1', host: proxy.host, source_ip: '127.0.0.1', headers: sent };
    const explain = async (body: object) => {
      const response = await fetch(statusUrl(node, '/debug/route'), { method: 'POST', body: JSON.stringify(body) });
      return recordOrEmpty(recordOrEmpty(recordOrEmpty(await response.json()).upstream).headers);
    };
    const lower = (headers: Readonly<Row>) =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const { host, ...told } = lower(await explain({ ...said, destination_port: Number(proxy.port) }));
    expect(host).toBeNull();
    await new Promise<void>((resolve, reject) => {
      get(proxy, { headers: sent }, (response) => response.resume().on('end', resolve)).on('error', reject);
    });
    const seen = targets.flatMap((target) => target.seen).find(({ line }) => line.includes('/headers?y=1'));
    const lines = (seen?.raw ?? '')
      .split('\r\n')
      .slice(1)
      .filter((line) => line !== '');
    const got = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    // That of the connection is the host's business alone.
    const { host: _, connection: __, ...sentOn } = got;
    expect(sentOn).toEqual({ ...told, 'x-kong-request-id': expect.any(String) });
    // What is not said of the connection is not made up.
    const { source_ip: ___, ...less } = said;
    expect(lower(await explain(less))).toMatchObject({
      'x-real-ip': null,
      'x-forwarded-for': null,
      'x-forwarded-port': null,
      'x-forwarded-prefix': '/passive',
    });
  });

  it('explains where a request would go', async () => {
    const explain = async (body: unknown) => {
      const response = await fetch(statusUrl(node, '/debug/route'), { method: 'POST', body: JSON.stringify(body) });
      return [response.status, await response.json()];
    };
    expect(await explain({ path: '/active/x?y=1', host: 'a.example' })).toMatchObject([
      200,
      {
        route: { id: id(30) },
        service: { id: id(20) },
        upstream: { path: '/x', balanced: true, targets: [{}, {}] },
        plugins: [],
      },
    ]);
    expect(await explain({ path: '/none' })).toMatchObject([200, { route: null, upstream: null }]);
    expect(await explain({ path: '/active', headers: { 'x-a': 'a\r\nb: c' } })).toEqual([
      400,
      { message: 'headers: expected names and values as HTTP has them' },
    ]);
    expect(await explain({ path: 1 })).toEqual([400, { message: 'path: expected a string' }]);
  });
});

test('who was told by an earlier life of the node is told of targets that are well again, too', () => {
  const verdict = { upstream: PASSIVE, address: 'one', healthy: true };
  const view = new HealthView('second life', [verdict]);
  expect(view.news({ epoch: 'first life', since: 7 }).verdicts).toEqual([verdict]);
  expect(view.set(verdict)).toBe(false);
});
