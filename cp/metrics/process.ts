import { cpuUsage, memoryUsage, uptime } from 'node:process';
import type { Metric } from '../../shared/metrics-text.ts';

const startedAt = Date.now() / 1000 - uptime();

/** What this process uses, by the names Prometheus has for that. */
export function processMetrics(): readonly Metric[] {
  const { user, system } = cpuUsage();
  const { rss, heapUsed, heapTotal } = memoryUsage();
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    type: 'gauge',
    help,
    labels: {},
    value,
  });
  return [
    {
      name: 'process_cpu_seconds_total',
      type: 'counter',
      help: 'Processor time of this process in seconds',
      labels: {},
      value: (user + system) / 1e6,
    },
    gauge('process_resident_memory_bytes', 'Memory of this process', rss),
    gauge('process_start_time_seconds', 'When this process started, in Unix seconds', startedAt),
    gauge('nodejs_heap_size_used_bytes', 'JavaScript objects of this process', heapUsed),
    gauge('nodejs_heap_size_total_bytes', 'Memory this process keeps for them', heapTotal),
  ];
}
