import { afterAll, beforeAll, expect, it } from 'vitest';
import { id, type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const ALL_ON = {
  per_consumer: true,
  status_code_metrics: true,
  ai_metrics: false,
  latency_metrics: true,
  bandwidth_metrics: true,
  upstream_health_metrics: true,
};

const plugin = (n: number, name: string, config: object) => ({ id: id(100 + n), name, protocols: ['http'], config });

let upstream: Upstream;
let node: ProxyNode;

const tables = () => ({
  services: [
    { ...service(1, upstream.port), name: 'a "service"' },
    { ...service(2, 80), host: 'balanced.test' },
  ],
  routes: [
    route(1, '/', 1),
    { ...route(2, '/counted', 1), name: 'counted' },
    { ...route(3, '/ended', 1), name: 'ended' },
    { ...route(4, '/nowhere', 1), name: 'nowhere', service: null },
  ],
  plugins: [
    plugin(1, 'prometheus', ALL_ON),
    { ...plugin(2, 'request-termination', { status_code: 418, echo: false }), route: { id: route(3, '/', 1).id } },
  ],
  upstreams: [{ id: id(8), name: 'balanced.test', algorithm: 'round-robin', slots: 100 }],
  targets: [
    { id: id(9), upstream: { id: id(8) }, target: `127.0.0.1:${upstream.port}`, weight: 100 },
    { id: id(10), upstream: { id: id(8) }, target: '[::1]:9', weight: 100 },
  ],
});

beforeAll(async () => {
  upstream = await startUpstream();
  node = await startProxyNode(tables(), {
    processes: 2,
    newsInterval: 50,
    certificates: [
      { setting: 'cluster_ca_cert', subject: 'CN=ca', validTo: '2033-05-18T03:33:20.000Z' },
      { setting: 'cluster_cert', subject: 'CN=dp', validTo: '2028-05-18T03:33:20.000Z' },
    ],
  });
});
afterAll(async () => {
  await node?.stop();
  await upstream?.stop();
});

/** Samples by name and labels, from Prometheus' text format; throws on a line that is none of it. */
async function samples(): Promise<Map<string, number>> {
  const response = await fetch(`${node.statusUrl}/metrics`);
  expect(response.headers.get('content-type')).toBe('text/plain; charset=UTF-8');
  const found = new Map<string, number>();
  const typed = new Set<string>();
  for (const line of (await response.text()).split('\n').filter((line) => line !== '')) {
    const type = /^# TYPE (\w+) (?:counter|gauge|histogram)$/.exec(line)?.[1];
    if (type !== undefined) typed.add(type);
    if (line.startsWith('#')) continue;
    const match = /^(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (\d+)$/.exec(line);
    const family = match?.[1]?.replace(/_(?:bucket|count|sum)$/, '') ?? '';
    if (match === null || !(typed.has(match[1] ?? '') || typed.has(family)))
      throw new Error(`not Prometheus' format: ${line}`);
    found.set(`${match[1]}${match[2] ?? ''}`, Number(match[3]));
  }
  return found;
}

it('counts the requests of all processes of the node', async () => {
  const total = async () =>
    (await samples()).get(`kong_nginx_requests_total{node_id="${node.dataPlane.nodeId}",subsystem="http"}`);
  const before = (await total()) ?? 0;
  const call = async (): Promise<void> => {
    await (await fetch(node.url, { headers: { connection: 'close' } })).text();
  };
  for (let n = 0; n < 40; n++) await call();
  // The other process tells with its next question for news, which a request sets off.
  let more = 0;
  await expect
    .poll(async () => {
      await call();
      more += 1;
      return ((await total()) ?? 0) - before - 40 - more;
    })
    .toBe(0);
});

it('shows what the prometheus plugin counts on all processes, in Kong’s families, and of nobody’s requests nothing', async () => {
  const call = async (path: string): Promise<number> => {
    const response = await fetch(`${node.url}${path}`, { headers: { connection: 'close' } });
    await response.text();
    return response.status;
  };
  const statuses: number[] = [];
  for (let n = 0; n < 20; n++) statuses.push(await call('/counted'), await call('/ended'));
  statuses.push(await call('/nowhere'));
  expect(new Set(statuses)).toEqual(new Set([200, 418, 503]));
  const target = 'service="a \\"service\\"",route="counted"';
  const counted = `kong_http_requests_total{${target},code="200",source="service",workspace="default",consumer=""}`;
  await expect.poll(async () => (await samples()).get(counted)).toBe(20);
  const nowhere =
    'kong_http_requests_total{service="",route="nowhere",code="503",source="kong",workspace="default",consumer=""}';
  await expect.poll(async () => (await samples()).get(nowhere)).toBe(1);
  const found = await samples();
  const ended = `kong_http_requests_total{service="a \\"service\\"",route="ended",code="418",source="kong",workspace="default",consumer=""}`;
  expect(found.get(ended)).toBe(20);
  for (const family of ['kong_kong_latency_ms', 'kong_request_latency_ms', 'kong_upstream_latency_ms']) {
    const labels = `${target},workspace="default"`;
    const bounds = [...found.keys()].filter((key) => key.startsWith(`${family}_bucket{${labels},`));
    expect(bounds).toHaveLength(family === 'kong_kong_latency_ms' ? 18 : 14);
    expect(found.get(`${family}_bucket{${labels},le="+Inf"}`)).toBe(20);
    expect(found.get(`${family}_count{${labels}}`)).toBe(20);
    const counts = bounds.map((key) => found.get(key) ?? 0);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  }
  // What never went upstream took no time there.
  expect([...found.keys()].some((key) => /^kong_upstream_latency_ms.*route="ended"/.test(key))).toBe(false);
  const bytes = (direction: string) =>
    found.get(`kong_bandwidth_bytes{${target},direction="${direction}",workspace="default",consumer=""}`) ?? 0;
  expect(bytes('ingress')).toBeGreaterThan(20 * 40);
  expect(bytes('egress')).toBeGreaterThan(20 * 40);
  expect(found.get('kong_nginx_metric_errors_total')).toBe(0);
  const health = (address: string, state: string) =>
    found.get(
      `kong_upstream_target_health{upstream="balanced.test",target="${address}",address="${address}",state="${state}",subsystem="http"}`,
    );
  for (const address of [`127.0.0.1:${upstream.port}`, '[::1]:9']) {
    expect(health(address, 'healthchecks_off')).toBe(1);
    expect(health(address, 'unhealthy')).toBe(0);
  }
  const text = await (await fetch(`${node.statusUrl}/metrics`)).text();
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(names).toEqual(names.toSorted());
  expect(new Set(names).size).toBe(names.length);
});

it('hides what the prometheus plugin has counted while there is none, and goes on counting where it was', async () => {
  const publish = ({ plugins, ...others }: ReturnType<typeof tables>) =>
    node.controlPlane.publish(
      Object.fromEntries(Object.entries({ ...others, plugins }).map(([name, rows]) => [name, { rows }])),
    );
  const families = async () => new Set([...(await samples()).keys()].map((key) => key.replace(/\{.*/, '')));
  const ofPlugin = /^kong_(?:http_|bandwidth_|\w+_latency_|upstream_target_|nginx_metric_errors_)/;
  await publish({ ...tables(), plugins: [] });
  await expect.poll(async () => [...(await families())].filter((name) => ofPlugin.test(name))).toEqual([]);
  expect(await families()).toContain('kong_node_info');
  await publish(tables());
  const counted =
    'kong_http_requests_total{service="a \\"service\\"",route="counted",code="200",source="service",workspace="default",consumer=""}';
  await expect.poll(async () => (await samples()).get(counted)).toBe(20);
});

it('tells who the node is, which config it serves, and whether a control plane is there', async () => {
  const first = await samples();
  expect(first.get(`kong_node_info{node_id="${node.dataPlane.nodeId}",version="3.9.3"}`)).toBe(1);
  expect(first.get('holdfast_config_serial')).toBe(node.controlPlane.serial);
  expect(
    [...first.keys()].some((name) => /^holdfast_config_info\{hash="[0-9a-f]{32}",source="control_plane"\}$/.test(name)),
  ).toBe(true);
  expect(first.get('kong_control_plane_connected')).toBe(1);
  expect(first.get('kong_data_plane_cluster_cert_expiry_timestamp')).toBe(1842233600);
  await node.controlPlane.stop();
  await expect.poll(async () => (await samples()).get('kong_control_plane_connected')).toBe(0);
});
