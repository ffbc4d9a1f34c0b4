/**
 * `npm run bench [-- --json] [-- --seconds N --rounds N --only NAME --host workerd|node]`: real workerd, or Node, behind `holdfast start`, measured
 * against a bare pass-through Worker on the same workerd, or a bare proxy on the same Node, in the same run. Throughput is told as a ratio to that
 * baseline; rounds alternate between the two, and medians are kept, because machines are noisy. The Admin API
 * (`--only admin`) is measured against bare HTTP, JSON and one statement on the same database. `--only sustained` loads both for two
 * minutes each (`--sustained-seconds N`) and tells the longest gap and what happened to the memory.
 */
import { parseArgs } from 'node:util';

import { admin, createCluster, type RunningDataPlane, until } from '../e2e/processes.ts';
import { ADMIN_SCENARIOS, measureAdmin } from './admin.ts';
import { type Baseline, startBaseline, startNodeBaseline } from './baseline.ts';
import { machine, pin } from './cores.ts';
import { LIMIT_SCENARIOS, limitScenarios } from './limits.ts';
import { PLUGIN_SCENARIOS, type PluginScenario, pluginScenarios } from './plugins.ts';
import { type Load, listening, median, rate, say, load as sendLoad } from './processes.ts';
import { measureSustained, type Sustained } from './sustained.ts';

interface Measured {
  readonly scenario: string;
  readonly rps: number;
  readonly baselineRps: number;
  readonly ratio: number;
  readonly p50: number;
  readonly p99: number;
  readonly baselineP50: number;
  readonly errors: number;
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '50' },
    only: { type: 'string' },
    host: { type: 'string', default: 'workerd' },
    'sustained-seconds': { type: 'string', default: '120' },
  },
});

const TRAFFIC_SCENARIOS = [
  'one route',
  'sustained',
  'propagation',
  'key-auth',
  '3 targets',
  'preserve_host',
  '10,000 routes',
  ...PLUGIN_SCENARIOS,
  ...LIMIT_SCENARIOS,
];
/** Scenarios with config of their own. */
const PREPARED = [
  [PLUGIN_SCENARIOS, pluginScenarios],
  [LIMIT_SCENARIOS, limitScenarios],
] as const;
const ROUTES = 10_000;
const KEY = 'bench-key';

const load = (port: number, path: string, headers: readonly string[] = [], lines?: string): Promise<Load> =>
  sendLoad(port, path, { connections: Number(values.connections), seconds: Number(values.seconds), headers, lines });

async function compare(
  scenario: string,
  baseline: Baseline,
  plane: RunningDataPlane,
  path: string,
  headers: readonly string[] = [],
  lines?: string,
): Promise<Measured> {
  const port = Number(new URL(plane.proxy).port);
  const ours: Load[] = [];
  const bare: Load[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    bare.push(await load(baseline.port, path));
    ours.push(await load(port, path, headers, lines));
    say(
      `  ${scenario}, round ${round + 1}: ${rate(ours.at(-1)).toFixed(0)} against ${rate(bare.at(-1)).toFixed(0)} requests/s`,
    );
  }
  const rps = median(ours.map(rate));
  const baselineRps = median(bare.map(rate));
  return {
    scenario,
    rps,
    baselineRps,
    ratio: median(ours.map((each, round) => rate(each) / rate(bare[round]))),
    p50: median(ours.map((each) => each.p50)),
    p99: median(ours.map((each) => each.p99)),
    baselineP50: median(bare.map((each) => each.p50)),
    errors: ours.reduce((sum, each) => sum + each.errors, 0),
  };
}

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
const delays: Record<string, number> = {};
const wanted = (name: string) => values.only === undefined || name.includes(values.only);

/** Waits until the route is there, which may take until all that it needs is. */
async function compareScenario(
  scenario: PluginScenario,
  baseline: Baseline,
  plane: RunningDataPlane,
): Promise<Measured> {
  const { name, path, headers, lines, probe } = scenario;
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
  return compare(name, baseline, plane, path, headers, lines);
}

async function measureTraffic(): Promise<void> {
  const upstreams = await Promise.all([1, 2, 3].map(() => listening('upstream.ts', [], 1)));
  const ports = upstreams.map(({ port }) => port);
  const baseline = await (values.host === 'node' ? startNodeBaseline : startBaseline)(ports[0] ?? 0);
  pin(baseline.child.pid, 0);
  const cluster = await createCluster();
  const control = await cluster.controlPlane();
  const plane = await cluster.dataPlane('bench', { data_plane_host: values.host });
  pin(control.child.pid, 1);
  pin(plane.child.pid, 0);

  try {
    const url = control.admin;
    await admin(`${url}/services`, 'POST', { name: 'bench', url: `http://127.0.0.1:${ports[0]}` });
    await admin(`${url}/services/bench/routes`, 'POST', { name: 'first', paths: ['/first'] });
    await until(async () => (await fetch(`${plane.proxy}/first`)).status === 200, 'the first config');
    if (wanted('one route')) measured.push(await compare('one route', baseline, plane, '/first'));
    if (wanted('sustained')) {
      const gateways = [
        { gateway: 'pass-through', pid: baseline.child.pid, port: baseline.port },
        { gateway: 'one route', pid: plane.child.pid, port: Number(new URL(plane.proxy).port) },
      ];
      const seconds = Number(values['sustained-seconds']);
      const connections = Number(values.connections);
      sustained.push(...(await measureSustained(gateways, '/first', { connections, seconds })));
    }
    if (wanted('propagation')) delays['change to first request, 1 route'] = median(await propagation(url, plane, 11));

    if (wanted('key-auth')) {
      await admin(`${url}/services/bench/routes`, 'POST', { name: 'locked', paths: ['/locked'] });
      await admin(`${url}/routes/locked/plugins`, 'POST', { name: 'key-auth' });
      await admin(`${url}/consumers`, 'POST', { username: 'bench' });
      await admin(`${url}/consumers/bench/key-auth`, 'POST', { key: KEY });
      const header = { headers: { apikey: KEY } };
      await until(async () => (await fetch(`${plane.proxy}/locked`, header)).status === 200, 'the credential');
      measured.push(await compare('key-auth', baseline, plane, '/locked', [`apikey: ${KEY}`]));
    }

    if (wanted('3 targets')) {
      await admin(`${url}/upstreams`, 'POST', { name: 'three' });
      for (const port of ports) await admin(`${url}/upstreams/three/targets`, 'POST', { target: `127.0.0.1:${port}` });
      await admin(`${url}/services`, 'POST', { name: 'balanced', url: 'http://three' });
      await admin(`${url}/services/balanced/routes`, 'POST', { paths: ['/balanced'] });
      await until(async () => (await fetch(`${plane.proxy}/balanced`)).status === 200, 'the targets');
      measured.push(await compare('3 targets', baseline, plane, '/balanced'));
    }

    for (const [names, prepare] of PREPARED) {
      if (!names.some(wanted)) continue;
      const { scenarios, stop } = await prepare(url);
      try {
        for (const scenario of scenarios.filter(({ name }) => wanted(name))) {
          measured.push(await compareScenario(scenario, baseline, plane));
        }
      } finally {
        stop();
      }
    }

    // What the runtime's own fetch cannot say goes through the egress process, which shares the gateway's core here.
    if (wanted('preserve_host')) {
      await admin(`${url}/services/bench/routes`, 'POST', { paths: ['/host'], preserve_host: true });
      await until(async () => (await fetch(`${plane.proxy}/host`)).status === 200, 'the route');
      measured.push(await compare('preserve_host', baseline, plane, '/host'));
    }

    if (wanted('10,000 routes') || wanted('propagation')) {
      say(`  adding ${ROUTES} routes`);
      await addRoutes(url, ROUTES);
      await until(async () => (await fetch(`${plane.proxy}/path-${ROUTES - 1}`)).status === 200, 'the routes', 60_000);
    }
    if (wanted('10,000 routes')) measured.push(await compare('10,000 routes', baseline, plane, `/path-${ROUTES / 2}`));
    if (wanted('propagation'))
      delays['change to first request, 10,000 routes'] = median(await propagation(url, plane, 11));
  } finally {
    await Promise.all([control.end('SIGTERM'), plane.end('SIGTERM')]);
    baseline.stop();
    for (const { child } of upstreams) child.kill('SIGKILL');
    cluster.remove();
  }
}

if (TRAFFIC_SCENARIOS.some(wanted)) await measureTraffic();
const administration = ADMIN_SCENARIOS.some(wanted)
  ? await measureAdmin({ seconds: Number(values.seconds), rounds: Number(values.rounds), wanted })
  : [];

if (values.json) {
  process.stdout.write(
    `${JSON.stringify({ machine: machine(), measured, sustained, delays, administration }, null, 2)}\n`,
  );
} else {
  process.stdout.write(
    `\n${machine()}\n${values.connections} connections, medians of ${values.rounds} rounds of ${values.seconds} s\n\n`,
  );
  process.stdout.write(
    '| scenario | requests/s | pass-through | ratio | p50 ms | p99 ms | errors |\n|---|---|---|---|---|---|---|\n',
  );
  for (const { scenario, rps, baselineRps, ratio, p50, p99, errors } of measured) {
    const cells = [rps.toFixed(0), baselineRps.toFixed(0), ratio.toFixed(2), p50.toFixed(2), p99.toFixed(1), errors];
    process.stdout.write(`| ${scenario} | ${cells.join(' | ')} |\n`);
  }
  process.stdout.write(
    `\n| sustained, ${values['sustained-seconds']} s | requests/s | p50 ms | p99.9 ms | longest gap ms | MB before, at most, behind | errors |\n|---|---|---|---|---|---|---|\n`,
  );
  for (const { gateway, rps, p50, p999, longestGap, memory, errors } of sustained) {
    const cells = [rps.toFixed(0), p50.toFixed(2), p999.toFixed(0), longestGap.toFixed(0), memory.join(', '), errors];
    process.stdout.write(`| ${gateway} | ${cells.join(' | ')} |\n`);
  }
  process.stdout.write("\n| from the Admin API's answer | median ms |\n|---|---|\n");
  for (const [name, ms] of Object.entries(delays)) process.stdout.write(`| ${name} | ${ms.toFixed(0)} |\n`);
  process.stdout.write(
    '\n| Admin API | database | requests/s or seconds | bare | ratio | errors |\n|---|---|---|---|---|---|\n',
  );
  for (const { scenario, driver, ours, bare, ratio, errors } of administration) {
    const cells = [scenario, driver, ours.toFixed(1), bare.toFixed(1), ratio.toFixed(2), errors];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}
