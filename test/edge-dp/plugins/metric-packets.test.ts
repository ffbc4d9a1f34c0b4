import { expect, it } from 'vitest';
import datadog from '../../../edge-dp/plugins/datadog.ts';
import type { Exchange } from '../../../edge-dp/plugins/runtime/exchange.ts';
import { compileMetrics } from '../../../edge-dp/plugins/statsd/metrics.ts';
import type { DatadogConfig } from '../../../shared/plugins/datadog.ts';
import type { StatsdConfig } from '../../../shared/plugins/statsd.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';
import { overAtOnce } from './logged.ts';

// Lines as recorded from Kong 3.9.3 for a request of 79 bytes, answered 200 with 261 bytes, latencies of 7, 5 and 2 ms.

const NO_QUEUE = { retry_count: null, queue_size: null, flush_timeout: null };
const QUEUE = {
  max_batch_size: 1,
  max_coalescing_delay: 0,
  max_entries: 100,
  max_bytes: null,
  max_retry_time: 0,
  initial_retry_delay: 0.01,
  max_retry_delay: 1,
  concurrency_limit: 1,
};
const STATSD: StatsdConfig = {
  ...NO_QUEUE,
  host: 'localhost',
  port: 8125,
  prefix: 'kong',
  metrics: [],
  allow_status_codes: null,
  udp_packet_size: 0,
  use_tcp: false,
  hostname_in_prefix: false,
  consumer_identifier_default: 'custom_id',
  service_identifier_default: 'service_name_or_host',
  workspace_identifier_default: 'workspace_id',
  tag_style: null,
  queue: QUEUE,
};
const DATADOG: DatadogConfig = {
  ...NO_QUEUE,
  host: 'localhost',
  port: 8125,
  prefix: 'kong',
  service_name_tag: 'name',
  status_tag: 'status',
  consumer_tag: 'consumer',
  metrics: [],
  queue: QUEUE,
};
const [WORKSPACE, SERVICE, ROUTE, BOB, EVE] = [1, 2, 3, 4, 5].map((n) => `0000000${n}-0000-4000-8000-000000000000`);

interface Asked {
  readonly by?: 'bob' | 'eve';
  readonly service?: boolean;
}

function exchange({ by, service = true }: Asked): Exchange {
  const request = fakeRequest();
  const view = { id: SERVICE, name: 'obs-stsvc', row: { host: '127.0.0.1' } };
  Object.assign(request, {
    service: service ? view : null,
    route: { id: ROUTE, name: 'obs-r', workspace: WORKSPACE, row: {} },
  });
  if (by !== undefined) {
    const row = { id: by === 'bob' ? BOB : EVE, username: `obs-${by}`, custom_id: by === 'bob' ? 'obs-bob-cid' : null };
    request.identity.authenticate({ ...row, id: String(row.id), row }, { id: 'k', identifier: null });
  }
  const latencies = { kong: 2, proxy: 5, receive: 0, request: 7 };
  return { ...overAtOnce(request), workspaceName: 'default', latencies };
}

type Metrics = NonNullable<StatsdConfig['metrics']>;
type MetricName = Metrics[number]['name'];
const metric = (name: MetricName, more: Partial<Metrics[number]> = {}): Metrics[number] => ({
  name,
  stat_type: 'counter',
  sample_rate: 1,
  consumer_identifier: null,
  service_identifier: null,
  workspace_identifier: null,
  ...more,
});
const USERS = (
  ['unique_users', 'request_per_user', 'status_count_per_user', 'status_count_per_user_per_route'] as const
).map((name) => metric(name));
const users = (called: string) => [
  `kong.service.obs-stsvc.user.uniques:${called}|s`,
  `kong.service.obs-stsvc.user.${called}.request.count:1|c`,
  `kong.service.obs-stsvc.user.${called}.status.200:1|c`,
  `kong.route.${ROUTE}.user.${called}.status.200:1|c`,
];
const counted = (name: string) => [`kong.service.${name}.request.count:1|c`];
const one = [metric('request_count')];

type StatsdRow = readonly [string, Partial<StatsdConfig>, Asked, readonly string[]];
const STATSD_ROWS: readonly StatsdRow[] = [
  ...(
    [
      ['counter', 'c'],
      ['gauge', 'g'],
      ['histogram', 'h'],
      ['meter', 'm'],
      ['set', 's'],
      ['timer', 'ms'],
    ] as const
  ).map(
    ([stat_type, written]): StatsdRow => [
      `a ${stat_type}`,
      { metrics: [metric('latency', { stat_type })] },
      {},
      [`kong.service.obs-stsvc.latency:7|${written}`],
    ],
  ),
  ['a rate above 1', { metrics: [metric('request_count', { sample_rate: 2 })] }, {}, [`${counted('obs-stsvc')[0]}|@2`]],
  [
    'consumers by id',
    { metrics: USERS, consumer_identifier_default: 'consumer_id' },
    { by: 'bob' },
    users(String(BOB)),
  ],
  ['consumers by custom id', { metrics: USERS }, { by: 'bob' }, users('obs-bob-cid')],
  ['a consumer without a custom id', { metrics: USERS }, { by: 'eve' }, []],
  ['consumers by name', { metrics: USERS, consumer_identifier_default: 'username' }, { by: 'eve' }, users('obs-eve')],
  ['services by id', { metrics: one, service_identifier_default: 'service_id' }, {}, counted(String(SERVICE))],
  ['services by name', { metrics: one, service_identifier_default: 'service_name' }, {}, counted('obs-stsvc')],
  ['services by host', { metrics: one, service_identifier_default: 'service_host' }, {}, counted('127_0_0_1')],
  ['services by name or host', { metrics: one }, {}, counted('obs-stsvc')],
  [
    'identifiers of a metric before the defaults',
    {
      metrics: [
        metric('unique_users', { stat_type: 'set', consumer_identifier: 'username', service_identifier: 'service_id' }),
        metric('status_count_per_workspace', { workspace_identifier: 'workspace_name' }),
      ],
    },
    { by: 'bob' },
    [`kong.service.${SERVICE}.user.uniques:obs-bob|s`, 'kong.service.obs-stsvc.workspace.default.status.200:1|c'],
  ],
  [
    'tags where there is no service',
    { metrics: [metric('request_count'), metric('latency', { stat_type: 'timer' })], tag_style: 'dogstatsd' },
    { service: false },
    ['kong.request.count:1|c', 'kong.latency:7|ms'],
  ],
  ['what no tag style has', { metrics: [...USERS, metric('status_count')], tag_style: 'influxdb' }, { by: 'bob' }, []],
];

it.each(STATSD_ROWS)('statsd has %s as Kong has', (_, config, asked, lines) => {
  const metrics = compileMetrics({ ...STATSD, ...config }, 'node');
  const told = exchange(asked);
  expect(metrics.flatMap((line) => line(told) ?? [])).toEqual(lines);
});

type DatadogMetric = DatadogConfig['metrics'][number];
const tagged = (name: DatadogMetric['name'], more: Partial<DatadogMetric> = {}): DatadogMetric => ({
  name,
  stat_type: 'counter',
  sample_rate: null,
  tags: null,
  consumer_identifier: null,
  ...more,
});

type DatadogRow = readonly [string, Partial<DatadogConfig>, readonly string[]];
const DATADOG_ROWS: readonly DatadogRow[] = [
  ...(
    [
      ['counter', 'c'],
      ['gauge', 'g'],
      ['histogram', 'h'],
      ['meter', 'm'],
      ['set', 's'],
      ['timer', 'ms'],
      ['distribution', 'd'],
    ] as const
  ).map(
    ([stat_type, written]): DatadogRow => [
      `a ${stat_type}`,
      { metrics: [tagged('latency', { stat_type })] },
      [`kong.latency:7|${written}|#name:obs-stsvc,status:200`],
    ],
  ),
  [
    'names of tags, and tags of a metric',
    {
      prefix: 'my',
      service_name_tag: 'svc',
      status_tag: 'st',
      consumer_tag: 'who',
      metrics: [
        tagged('request_count', {
          sample_rate: 0.99,
          tags: ['a:b', 'plain', 'x:y:z'],
          consumer_identifier: 'username',
        }),
        tagged('kong_latency', { stat_type: 'gauge', consumer_identifier: 'consumer_id' }),
        tagged('upstream_latency', { stat_type: 'timer' }),
      ],
    },
    [
      'my.request.count:1|c|@0.99|#svc:obs-stsvc,st:200,who:obs-bob,a:b,plain,x:y:z',
      `my.kong_latency:2|g|#svc:obs-stsvc,st:200,who:${String(BOB).replaceAll('-', '_')}`,
      'my.upstream_latency:5|ms|#svc:obs-stsvc,st:200',
    ],
  ],
];

it.each(DATADOG_ROWS)('datadog has %s as Kong has', async (_, config, lines) => {
  const packets: string[] = [];
  const datagram = async (_to: unknown, all: readonly Uint8Array[]) =>
    void packets.push(...all.map((packet) => new TextDecoder().decode(packet)));
  const hooks = datadog.compile({ ...DATADOG, ...config }, EVERYWHERE, fakeServices({ datagram }));
  hooks.log?.(exchange({ by: 'bob' }));
  await expect.poll(() => packets, { message: 'the packets', timeout: 60_000 }).toEqual(lines);
});
