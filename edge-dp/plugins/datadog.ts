import type { DatadogConfig } from '../../shared/plugins/datadog.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { fingerprint } from './fingerprint.ts';
import { type Logged, loggedStatus } from './log-entry.ts';
import { metricLine, type Tag, tagValue } from './metrics-line.ts';
import { consumerName, VALUES } from './metrics-values.ts';
import { bytesOf, queueOptions } from './queue-options.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Sends metrics of requests to a Datadog agent over UDP, a packet each. */
const datadog: Plugin<DatadogConfig> = {
  name: 'datadog',
  version: KONG_VERSION,
  priority: 10,
  watches: true,
  compile(config, place, services) {
    const address = { host: config.host ?? 'localhost', port: config.port ?? 8125 };
    const options = queueOptions(config, { plugin: 'datadog', place }, services);
    const key = fingerprint([options, config.host, config.port]);
    const entries = services.queue<readonly string[]>(
      `datadog ${address.host}:${address.port} ${key}`,
      options,
      (batch) =>
        services.datagram(
          address,
          batch.flatMap((lines) => lines.map((line) => utf8.encode(line))),
        ),
    );
    const { service_name_tag, status_tag, consumer_tag } = config;
    const metrics = config.metrics.map(({ name, stat_type, sample_rate, tags, consumer_identifier }) => {
      const { stat, of } = VALUES[name] ?? { stat: name, of: () => 1 };
      const line = (exchange: Logged): string | null => {
        const value = of(exchange);
        // A session has no upstream's answer to be waited for.
        if ('session' in exchange && value === -1) return null;
        const { service, identity } = exchange.request;
        const host = typeof service?.row.host === 'string' ? service.row.host : '';
        const called = (service?.name ?? host).replaceAll('.', '_');
        const consumer = consumer_identifier === null ? null : consumerName(identity.consumer, consumer_identifier);
        const shown = consumer_identifier === 'consumer_id' ? (consumer?.replaceAll('-', '_') ?? null) : consumer;
        const all: readonly Tag[] = [
          [service_name_tag ?? 'name', tagValue(called)],
          [status_tag ?? 'status', String(loggedStatus(exchange))],
          ...(shown === null ? [] : [[consumer_tag ?? 'consumer', tagValue(shown)] as const]),
          ...(tags ?? []),
        ];
        const metric = {
          name: `${config.prefix ?? 'kong'}.${stat}`,
          value,
          type: stat_type,
          rate: sample_rate,
        };
        return metricLine(metric, all, 'dogstatsd');
      };
      return line;
    });
    const log = (exchange: Logged): void => {
      const lines = metrics.flatMap((line) => line(exchange) ?? []);
      entries.push(lines, exchange.request, options.max_bytes === null ? 0 : bytesOf(lines));
    };
    return {
      log,
      logStream: log,
      close: () => entries.close(),
    };
  },
};

export default datadog;

const utf8 = new TextEncoder();
