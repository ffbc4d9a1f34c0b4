import type { StatsdConfig } from '../../shared/plugins/statsd.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { fingerprint } from './fingerprint.ts';
import { type Logged, loggedStatus } from './log-entry.ts';
import { bytesOf, queueOptions } from './queue-options.ts';
import type { Plugin } from './runtime/plugin.ts';
import { compileMetrics } from './statsd/metrics.ts';
import { statsdServer } from './statsd/server.ts';

/** Sends metrics of requests to a StatsD server, over UDP or TCP. */
const statsd: Plugin<StatsdConfig> = {
  name: 'statsd',
  version: KONG_VERSION,
  priority: 11,
  watches: true,
  compile(config, place, services) {
    const server = {
      host: config.host ?? 'localhost',
      port: config.port ?? 8125,
      tcp: config.use_tcp === true,
      packetSize: config.udp_packet_size ?? 0,
    };
    const options = queueOptions(config, { plugin: 'statsd', place }, services);
    const { host, port } = server;
    const name = `statsd ${host}:${port} ${fingerprint([options, server])}`;
    const entries = services.queue<readonly string[]>(name, options, statsdServer(server, services));
    const metrics = compileMetrics(config, services.node.hostname.replaceAll('.', '_'));
    const counts = compileStatuses(config.allow_status_codes);
    const log = (exchange: Logged): void => {
      if (!counts(loggedStatus(exchange))) return;
      const lines = metrics.flatMap((metric) => metric(exchange) ?? []);
      if (lines.length === 0) return;
      entries.push(lines, exchange.request, options.max_bytes === null ? 0 : bytesOf(lines));
    };
    return {
      log,
      logStream: log,
      close: () => entries.close(),
    };
  },
};

export default statsd;

/** Whether a status lies in one of the ranges (`200-204`); where there are none, all do. */
function compileStatuses(ranges: readonly string[] | null): (status: number) => boolean {
  if (ranges === null) return () => true;
  const bounds = ranges.map((range) => range.split('-').map(Number));
  return (status) => bounds.some(([low = 0, high = 0]) => low <= status && status <= high);
}
