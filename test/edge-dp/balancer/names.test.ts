import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataPlane, SYSTEM_DNS } from '../../../edge-dp/hosts/options.ts';
import { ControlPlane } from '../control-plane.ts';
import { nodeOptions, proxyUrl, startOwnBox, statusUrl } from '../hosts.ts';
import { isOtlp } from '../plugins/tracing/otlp-messages.ts';
import { attributes, decode, nested, text as textIn } from '../plugins/tracing/protobuf.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { type DnsServer, startDnsServer } from './dns-server.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const ONE = id(1);
/** Hosts of services that are no upstream. */
const HOSTS = ['service.test', 'lone.test', 'traced.test'];
const UPSTREAMS = ['two', 'service', 'srv-host', 'nowhere', 'probed', 'drained', 'portless'];

describe('targets by name', () => {
  const upstreams: Upstream[] = [];
  let dns: DnsServer;
  let controlPlane: ControlPlane;
  let node: DataPlane;
  let prefix: string;
  let sick = '';
  /** Batches of spans. */
  const batches: Buffer[] = [];
  const collector = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      batches.push(Buffer.concat(parts));
      response.end();
    });
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    dns = await startDnsServer();
    const first = await serve('127.0.0.1');
    upstreams.push(first, await serve('127.0.0.2', first.port), await serve('127.0.0.1'));
    const [a, , b] = upstreams;
    dns.records.set('two.test', [
      { type: 'A', address: '127.0.0.1', ttl: 1 },
      { type: 'A', address: '127.0.0.2', ttl: 1 },
    ]);
    dns.records.set('probed.test', dns.records.get('two.test') ?? []);
    dns.records.set('instance.test', [{ type: 'A', address: '127.0.0.1', ttl: 60 }]);
    dns.records.set('service.test', [
      { type: 'SRV', name: 'instance.test', port: a?.port ?? 0, weight: 3, ttl: 60 },
      { type: 'SRV', name: 'instance.test', port: b?.port ?? 0, weight: 0, ttl: 60 },
      { type: 'SRV', name: 'two.test', port: 1, weight: 9, priority: 2, ttl: 60 },
    ]);
    dns.records.set('portless.test', [{ type: 'SRV', name: 'instance.test', port: 0, weight: 1, ttl: 60 }]);
    controlPlane = await ControlPlane.create();
    await controlPlane.start();
    await controlPlane.publish(config(first.port));
    prefix = await mkdtemp(join(tmpdir(), 'holdfast names '));
    // Each process looks names up for itself; what they tell each other of targets is in health-sharing.test.ts.
    const options = {
      dns: { ...SYSTEM_DNS, servers: [dns.address], notFoundTtl: 1 },
      proxy: { resolvesServices: true, tracing: { instrumentations: ['dns_query'], samplingRate: 1 } },
    };
    node = await startOwnBox(nodeOptions(prefix, controlPlane, options));
    await controlPlane.heard('applied');
  });
  afterAll(async () => {
    await node?.stop(0);
    await controlPlane?.stop();
    for (const upstream of upstreams) await upstream.stop();
    dns?.stop();
    collector.close();
    await rm(prefix, { recursive: true, force: true });
  });

  const within = { interval: 200 };

  function serve(address: string, port = 0): Promise<Upstream> {
    return startUpstream(
      ({ line }, { localAddress, localPort }) => {
        const code = sick === localAddress && line.includes('/health') ? '503 Sick' : '200 OK';
        return `HTTP/1.1 ${code}\r\nContent-Length: 0\r\nX-Address: ${localAddress}:${localPort}\r\n\r\n`;
      },
      port,
      address,
    );
  }

  function config(port: number) {
    const active = {
      type: 'http',
      // A machine that is busy with other things must not make anybody sick.
      timeout: 30,
      http_path: '/health',
      healthy: { interval: 0.2, successes: 1, http_statuses: [200] },
      unhealthy: { interval: 0.2, http_failures: 1, http_statuses: [503] },
    };
    const extra = (name: string) =>
      name === 'srv-host' ? { use_srv_name: true } : name === 'probed' ? { healthchecks: { active } } : {};
    const host = (name: string) => (name === 'srv-host' || name === 'drained' ? 'service.test' : `${name}.test`);
    return {
      upstreams: { rows: UPSTREAMS.map((name, n) => ({ id: id(n + 1), name, ...extra(name) })) },
      targets: {
        rows: UPSTREAMS.map((name, n) => ({
          id: id(11 + n),
          upstream: { id: id(n + 1) },
          target: `${host(name)}:${port}`,
          weight: name === 'drained' ? 0 : 50,
        })),
      },
      services: {
        rows: [...UPSTREAMS, ...HOSTS].map((host, n) => ({ id: id(21 + n), protocol: 'http', host, port, retries: 0 })),
      },
      routes: {
        rows: [...UPSTREAMS, ...HOSTS].map((name, n) => ({
          id: id(31 + n),
          paths: [`/${name}/`],
          protocols: ['http'],
          service: { id: id(21 + n) },
        })),
      },
      plugins: {
        rows: ['nowhere', 'traced.test'].map((name, n) => ({
          id: id(41 + n),
          name: 'opentelemetry',
          protocols: ['http'],
          route: { id: id(31 + [...UPSTREAMS, ...HOSTS].indexOf(name)) },
          config: {
            traces_endpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}/`,
            ...{ logs_endpoint: null, headers: null, resource_attributes: null, sampling_rate: null },
            ...{ http_response_header_for_traceid: null, header_type: 'preserve' },
            ...{ connect_timeout: 5000, send_timeout: 5000, read_timeout: 5000 },
            propagation: { extract: null, inject: null, clear: null, default_format: 'w3c' },
            queue: { max_batch_size: 1, max_coalescing_delay: 0, max_entries: 100, initial_retry_delay: 0.1 },
          },
        })),
      },
    };
  }

  async function get(path: string): Promise<{ readonly status: number; readonly at: string; readonly text: string }> {
    const response = await fetch(proxyUrl(node, `${path}/`), { headers: { connection: 'close' } });
    return { status: response.status, at: response.headers.get('x-address') ?? '', text: await response.text() };
  }

  /** How often which address answered, or which status came. */
  async function answers(path: string, count = 16): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const calls = Array.from({ length: count }, () => get(path));
    for (const { status, at } of await Promise.all(calls)) {
      const key = status === 200 ? at : String(status);
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  }

  const health = async (name: string) => (await fetch(statusUrl(node, `/upstreams/${name}/health`))).json();
  const port = (n: number) => upstreams[n]?.port ?? 0;
  /** The Host of the last request that is no probe. */
  const lastHost = (n: number) =>
    upstreams[n]?.seen
      .filter(({ line }) => !line.includes('/health'))
      .at(-1)
      ?.header('Host');

  it('serves every address of a name, under the name', async () => {
    await expect
      .poll(async () => Object.keys(await answers('/two')).toSorted(), within)
      .toEqual([`127.0.0.1:${port(0)}`, `127.0.0.2:${port(0)}`]);
    const hosts = upstreams.flatMap((upstream) => upstream.seen.map((request) => request.header('Host')));
    expect(hosts).toContain(`two.test:${port(0)}`);
    expect(await health('two')).toMatchObject({
      data: [
        {
          health: 'HEALTHCHECKS_OFF',
          data: {
            host: 'two.test',
            dns: 'A',
            nodeWeight: 50,
            weight: { total: 100, unavailable: 0, available: 100 },
            addresses: [
              { ip: '127.0.0.1', port: port(0), weight: 50, health: 'HEALTHCHECKS_OFF' },
              { ip: '127.0.0.2', port: port(0), weight: 50, health: 'HEALTHCHECKS_OFF' },
            ],
          },
        },
      ],
    });
  });

  it('follows SRV records: port and weight from the record, the best priority only, and the Host as wanted', async () => {
    const ratio = { [`127.0.0.1:${port(0)}`]: 3, [`127.0.0.1:${port(2)}`]: 1 };
    expect(await health('service')).toMatchObject({
      data: [{ data: { dns: 'SRV', weight: { total: 4 }, addresses: [{}, {}] } }],
    });
    const seen = await answers('/service', 40);
    expect(Object.keys(seen).toSorted()).toEqual(Object.keys(ratio).toSorted());
    expect(seen[`127.0.0.1:${port(0)}`] ?? 0).toBeGreaterThan((seen[`127.0.0.1:${port(2)}`] ?? 0) * 2);
    expect(lastHost(2)).toBe(`service.test:${port(2)}`);
    await answers('/srv-host', 8);
    expect(lastHost(2)).toBe(`instance.test:${port(2)}`);
  });

  it('takes the port of the target where an SRV record has none', async () => {
    expect(await answers('/portless', 2)).toEqual({ [`127.0.0.1:${port(0)}`]: 2 });
  });

  it('sends nothing to a target without weight, whatever its records say', async () => {
    expect(await answers('/drained', 8)).toEqual({ 503: 8 });
  });

  it('asks its own name servers for services that are no upstream, as for targets', async () => {
    dns.records.set('lone.test', [
      { type: 'A', address: '127.0.0.1', ttl: 60 },
      { type: 'A', address: '127.0.0.2', ttl: 60 },
    ]);
    await expect
      .poll(async () => Object.keys(await answers('/lone.test')).toSorted(), within)
      .toEqual([`127.0.0.1:${port(0)}`, `127.0.0.2:${port(0)}`]);
    expect(lastHost(0)).toBe(`lone.test:${port(0)}`);
    await expect
      .poll(async () => Object.keys(await answers('/service.test')).toSorted(), within)
      .toEqual([`127.0.0.1:${port(0)}`, `127.0.0.1:${port(2)}`].toSorted());
  });

  /** The spans of names, by the host of the request: what they say, and how they ended. */
  const lookups = (): readonly unknown[] =>
    batches.flatMap((batch) => {
      expect(isOtlp('Traces', batch)).toBe(true);
      const spans = nested(decode(batch), 1).flatMap((one) => nested(one, 2).flatMap((scope) => nested(scope, 2)));
      return spans
        .filter((span) => textIn(span, 5) === 'kong.dns')
        .map((span) => ({
          ...attributes(span, 9),
          kind: span.get(6)?.[0],
          failed: nested(span, 15)[0]?.get(3)?.[0] === 2,
          events: nested(span, 11).map((event) => [textIn(event, 2), attributes(event, 3)]),
        }));
    });

  it('are spans of a request’s trace: where they lead, or why nowhere', async () => {
    dns.records.set('traced.test', [{ type: 'A', address: '127.0.0.2', ttl: 60 }]);
    expect((await get('/traced.test')).status).toBe(200);
    const domain = { 'dns.record.domain': 'traced.test', 'dns.record.port': { double: port(0) }, kind: 3 };
    await expect
      .poll(lookups, { message: 'the span of the name' })
      .toEqual([{ ...domain, 'dns.record.ip': '127.0.0.2', failed: false, events: [] }]);
    batches.length = 0;
    expect((await get('/nowhere')).status).toBe(503);
    const reason = { 'exception.message': expect.stringMatching(/nowhere\.test/) };
    await expect.poll(lookups, { message: 'the span of a name that leads nowhere' }).toEqual([
      {
        ...{ ...domain, 'dns.record.domain': 'nowhere.test' },
        ...{ failed: true, events: [['exception', reason]] },
      },
    ]);
  });

  it('takes one address out when its check fails, and leaves the other', async () => {
    sick = '127.0.0.2';
    await expect.poll(async () => Object.keys(await answers('/probed')), within).toEqual([`127.0.0.1:${port(0)}`]);
    const oneOfTwo = { weight: { available: 50 }, addresses: [{ health: 'HEALTHY' }, { health: 'UNHEALTHY' }] };
    await expect.poll(() => health('probed'), within).toMatchObject({ data: [{ health: 'HEALTHY', data: oneOfTwo }] });
    sick = '';
    await expect.poll(async () => Object.keys(await answers('/probed')).length, within).toBe(2);
  });

  it('moves traffic when the DNS does, without a change of config, and stays where it is while the DNS is down', async () => {
    dns.records.set('two.test', [{ type: 'A', address: '127.0.0.2', ttl: 1 }]);
    // Also without any request.
    await expect.poll(async () => JSON.stringify(await health('two')), within).not.toContain('127.0.0.1');
    await expect.poll(async () => Object.keys(await answers('/two')), within).toEqual([`127.0.0.2:${port(0)}`]);
    dns.failing = true;
    const asked = dns.asked.length;
    await expect
      .poll(() => dns.asked.slice(asked).filter((one) => one === 'A two.test').length, within)
      .toBeGreaterThan(1);
    expect(Object.keys(await answers('/two'))).toEqual([`127.0.0.2:${port(0)}`]);
    dns.failing = false;
    dns.records.set('two.test', [{ type: 'A', address: '127.0.0.1', ttl: 1 }]);
    await expect.poll(async () => Object.keys(await answers('/two')), within).toEqual([`127.0.0.1:${port(0)}`]);
  });

  it('answers 503 for a name that does not exist, shows DNS_ERROR here and at the control plane, and recovers', async () => {
    const { status, text } = await get('/nowhere');
    expect([status, text]).toEqual([503, expect.stringContaining('name resolution failed')]);
    const empty = { weight: { total: 0, unavailable: 0, available: 0 }, addresses: [] };
    expect(await health('nowhere')).toMatchObject({ data: [{ health: 'DNS_ERROR', data: empty }] });
    const nowhere = UPSTREAMS.indexOf('nowhere');
    const told = await controlPlane.heard('heartbeat', ({ health }) =>
      JSON.stringify(health ?? {}).includes('DNS_ERROR'),
    );
    expect(told.health).toMatchObject({ [id(nowhere + 1)]: { [id(nowhere + 11)]: { health: 'DNS_ERROR' } } });
    dns.records.set('nowhere.test', [{ type: 'A', address: '127.0.0.2', ttl: 60 }]);
    await expect.poll(async () => Object.keys(await answers('/nowhere')), within).toEqual([`127.0.0.2:${port(0)}`]);
    await expect.poll(() => health('nowhere'), within).toMatchObject({ data: [{ health: 'HEALTHCHECKS_OFF' }] });
  });

  it('marks one address of a target by hand', async () => {
    dns.records.set('two.test', [
      { type: 'A', address: '127.0.0.1', ttl: 1 },
      { type: 'A', address: '127.0.0.2', ttl: 1 },
    ]);
    await expect.poll(async () => Object.keys(await answers('/two')).length, within).toBe(2);
    const order = { type: 'target_health', upstream: ONE, target: id(11), address: `127.0.0.1:${port(0)}` } as const;
    // A node takes the order for an address it knows.
    await expect
      .poll(async () => {
        await controlPlane.tell({ ...order, healthy: false });
        return JSON.stringify(await health('two')).includes('UNHEALTHY');
      }, within)
      .toBe(true);
    const addresses = [
      { ip: '127.0.0.1', health: 'UNHEALTHY' },
      { ip: '127.0.0.2', health: 'HEALTHCHECKS_OFF' },
    ];
    expect(await health('two')).toMatchObject({ data: [{ data: { addresses } }] });
    await expect.poll(async () => Object.keys(await answers('/two')), within).toEqual([`127.0.0.2:${port(0)}`]);
  });
});
