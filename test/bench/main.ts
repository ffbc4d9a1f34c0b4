/**
 * `npm run bench [-- --json] [-- --seconds N --rounds N --only NAME --host workerd|node]`: real workerd, or Node, behind `holdfast start`, measured
 * against a bare pass-through Worker on the same workerd, or a bare proxy on the same Node and nginx, in the same run. Throughput and
 * processor time are told as ratios to those; rounds alternate between all, and medians are kept, because machines are noisy. The Admin API
 * (`--only admin`) is measured against bare HTTP, JSON and one statement on the same database. `--only sustained` loads gateway and bare
 * proxy for two minutes each (`--sustained-seconds N`) and tells the longest gap and what happened to the memory. `--only` takes a part
 * of a scenario's name, or a group: traffic, plugins, limits, logs, changes, nodes, sustained, memory, propagation, admin. Without it all of
 * them run, but for the last, which no host has a part in, on workerd alone. Only by name: `--only chaos` measures nothing: for ten minutes
 * (`--chaos-seconds N`) it kills everything at random, and tells what it cost; `--only fleet` measures a control plane with the links of
 * many data planes (`--links N,N`), `--only consumers` all hosts with many consumers (`--consumers N,N`), `--only start` starts of a data plane on Node from its cache of
 * 10,000 routes (`--rounds N`).
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { chaos } from '../e2e/chaos.ts';
import { admin, createCluster, type RunningDataPlane, until } from '../e2e/processes.ts';
import { freePorts } from '../free-port.ts';
import { ADMIN_SCENARIOS, measureAdmin } from './admin.ts';
import { startBaseline, startNodeBaseline } from './baseline.ts';
import { CHANGE_SCENARIOS, measureChanges } from './changes.ts';
import { measureColdStart } from './cold-start.ts';
import { type Compared, compare, type Measured } from './compare.ts';
import { type ConsumerFigures, measureConsumers } from './consumers.ts';
import { machine, pin } from './cores.ts';
import { type FleetFigures, measureFleet } from './fleet.ts';
import { LIMIT_SCENARIOS, limitScenarios } from './limits.ts';
import { LOG_SCENARIOS, logScenarios } from './logs.ts';
import { MEMORY_SCENARIOS, type Memory, measureMemory } from './memory.ts';
import { startNginx } from './nginx.ts';
import { measureNodes, NODE_SCENARIOS } from './nodes.ts';
import { PLUGIN_SCENARIOS, type PluginScenario, pluginScenarios } from './plugins.ts';
import { listening, median, say } from './processes.ts';
import type { Rival } from './rival.ts';
import { measureSustained, type Sustained } from './sustained.ts';
import { consumersTable, fleetTable, tables } from './tables.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '50' },
    only: { type: 'string' },
    host: { type: 'string', default: 'workerd' },
    'sustained-seconds': { type: 'string', default: '120' },
    'chaos-seconds': { type: 'string', default: '600' },
    links: { type: 'string', default: '1000,5000' },
    consumers: { type: 'string', default: '100000,1000000' },
  },
});

const TRAFFIC = [
  'one route',
  'key-auth',
  'three plugins',
  '3 targets',
  'preserve_host',
  'TLS',
  'HTTP/2',
  'gRPC',
  '10,000 routes',
];
/** Scenarios by the group they are in. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  traffic: TRAFFIC,
  sustained: ['sustained'],
  memory: MEMORY_SCENARIOS,
  propagation: ['propagation'],
  plugins: PLUGIN_SCENARIOS,
  limits: LIMIT_SCENARIOS,
  logs: LOG_SCENARIOS,
  changes: CHANGE_SCENARIOS,
  nodes: NODE_SCENARIOS,
  admin: ADMIN_SCENARIOS,
};
/** Scenarios with config of their own. */
const PREPARED = [
  [PLUGIN_SCENARIOS, pluginScenarios],
  [LIMIT_SCENARIOS, limitScenarios],
  [LOG_SCENARIOS, logScenarios],
] as const;
const ROUTES = 10_000;
const KEY = 'bench-key';

const onNode = values.host === 'node';
const chosen = new Set(
  Object.entries(GROUPS).flatMap(([group, scenarios]) => {
    const { only } = values;
    if (only === undefined) return onNode && group === 'admin' ? [] : scenarios;
    return group === only ? scenarios : scenarios.filter((name) => !(only in GROUPS) && name.includes(only));
  }),
);
const wanted = (name: string): boolean => chosen.has(name);
const howLong = {
  connections: Number(values.connections),
  seconds: Number(values.seconds),
  rounds: Number(values.rounds),
};

/** Milliseconds from the Admin API's answer to the first request served by the new config; several times. */
async function propagation(adminUrl: string, plane: RunningDataPlane, times: number): Promise<number[]> {
  const results: number[] = [];
  for (let i = 0; i < times; i++) {
    const path = `/changed-${i}`;
    await admin(`${adminUrl}/routes/first`, 'PATCH', { paths: ['/first', path] });
    const answered = performance.now();
    await until(async () => (await fetch(`${plane.proxy}${path}`)).status === 200, 'the change', 30_000);
    results.push(performance.now() - answered);
  }
  return results;
}

async function addRoutes(adminUrl: string, count: number): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let i = next++; i < count; i = next++) {
        await admin(`${adminUrl}/services/bench/routes`, 'POST', {
          name: `r${i}`,
          paths: [`/path-${i}`],
          strip_path: false,
        });
      }
    }),
  );
}

const measured: Measured[] = [];
const sustained: Sustained[] = [];
const memory: Memory[] = [];
const delays: Record<string, number> = {};

/** Waits until the route is there, which may take until all that it needs is. */
async function ready({ name, path, headers, probe }: PluginScenario, plane: RunningDataPlane): Promise<void> {
  const [field, value = ''] = (probe ?? headers[0])?.split(': ') ?? [];
  const given = field === undefined ? {} : { headers: { [field]: value } };
  // A kept connection may have been closed while another scenario was measured.
  const status = () =>
    fetch(`${plane.proxy}${path}`, given).then(
      (response) => response.status,
      () => 0,
    );
  const expected = probe === undefined ? [200, 401] : [200];
  await until(async () => expected.includes(await status()), `the route of ${name}`);
}

/** What the gateway is measured against: on Node also nginx, if it is there. */
async function startRivals(upstream: readonly number[], pair: { cert: string; key: string }): Promise<Rival[]> {
  if (!onNode) return [await startBaseline(upstream[0] ?? 0)];
  const bare = await startNodeBaseline(upstream, pair);
  const nginx = await startNginx(upstream, pair);
  if (nginx === null) say('nginx is left out: it is not installed (apt-get install nginx-light)');
  return nginx === null ? [bare] : [bare, nginx];
}

async function measureTraffic(): Promise<void> {
  const upstreams = await Promise.all([1, 2, 3].map(() => listening('upstream.ts', [], 1)));
  const targets = upstreams.map(({ port }) => port);
  const cluster = await createCluster();
  const pair = { cert: join(cluster.path, 'cluster.crt'), key: join(cluster.path, 'cluster.key') };
  const grpcPort = upstreams[0]?.ports[1] ?? 0;
  const rivals = await startRivals([targets[0] ?? 0, grpcPort], pair);
  for (const { child } of rivals) pin(child.pid, 0);
  const control = await cluster.controlPlane();
  const [plain = 0, tls = 0, http2 = 0] = await freePorts(3);
  const listeners = [`127.0.0.1:${plain}`, `127.0.0.1:${tls} ssl`, ...(onNode ? [`127.0.0.1:${http2} http2`] : [])];
  const plane = await cluster.dataPlane('bench', {
    // Times each phase of each plugin, on all routes.
    ...([...chosen].some((name) => name.includes('opentelemetry')) && { tracing_instrumentations: 'all' }),
    data_plane_host: values.host,
    proxy_listen: listeners.join(', '),
    ssl_cert: pair.cert,
    ssl_cert_key: pair.key,
  });
  const proxy = `http://127.0.0.1:${plain}`;
  const ours: Rival = {
    name: 'ours',
    child: plane.child,
    ports: { plain, tls, http2, grpc: http2 },
    stop: () => undefined,
  };
  const served = { ...plane, proxy };
  pin(control.child.pid, 1);
  pin(plane.child.pid, 0);

  const url = control.admin;
  const serves = (path: string, headers: Record<string, string> = {}) =>
    until(async () => (await fetch(`${proxy}${path}`, { headers })).status === 200, `${path} to be served`, 60_000);
  const measure = async (scenario: Compared): Promise<void> => {
    measured.push(await compare(scenario, ours, rivals, howLong));
  };
  try {
    await admin(`${url}/services`, 'POST', { name: 'bench', url: `http://127.0.0.1:${targets[0]}` });
    await admin(`${url}/services/bench/routes`, 'POST', { name: 'first', paths: ['/first'] });
    await serves('/first');
    if (wanted('one route')) await measure({ scenario: 'one route', path: '/first' });
    if (wanted('sustained')) {
      const gateways = [...rivals.slice(0, 1), ours].map(({ name, child, ports }) => ({
        gateway: name === 'ours' ? 'one route' : 'pass-through',
        pid: child.pid,
        port: ports.plain ?? 0,
      }));
      const seconds = Number(values['sustained-seconds']);
      sustained.push(...(await measureSustained(gateways, '/first', { connections: howLong.connections, seconds })));
    }
    if (MEMORY_SCENARIOS.some(wanted)) {
      const { id } = await admin(`${url}/services/bench/routes`, 'POST', { paths: ['/limited'] });
      const config = { minute: 10, policy: 'local', limit_by: 'header', header_name: 'X-Client' };
      await admin(`${url}/routes/${id}/plugins`, 'POST', { name: 'rate-limiting', config });
      await serves('/limited');
      memory.push(...(await measureMemory(ours, '/first', '/limited', wanted)));
    }
    if (wanted('propagation')) delays['change to first request, 1 route'] = median(await propagation(url, served, 11));

    if (wanted('key-auth') || wanted('three plugins')) {
      await admin(`${url}/consumers`, 'POST', { username: 'bench' });
      await admin(`${url}/consumers/bench/key-auth`, 'POST', { key: KEY });
      const chain = [
        { name: 'key-auth' },
        { name: 'rate-limiting', config: { minute: 100_000_000, policy: 'local' } },
        { name: 'correlation-id' },
      ];
      for (const [scenario, plugins] of [['key-auth', chain.slice(0, 1)] as const, ['three plugins', chain] as const]) {
        if (!wanted(scenario)) continue;
        const path = `/${scenario.replace(' ', '-')}`;
        const { id } = await admin(`${url}/services/bench/routes`, 'POST', { paths: [path] });
        for (const plugin of plugins) await admin(`${url}/routes/${id}/plugins`, 'POST', plugin);
        await serves(path, { apikey: KEY });
        await measure({ scenario, path, headers: [`apikey: ${KEY}`] });
      }
    }

    if (wanted('3 targets')) {
      await admin(`${url}/upstreams`, 'POST', { name: 'three' });
      for (const port of targets)
        await admin(`${url}/upstreams/three/targets`, 'POST', { target: `127.0.0.1:${port}` });
      await admin(`${url}/services`, 'POST', { name: 'balanced', url: 'http://three' });
      await admin(`${url}/services/balanced/routes`, 'POST', { paths: ['/balanced'] });
      await serves('/balanced');
      await measure({ scenario: '3 targets', path: '/balanced' });
    }

    for (const [names, prepare] of PREPARED) {
      if (!names.some(wanted)) continue;
      const { scenarios, stop } = await prepare(url);
      try {
        for (const scenario of scenarios.filter(({ name }) => wanted(name))) {
          await ready(scenario, served);
          await measure({ ...scenario, scenario: scenario.name });
        }
      } finally {
        stop();
      }
    }

    // What workerd's own fetch cannot say goes through the egress process, which shares the gateway's core here.
    if (wanted('preserve_host')) {
      await admin(`${url}/services/bench/routes`, 'POST', { paths: ['/host'], preserve_host: true });
      await serves('/host');
      await measure({ scenario: 'preserve_host', path: '/host' });
    }
    if (wanted('TLS')) await measure({ scenario: 'TLS', path: '/first', way: 'tls' });
    if (wanted('HTTP/2') && onNode) await measure({ scenario: 'HTTP/2', path: '/first', way: 'http2' });

    if (wanted('gRPC') && onNode) {
      await admin(`${url}/services`, 'POST', { name: 'calls', url: `grpc://127.0.0.1:${grpcPort}` });
      const paths = ['/bench.Echo'];
      await admin(`${url}/services/calls/routes`, 'POST', { paths, protocols: ['grpc'], strip_path: false });
      const asked = (path: string) => fetch(`${proxy}${path}`).then(({ status }) => status !== 404);
      await until(() => asked(`${paths[0]}/Unary`), 'the route of gRPC');
      await measure({ scenario: 'gRPC', path: `${paths[0]}/Unary`, way: 'grpc' });
    }
    if (CHANGE_SCENARIOS.some(wanted)) measured.push(...(await measureChanges(url, ours, '/first', howLong)));
    if (NODE_SCENARIOS.some(wanted))
      measured.push(...(await measureNodes({ cluster, adminUrl: url }, '/first', { ...howLong, host: values.host })));

    if (wanted('10,000 routes') || wanted('propagation')) {
      say(`  adding ${ROUTES} routes`);
      await addRoutes(url, ROUTES);
      await serves(`/path-${ROUTES - 1}`);
    }
    if (wanted('10,000 routes')) await measure({ scenario: '10,000 routes', path: `/path-${ROUTES / 2}` });
    if (wanted('propagation'))
      delays['change to first request, 10,000 routes'] = median(await propagation(url, served, 11));
  } finally {
    await Promise.all([control.end('SIGTERM'), plane.end('SIGTERM')]);
    for (const rival of rivals) rival.stop();
    for (const { child } of upstreams) child.kill('SIGKILL');
    cluster.remove();
  }
}

/** Run only when they are asked for. */
const APART: readonly unknown[] = ['chaos', 'fleet', 'consumers', 'start'];
const traffic = [...chosen].some((name) => !GROUPS.admin?.includes(name));
if (values.only === 'chaos') {
  const outcome = await chaos(Number(values['chaos-seconds']), say);
  process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
  process.exitCode = outcome.violations.length > 0 || outcome.peace > 10_000 ? 1 : 0;
} else if (values.only === 'fleet') {
  const figures: FleetFigures[] = [];
  for (const links of values.links.split(',')) figures.push(await measureFleet(Number(links), say));
  process.stdout.write(
    values.json ? `${JSON.stringify({ machine: machine(), fleet: figures })}\n` : fleetTable(figures),
  );
} else if (values.only === 'consumers') {
  const figures: ConsumerFigures[] = [];
  for (const count of values.consumers.split(',')) figures.push(await measureConsumers(Number(count), say));
  process.stdout.write(
    values.json ? `${JSON.stringify({ machine: machine(), consumers: figures })}\n` : consumersTable(figures),
  );
} else if (values.only === 'start') {
  const start = await measureColdStart(howLong.rounds, say);
  process.stdout.write(`${JSON.stringify({ machine: machine(), start })}\n`);
} else if (chosen.size === 0) say(`nothing is called ${values.only}`);
if (traffic) await measureTraffic();
const administration = (GROUPS.admin ?? []).some(wanted)
  ? await measureAdmin({ seconds: howLong.seconds, rounds: howLong.rounds, wanted })
  : [];
const results = { measured, sustained, memory, delays, administration };
if (!APART.includes(values.only))
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ machine: machine(), ...results }, null, 2)}\n`
      : tables(results, { ...howLong, sustained: values['sustained-seconds'] }),
  );
