import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packets } from '../../../edge-dp/plugins/statsd/server.ts';
import { admin } from '../../e2e/processes.ts';
import { once } from '../../once.ts';
import { rawRequest } from '../../raw-http.ts';
import { until } from '../../until.ts';
import { startOwnBox } from '../hosts.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';

const NODE = hostname().replaceAll('.', '_');
const QUEUE = { max_batch_size: 1 };

/** Numbers nobody can foresee. */
const plain = (line: string): string => line.replace(/((?:latency|size)[^:|]*):\d+\|/, '$1:<n>|');

describe('metrics of requests', () => {
  let gateway: CaseGateway;
  let upstream: Upstream;
  let udp: UdpSocket;
  let tcp: Server;
  let workspace: string;
  let connections = 0;
  const received: string[] = [];
  const lines: string[] = [];
  const ids = new Map<string, string>();

  beforeAll(async () => {
    upstream = await startUpstream();
    udp = createSocket('udp4', (packet) => void received.push(packet.toString('utf8')));
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    tcp = createServer((socket) => {
      connections += 1;
      socket.setEncoding('utf8').on('data', (text: string) => void lines.push(...text.split('\n').filter(Boolean)));
      socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    gateway = await startCaseGateway(startOwnBox, { tls: false });
    const make = (path: string, body: object) => admin(`${gateway.admin}${path}`, 'POST', body);
    workspace = String((await admin(`${gateway.admin}/workspaces/default`)).id);
    await make('/services', { name: 'first.service-a', url: `http://127.0.0.1:${upstream.port}` });
    await make('/consumers', { username: 'ada', custom_id: 'ada:1|x@kong,#=' });
    ids.set('ada', String((await admin(`${gateway.admin}/consumers/ada`)).id));
    await make('/consumers/ada/key-auth', { key: 'ada-key' });
    await make('/consumers', { username: 'eve' });
    await make('/consumers/eve/key-auth', { key: 'eve-key' });
    const at = { host: '127.0.0.1', port: udp.address().port, queue: QUEUE };
    const on = async (name: string, plugin: string, config: object, service = true): Promise<void> => {
      const path = service ? '/services/first.service-a/routes' : '/routes';
      const { id } = await make(path, { name, hosts: [`${name}.test`] });
      ids.set(name, String(id));
      await make(`/routes/${name}/plugins`, { name: 'key-auth', config: { anonymous: 'eve' } });
      await make(`/routes/${name}/plugins`, { name: plugin, config: { ...at, ...config } });
    };
    const count = { name: 'request_count', stat_type: 'counter', sample_rate: 0.5 };
    const latency = { name: 'latency', stat_type: 'gauge', sample_rate: 1 };
    await on('defaults', 'statsd', {});
    await on('unmatched', 'statsd', {}, false);
    for (const style of ['dogstatsd', 'influxdb', 'librato', 'signalfx']) {
      await on(style, 'statsd', {
        tag_style: style,
        metrics: [count, { ...latency, consumer_identifier: 'username' }],
      });
    }
    await on('named', 'statsd', {
      prefix: 'my.pre',
      hostname_in_prefix: true,
      service_identifier_default: 'service_host',
      workspace_identifier_default: 'workspace_name',
      consumer_identifier_default: 'consumer_id',
      allow_status_codes: ['100-103', '200-204'],
      metrics: [
        { name: 'status_count_per_workspace', stat_type: 'counter', sample_rate: 1 },
        { name: 'unique_users', stat_type: 'set' },
        { name: 'request_size', stat_type: 'histogram' },
        { name: 'shdict_usage', stat_type: 'gauge', sample_rate: 1 },
      ],
    });
    await on('packed', 'statsd', {
      udp_packet_size: 120,
      queue: { max_batch_size: 2, max_coalescing_delay: 30 },
      metrics: [count, latency],
    });
    const { port } = tcp.address() as AddressInfo;
    await on('tcp', 'statsd', { port, use_tcp: true, metrics: [count, latency] });
    await on('datadog', 'datadog', {});
    await on('datadog-tags', 'datadog', {
      prefix: 'my',
      service_name_tag: 'svc',
      status_tag: 'st',
      consumer_tag: 'who',
      metrics: [
        { ...count, tags: ['a:b', 'x:y:z'], consumer_identifier: 'username' },
        { name: 'latency', stat_type: 'distribution', consumer_identifier: 'consumer_id' },
      ],
    });
    await on('datadog-none', 'datadog', {}, false);
    await gateway.applied();
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
    udp?.close();
    tcp?.close();
  });

  /** The packets that one request, with ada's key unless told otherwise, brings about. */
  const send = async (name: string, many: number, key = 'ada-key', path = '/'): Promise<string[]> => {
    received.length = 0;
    await rawRequest(gateway.ports.plain, [`GET ${path} HTTP/1.1`, `Host: ${name}.test`, `apikey: ${key}`]);
    await until(() => received.length >= many, `${many} packets of ${name}, not only ${JSON.stringify(received)}`);
    return received.map(plain);
  };
  const SERVICE = 'kong.service.first_service-a';
  /** The custom id, which would otherwise forge a metric. */
  const ADA = 'ada_1_x_kong,_=';

  it('of statsd are the ones of Kong, and nobody can forge others', async () => {
    expect(await send('defaults', 12)).toEqual([
      `${SERVICE}.request.count:1|c`,
      `${SERVICE}.latency:<n>|ms`,
      `${SERVICE}.request.size:<n>|c`,
      `${SERVICE}.status.200:1|c`,
      `${SERVICE}.response.size:<n>|c`,
      `${SERVICE}.user.uniques:${ADA}|s`,
      `${SERVICE}.user.${ADA}.request.count:1|c`,
      `${SERVICE}.upstream_latency:<n>|ms`,
      `${SERVICE}.kong_latency:<n>|ms`,
      `${SERVICE}.user.${ADA}.status.200:1|c`,
      `${SERVICE}.workspace.${workspace}.status.200:1|c`,
      `kong.route.${ids.get('defaults')}.user.${ADA}.status.200:1|c`,
    ]);
    expect(await send('defaults', 8, 'eve-key')).toHaveLength(8);
    expect(await send('unmatched', 7, 'eve-key')).toEqual([
      'kong.global.unmatched.request.count:1|c',
      'kong.global.unmatched.latency:<n>|ms',
      'kong.global.unmatched.request.size:<n>|c',
      'kong.global.unmatched.status.503:1|c',
      'kong.global.unmatched.response.size:<n>|c',
      'kong.global.unmatched.kong_latency:<n>|ms',
      `kong.global.unmatched.workspace.${workspace}.status.503:1|c`,
    ]);
  });

  it('of statsd have tags in four styles', async () => {
    const tags = (route: string, between: string, consumer: string) =>
      Object.entries({ service: 'first.service-a', route, workspace, consumer, node: NODE, status: '200' })
        .map((pair) => pair.join(between))
        .join(',');
    const custom = 'ada:1_x@kong___';
    for (const [style, written] of [
      ['dogstatsd', (name: string, value: string, by: string) => `${name}${value}|#${tags('dogstatsd', ':', by)}`],
      ['influxdb', (name: string, value: string, by: string) => `${name},${tags('influxdb', '=', by)}${value}`],
      ['librato', (name: string, value: string, by: string) => `${name}#${tags('librato', '=', by)}${value}`],
      ['signalfx', (name: string, value: string, by: string) => `${name}[${tags('signalfx', '=', by)}]${value}`],
    ] as const) {
      const [first = '', second = ''] = await send(style, 2);
      expect(first).toBe(written('kong.request.count', ':1|c|@0.5', custom));
      expect(second.replace(/:\d+\|g/, ':<n>|g')).toBe(written('kong.latency', ':<n>|g', 'ada'));
    }
  });

  it('of statsd are named, counted and packed as configured', async () => {
    expect(await send('named', 3)).toEqual([
      `my.pre.node.${NODE}.service.127_0_0_1.workspace.default.status.200:1|c`,
      `my.pre.node.${NODE}.service.127_0_0_1.user.uniques:${ids.get('ada')}|s`,
      `my.pre.node.${NODE}.service.127_0_0_1.request.size:<n>|h`,
    ]);
    await rawRequest(gateway.ports.plain, ['GET / HTTP/1.1', 'Host: packed.test']);
    const [one = '', two = ''] = await send('packed', 2);
    expect(`${one}\n${two}`.split('\n').map(plain)).toEqual([
      `${SERVICE}.request.count:1|c|@0.5`,
      `${SERVICE}.latency:<n>|g`,
      `${SERVICE}.request.count:1|c|@0.5`,
      `${SERVICE}.latency:<n>|g`,
    ]);
    expect(Math.max(one.length, two.length)).toBeLessThanOrEqual(120);
  });

  it('of statsd go over one kept TCP connection', async () => {
    for (let i = 1; i <= 2; i++) {
      await rawRequest(gateway.ports.plain, ['GET / HTTP/1.1', 'Host: tcp.test']);
      await until(() => lines.length === 2 * i, `${2 * i} lines over TCP, not ${JSON.stringify(lines)}`);
    }
    expect(lines.map(plain).slice(0, 2)).toEqual([`${SERVICE}.request.count:1|c|@0.5`, `${SERVICE}.latency:<n>|g`]);
    expect(connections).toBe(1);
  });

  it('of datadog have its tags, and -1 for what was not sent upstream', async () => {
    const tags = `#name:first_service-a,status:200,consumer:ada:1_x@kong___,app:kong`;
    expect(await send('datadog', 6)).toEqual([
      `kong.request.count:1|c|${tags}`,
      `kong.latency:<n>|ms|${tags}`,
      `kong.request.size:<n>|ms|${tags}`,
      `kong.response.size:<n>|ms|${tags}`,
      `kong.upstream_latency:<n>|ms|${tags}`,
      `kong.kong_latency:<n>|ms|${tags}`,
    ]);
    expect(await send('datadog-tags', 2)).toEqual([
      'my.request.count:1|c|@0.5|#svc:first_service-a,st:200,who:ada,a:b,x:y:z',
      `my.latency:<n>|d|#svc:first_service-a,st:200,who:${ids.get('ada')?.replaceAll('-', '_')}`,
    ]);
    const none = await send('datadog-none', 6, 'eve-key');
    expect(none[0]).toBe('kong.request.count:1|c|#name:,status:503,app:kong');
    expect(none[4]).toBe('kong.upstream_latency:-1|ms|#name:,status:503,app:kong');
  });
});

it('packs lines up to the size of a packet, and longer ones alone', () => {
  const texts = (size: number) =>
    packets(['aaaa', 'bb', 'ééé', 'c'], size).map((packet) => Buffer.from(packet).toString());
  expect(texts(0)).toEqual(['aaaa', 'bb', 'ééé', 'c']);
  expect(texts(7)).toEqual(['aaaa\nbb', 'ééé', 'c']);
  expect(texts(8)).toEqual(['aaaa\nbb', 'ééé\nc']);
  expect(texts(3)).toEqual(['aaaa', 'bb', 'ééé', 'c']);
});
