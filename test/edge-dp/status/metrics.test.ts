import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

let upstream: Upstream;
let node: ProxyNode;

beforeAll(async () => {
  upstream = await startUpstream();
  node = await startProxyNode(
    { services: [service(1, upstream.port)], routes: [route(1, '/', 1)] },
    { processes: 2, newsInterval: 50 },
  );
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
    const type = /^# TYPE (\w+) (?:counter|gauge)$/.exec(line)?.[1];
    if (type !== undefined) typed.add(type);
    if (line.startsWith('#')) continue;
    const match = /^(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (\d+)$/.exec(line);
    if (match === null || !typed.has(match[1] ?? '')) throw new Error(`not Prometheus' format: ${line}`);
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

it('tells who the node is, which config it serves, and whether a control plane is there', async () => {
  const first = await samples();
  expect(first.get(`kong_node_info{node_id="${node.dataPlane.nodeId}",version="3.9.3"}`)).toBe(1);
  expect(first.get('holdfast_config_serial')).toBe(node.controlPlane.serial);
  expect(
    [...first.keys()].some((name) => /^holdfast_config_info\{hash="[0-9a-f]{32}",source="control_plane"\}$/.test(name)),
  ).toBe(true);
  expect(first.get('kong_control_plane_connected')).toBe(1);
  await node.controlPlane.stop();
  await expect.poll(async () => (await samples()).get('kong_control_plane_connected'), { timeout: 10_000 }).toBe(0);
});
