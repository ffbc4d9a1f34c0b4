import { admin } from '../e2e/processes.ts';
import type { PluginScenario } from './plugins.ts';
import { startSink } from './sink.ts';

/** The first is what the others are to be compared with, of those with a long body the first of them. */
export const LOG_SCENARIOS = [
  'logs: none',
  'logs: http-log, batches of 200',
  'logs: file-log',
  'logs: prometheus, all families',
  'logs: opentelemetry, 1 %',
  'logs: opentelemetry, 100 %',
  'logs: none, a body of 1 MB',
  'logs: http-log, a body of 1 MB',
] as const;

/** Routes with one plugin that watches, on the service `bench`, made through the Admin API. */
export async function logScenarios(
  api: string,
): Promise<{ readonly scenarios: readonly PluginScenario[]; stop(): void }> {
  const sink = await startSink();
  const endpoint = `http://127.0.0.1:${sink.port}/`;
  const queue = { max_batch_size: 200, max_coalescing_delay: 1 };
  const families = {
    status_code_metrics: true,
    latency_metrics: true,
    bandwidth_metrics: true,
    upstream_health_metrics: true,
  };
  const traces = (sampling_rate: number) => ({
    name: 'opentelemetry',
    config: { traces_endpoint: endpoint, sampling_rate, queue },
  });
  const httpLog = { name: 'http-log', config: { http_endpoint: endpoint, queue } };
  const plugins = [
    null,
    httpLog,
    { name: 'file-log', config: { path: '/dev/null' } },
    { name: 'prometheus', config: families },
    traces(0.01),
    traces(1),
    null,
    httpLog,
  ];
  const { host, port } = await admin(`${api}/services/bench`);
  await admin(`${api}/services`, 'POST', { name: 'bench-megabyte', host, port, path: '/megabyte' });
  const scenarios: PluginScenario[] = [];
  for (const [place, plugin] of plugins.entries()) {
    const name = LOG_SCENARIOS[place] ?? `logs: ${place}`;
    const long = name.endsWith('1 MB');
    // Under this path others have it from the upstream as well.
    const path = `${long ? '/megabyte' : ''}/logs-${place}`;
    const service = long ? 'bench-megabyte' : 'bench';
    const { id } = await admin(`${api}/services/${service}/routes`, 'POST', { paths: [path] });
    if (plugin !== null) await admin(`${api}/routes/${id}/plugins`, 'POST', plugin);
    scenarios.push({ name, path, headers: [] });
  }
  return { scenarios, stop: () => sink.stop() };
}
