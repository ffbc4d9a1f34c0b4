import { describe, expect, it } from 'vitest';
import { plugins } from '../../../edge-dp/plugins/registry.ts';
import type { Delivery, QueueOptions } from '../../../edge-dp/plugins/runtime/services.ts';
import { plugins as schemas } from '../../../shared/plugins/registry.ts';
import type { Row } from '../../../shared/record.ts';
import { fillRow } from '../../../shared/schema/fill.ts';
import { shapeOf } from '../../../shared/schema/shape.ts';
import { exchangeOf } from './exchange-of.ts';
import { EVERYWHERE, fakeServices } from './fakes.ts';

/** What plugins that send by way of a queue make of its settings, those of former versions among them. */

const AUTO = { now: () => 0, uuid: () => '', secret: () => '' };
const HTTP_LOG = { http_endpoint: 'http://logs.test/' };
const ZIPKIN = { http_endpoint: 'http://traces.test/', sample_ratio: 1 };
const OPENTELEMETRY = { traces_endpoint: 'http://traces.test/', sampling_rate: 1 };

/** A plugin, configured as the Admin API would store it, with what it asks of its queue once it has logged a request. */
async function logged(name: string, given: Row) {
  const told: string[] = [];
  const options: QueueOptions[] = [];
  const deliveries: Delivery[] = [];
  let weight = 0;
  const queue = (used: QueueOptions) => {
    options.push(used);
    return {
      push(_entry: unknown, _on: unknown, bytes = 0) {
        weight += bytes;
      },
      close: () => undefined,
    };
  };
  const services = fakeServices({
    log: (_, line) => void told.push(line),
    queue: (_name, used) => queue(used),
    deliveries(_name, used, describe) {
      deliveries.push(describe([]));
      return queue(used);
    },
    tracing: { instrumentations: ['all'], samplingRate: 1 },
  });
  const field = schemas.get(name)?.fields.config;
  const plugin = plugins.get(name);
  if (field?.type !== 'record' || plugin === undefined) throw new Error(`there is no plugin '${name}'`);
  const hooks = plugin.compile(fillRow(shapeOf(field), given, 'insert', AUTO), EVERYWHERE, services);
  const { exchange, over } = exchangeOf(200);
  await hooks.access?.(exchange.request);
  hooks.log?.(exchange);
  await over();
  return { told, options: options[0], delivery: deliveries[0], weight };
}

describe('the queue of a plugin', () => {
  it.each<[string, Row, [size: number, delay: number]]>([
    ['http-log', { ...HTTP_LOG, queue_size: 20, flush_timeout: 5, queue: { max_batch_size: 3 } }, [20, 5]],
    ['http-log', { ...HTTP_LOG, queue_size: 1, flush_timeout: 2, queue: { max_batch_size: 3 } }, [3, 1]],
    ['http-log', { ...HTTP_LOG, queue_size: -1, flush_timeout: -1 }, [1, 0]],
    ['statsd', { queue_size: 20, flush_timeout: 5 }, [20, 5]],
    ['datadog', { queue_size: 20, flush_timeout: 5 }, [20, 5]],
    ['opentelemetry', { ...OPENTELEMETRY, batch_span_count: 20, batch_flush_delay: 5 }, [20, 5]],
    ['opentelemetry', { ...OPENTELEMETRY, batch_span_count: 200, queue: { max_batch_size: 7 } }, [7, 1]],
  ])(
    'is what the fields of former versions say, unless they say what was their default: %s, %j',
    async (name, given, set) => {
      const { options, told } = await logged(name, given);
      expect([options?.max_batch_size, options?.max_coalescing_delay]).toEqual(set);
      expect(told).toEqual([]);
    },
  );

  it.each([
    ['http-log', HTTP_LOG],
    ['statsd', {}],
    ['datadog', {}],
  ])('of %s tells the log of a former field that has no effect', async (name, least) => {
    expect((await logged(name, { ...least, retry_count: 3 })).told).toEqual([
      `plugin ${name} (${EVERYWHERE.id}): retry_count has no effect, queue.max_retry_time has`,
    ]);
    expect((await logged(name, { ...least, retry_count: 10 })).told).toEqual([]);
  });

  it.each([
    ['http-log', HTTP_LOG],
    ['statsd', {}],
    ['datadog', {}],
    ['zipkin', ZIPKIN],
    ['opentelemetry', OPENTELEMETRY],
  ])('of %s is told how many bytes wait, where their number is limited', async (name, least) => {
    expect((await logged(name, { ...least, queue: { max_bytes: 100_000 } })).weight).toBeGreaterThan(100);
    // Of entries that are bytes anyway it costs nothing to know.
    if (name !== 'http-log') expect((await logged(name, least)).weight).toBe(0);
  });

  it.each([
    ['zipkin', ZIPKIN],
    ['opentelemetry', OPENTELEMETRY],
  ])('of %s sends within the times that are set for each step', async (name, least) => {
    const set = { connect_timeout: 11, send_timeout: 12, read_timeout: 13 };
    const { delivery } = await logged(name, { ...least, ...set });
    expect(delivery?.timeout).toEqual({ connect: 11, write: 12, read: 13 });
  });
});
