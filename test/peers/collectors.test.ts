import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { admin } from '../e2e/processes.ts';
import { type CaseGateway, startCaseGateway } from '../edge-dp/plugins/case-runner/gateway.ts';
import { freePorts } from '../free-port.ts';
import { until } from '../until.ts';
import { peerExecutable } from './peer.ts';
import { type RunningPeer, startPeer } from './process.ts';

/** Where a machine's programs write to its syslog. */
const SYSLOG = '/dev/log';
const FORMATS = ['w3c', 'b3', 'jaeger', 'ot', 'aws', 'gcp'] as const;

let folder: string;
let gateway: CaseGateway;
const peers: RunningPeer[] = [];
/** Ports of the peers. */
let at: Record<'udp' | 'tcp' | 'statsd' | 'exporter' | 'prometheus', number>;
let traced: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-collectors-'));
  const [udp = 0, tcp = 0, statsd = 0, exporter = 0, prometheus = 0] = await freePorts(5);
  at = { udp, tcp, statsd, exporter, prometheus };
  await startRsyslog();
  startStatsdExporter();
  const services = start('python', [join(import.meta.dirname, 'traced_services.py')]);
  await until(() => /^\d+$/m.test(services.said()) || services.child.exitCode !== null, 'the services that are traced');
  if (services.child.exitCode !== null) throw new Error(services.said());
  traced = `http://127.0.0.1:${services.said().trim()}`;
  gateway = await startCaseGateway(startNodeHost, {
    tls: false,
    environment: { HOLDFAST_TRACING_INSTRUMENTATIONS: 'all', HOLDFAST_TRACING_SAMPLING_RATE: '1' },
  });
  const make = (path: string, body: object) => admin(`${gateway.admin}${path}`, 'POST', body);
  await make('/services', { name: 'up', url: traced });
  const on = async (name: string, plugin: string, config: object): Promise<void> => {
    await make('/services/up/routes', { name, hosts: [`${name}.test`] });
    await make(`/routes/${name}/plugins`, { name: plugin, config });
  };
  const here = (port: number) => ({ host: '127.0.0.1', port });
  await on('udp', 'udp-log', here(udp));
  await on('tcp', 'tcp-log', here(tcp));
  await on('loggly', 'loggly', {
    ...here(udp),
    key: 'the-key',
    tags: ['a"b]'],
    successful_severity: 'notice',
    log_level: 'debug',
  });
  await on('syslog', 'syslog', {
    facility: 'local3',
    successful_severity: 'notice',
    log_level: 'debug',
    custom_fields_by_lua: { spelt: "return 'ü\\n'" },
  });
  await on('statsd-udp', 'statsd', here(statsd));
  await on('statsd-tcp', 'statsd', { ...here(statsd), use_tcp: true, prefix: 'overtcp' });
  await on('counted', 'prometheus', {
    status_code_metrics: true,
    latency_metrics: true,
    bandwidth_metrics: true,
    upstream_health_metrics: true,
    ai_metrics: true,
  });
  for (const format of FORMATS)
    await on(format, 'opentelemetry', {
      traces_endpoint: `${traced}/v1/traces`,
      propagation: { extract: [format], inject: [format], default_format: format },
      queue: { max_coalescing_delay: 0.1 },
    });
  await on('lines', 'opentelemetry', { logs_endpoint: `${traced}/v1/logs`, queue: { max_coalescing_delay: 0.1 } });
  await make('/routes/lines/plugins', { name: 'pre-function', config: { access: ["kong.log.err('said in Lua')"] } });
  await startPrometheus();
  await gateway.applied();
});
afterAll(async () => {
  await gateway?.stop();
  await Promise.all(peers.map((peer) => peer.stop()));
  await rm(folder, { recursive: true, force: true });
});

function start(name: Parameters<typeof peerExecutable>[0], parameters: readonly string[]): RunningPeer {
  const peer = startPeer(peerExecutable(name), parameters);
  peers.push(peer);
  return peer;
}

/** Writes a line for each message: how it came, how urgent, of whom, and itself. */
async function startRsyslog(): Promise<void> {
  if (existsSync(SYSLOG)) throw new Error(`${SYSLOG} is there: stop the syslog daemon of this machine for these tests`);
  const config = join(folder, 'rsyslog.conf');
  await writeFile(
    config,
    `global(workDirectory="${folder}")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" SysSock.Name="${SYSLOG}")
input(type="imudp" address="127.0.0.1" port="${at.udp}")
input(type="imtcp" address="127.0.0.1" port="${at.tcp}")
template(name="line" type="string" string="%inputname%|%syslogfacility-text%.%syslogseverity-text%|%programname%|%structured-data%|%rawmsg%\\n")
*.* action(type="omfile" file="${join(folder, 'messages')}" template="line")
`,
  );
  const daemon = start('rsyslog', ['-n', '-f', config, '-i', join(folder, 'rsyslog.pid')]);
  await until(() => existsSync(SYSLOG), 'rsyslog to listen', 30_000).catch((error) => {
    throw new Error(`${error.message}; it said: ${daemon.said()}`);
  });
}

function startStatsdExporter(): void {
  start('statsd_exporter', [
    `--statsd.listen-udp=127.0.0.1:${at.statsd}`,
    `--statsd.listen-tcp=127.0.0.1:${at.statsd}`,
    '--statsd.listen-unixgram=',
    `--web.listen-address=127.0.0.1:${at.exporter}`,
  ]);
}

async function startPrometheus(): Promise<void> {
  const config = join(folder, 'prometheus.yml');
  const targets = [gateway.status.replace('http://', '')];
  const job = {
    job_name: 'holdfast',
    scrape_interval: '500ms',
    scrape_timeout: '500ms',
    static_configs: [{ targets }],
  };
  await writeFile(config, JSON.stringify({ scrape_configs: [job] }));
  start('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${at.prometheus}`,
    '--log.level=warn',
  ]);
}

function ask(host: string, path = '/served/w3c', headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const options = { port: gateway.ports.plain, path, headers: { ...headers, host: `${host}.test` } };
    request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data: string) => (text += data));
      response.on('end', () =>
        response.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`${response.statusCode} ${text}`)),
      );
    })
      .on('error', reject)
      .end();
  });
}

/** The messages rsyslog has of a route, as their parts. */
async function messages(route: string): Promise<readonly (readonly string[])[]> {
  const text = await readFile(join(folder, 'messages'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line.includes(`"host":"${route}.test"`))
    .map((line) => /^(.*?)\|(.*?)\|(.*?)\|(.*?)\|(.*)$/.exec(line)?.slice(1) ?? [line]);
}

it.each([
  ['udp', ['imudp']],
  ['tcp', ['imtcp']],
  ['loggly', ['imudp', 'user.notice', 'kong', '[the-key@41058 tag="a\\"b\\]"]']],
  ['syslog', ['imuxsock', 'local3.notice', 'kong']],
])('rsyslog reads what %s-log writes, whole and as urgent as it is', async (route, expected) => {
  await Promise.all([ask(route), ask(route)]);
  await expect.poll(() => messages(route), { message: 'two messages', timeout: 60_000 }).toHaveLength(2);
  for (const parts of await messages(route)) {
    expect(parts.slice(0, expected.length)).toEqual(expected);
    const entry: unknown = JSON.parse(parts.at(-1)?.replace(/^[^{]*/, '') ?? '');
    expect(entry).toMatchObject({
      response: { status: 200 },
      service: { name: 'up' },
      request: { uri: '/served/w3c' },
      ...(route === 'syslog' && { spelt: 'ü\n' }),
    });
  }
});

it.each([
  ['statsd-udp', 'kong'],
  ['statsd-tcp', 'overtcp'],
])('statsd_exporter counts what %s sends', async (route, prefix) => {
  for (let n = 0; n < 5; n++) await ask(route);
  const shown = async () => (await fetch(`http://127.0.0.1:${at.exporter}/metrics`)).text();
  await expect
    .poll(shown, { message: 'five requests', timeout: 60_000 })
    .toMatch(new RegExp(`^${prefix}_service_up_request_count\\S* 5$`, 'm'));
  expect(await shown()).toMatch(new RegExp(`^${prefix}_service_up_latency_count\\S* 5$`, 'm'));
  expect(await shown()).toMatch(/^statsd_exporter_samples_total|^statsd_exporter_lines_total/m);
  expect(await shown()).not.toMatch(/^statsd_exporter_sample_errors_total\{.*\} [1-9]/m);
});

it.each(FORMATS)('a trace goes on through the gateway, from and to services that speak %s', async (format) => {
  const [trace, span] = [
    format === 'ot' ? '0000000000000000463ac35c9f6413ad' : '0af7651916cd43dd8448eb211c80319c',
    'b7ad6b7169203331',
  ];
  const headers = Object.entries(
    recordOrEmpty(await (await fetch(`${traced}/sent/${format}/${trace}/${span}`)).json()),
  );
  const callee = recordOrEmpty(
    await ask(format, `/served/${format}`, Object.fromEntries(headers.map(([name, value]) => [name, String(value)]))),
  );
  expect(callee.trace).toBe(trace);
  // The gateway says `1` there, as Kong does, and Python's propagator takes nothing but `true`.
  expect(callee.sampled).toBe(format !== 'ot');
  const spans = async () => {
    const all: unknown = await (await fetch(`${traced}/spans`)).json();
    return (Array.isArray(all) ? all.map(recordOrEmpty) : []).filter((each) => each.trace === trace);
  };
  const own = async () => {
    const all = await spans();
    const balancer = all.find((each) => each.span === callee.span);
    return { balancer, root: all.find((each) => each.span === balancer?.parent) };
  };
  await expect.poll(own, { message: 'the spans of the gateway', timeout: 60_000 }).toMatchObject({
    balancer: { name: 'kong.balancer', kind: 3 },
    root: { name: 'kong', kind: 2, parent: span },
  });
});

it('what Lua writes to the log is read by OpenTelemetry’s own messages, with the trace it belongs to', async () => {
  const trace = '1bf7651916cd43dd8448eb211c80319d';
  await ask('lines', '/served/w3c', { traceparent: `00-${trace}-b7ad6b7169203331-01` });
  const lines = async () => (await fetch(`${traced}/lines`)).json();
  await expect
    .poll(lines, { message: 'the line', timeout: 60_000 })
    .toMatchObject([{ text: expect.stringContaining('said in Lua'), severity: 17, trace }]);
});

it('Prometheus, scraping for a minute, finds as many requests as were sent, and promtool no fault but in names', async () => {
  await ask('counted');
  const query = async (text: string): Promise<number> => {
    const url = `http://127.0.0.1:${at.prometheus}/api/v1/query?query=${encodeURIComponent(text)}`;
    const { data } = recordOrEmpty(await (await fetch(url)).json());
    const { result } = recordOrEmpty(data);
    const [, value] = /"value":\[[\d.]+,"([^"]+)"\]/.exec(JSON.stringify(result)) ?? [];
    return Number(value);
  };
  const count = 'sum without (instance, job) (kong_http_requests_total{route="counted"})';
  await expect.poll(() => query(count).catch(() => 0), { message: 'the first scrape', timeout: 60_000 }).toBe(1);
  const began = Date.now();
  for (let round = 0; round < 110; round++) {
    await Promise.all(Array.from({ length: 10 }, () => ask('counted')));
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, began + (round + 1) * 500 - Date.now())));
  }
  await expect.poll(() => query(count), { message: 'all of them', timeout: 60_000 }).toBe(1101);
  // From the last scrape before the first of them.
  const seconds = Math.ceil((Date.now() - began) / 1000) + 2;
  const found = (await query(`rate(kong_http_requests_total{route="counted"}[${seconds}s])`)) * seconds;
  expect(Math.abs(found - 1100) / 1100, `a rate that comes to ${found} requests`).toBeLessThan(0.01);
  const metrics = join(folder, 'metrics');
  await writeFile(metrics, await (await fetch(`${gateway.status}/metrics`)).text());
  const checked = startPeer('/bin/sh', ['-c', `"${peerExecutable('promtool')}" check metrics < "${metrics}"`]);
  await until(() => checked.child.exitCode !== null, 'promtool to end');
  // Names are Kong's, and what they are called there is all there is to say.
  const said = checked
    .said()
    .split('\n')
    .filter((line) => line !== '');
  const named =
    /^kong_(bandwidth_bytes counter metrics should have "_total" suffix|\w+_latency_ms metric names should not contain abbreviated units)$/;
  expect(said.filter((line) => !named.test(line))).toEqual([]);
  expect(said).toHaveLength(4);
}, 180_000);
