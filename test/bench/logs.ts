import { admin } from '../e2e/processes.ts';
import type { PluginScenario } from './plugins.ts';
import { startSink } from './sink.ts';

/** The first is what the others are to be compared with. */
export const LOG_SCENARIOS = [
  'logs: none',
  'logs: http-log, batches of 200',
  'logs: file-log',
  'logs: prometheus, all families',
  'logs: opentelemetry, 1 %',
  'logs: opentelemetry, 100 %',
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
  const plugins = [
    null,
    { name: 'http-log', config: { http_endpoint: endpoint, queue } },
    { name: 'file-log', config: { path: '/dev/null' } },
    { name: 'prometheus', config: families },
    traces(0.01),
    traces(1),
  ];
  const scenarios: PluginScenario[] = [];
  for (const [place, plugin] of plugins.entries()) {
    const path = `/logs-${place}`;
    const { id } = await admin(`${api}/services/bench/routes`, 'POST', { paths: [path] });
    if (plugin !== null) await admin(`${api}/routes/${id}/plugins`, 'POST', plugin);
    scenarios.push({ name: LOG_SCENARIOS[place] ?? path, path, headers: [] });
  }
  return { scenarios, stop: () => sink.stop() };
}
