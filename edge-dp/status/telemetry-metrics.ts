import { familiesOf, type Metric, type MetricFamily } from '../../shared/metrics-text.ts';
import { mustBeRecord } from '../../shared/record.ts';
import { LATENCY_BOUNDS } from '../../shared/telemetry/series.ts';
import { parseSamples, type Samples, TELEMETRY } from '../durable/state-messages.ts';
import type { Env } from '../env.ts';
import { askNode } from '../plugins/services/node-state.ts';
import { countedFamily } from './counted-family.ts';

/** What was counted of requests for control planes, and what became of that; nothing where they are not told, or its keeper does not answer. */
export async function telemetryFamilies({ SETTINGS, NODE }: Env): Promise<readonly MetricFamily[]> {
  if (SETTINGS.telemetry === undefined) return [];
  try {
    const answer = await askNode(NODE)(TELEMETRY, { does: 'show' });
    const { waiting, bytes, told, dropped, bounded, served } = mustBeRecord(answer, 'the answer');
    const { request = [], upstream = [] } = parseSamples(served);
    const metric = (name: string, type: Metric['type'], help: string, value: unknown): Metric => {
      return { name: `holdfast_telemetry_${name}`, type, help, labels: {}, value: Number(value) };
    };
    const standing = [
      metric('waiting_batches', 'gauge', 'Batches of telemetry that no control plane has taken yet', waiting),
      metric('waiting_bytes', 'gauge', 'Bytes of these', bytes),
      metric('requests_total', 'counter', 'Requests that control planes were told of', told),
      metric('dropped_requests_total', 'counter', 'Requests that no control plane will be told of', dropped),
      metric(
        'bounded_total',
        'counter',
        'Requests counted together with others, since there were too many routes or consumers',
        bounded,
      ),
    ];
    return [
      ...familiesOf(standing),
      ...latencies('request', 'from the first byte of a request to the last of its answer', request),
      // Only of what was sent on.
      ...latencies(
        'upstream',
        'until upstreams began to answer',
        upstream.filter(([, numbers]) => numbers.some((number) => number > 0)),
      ),
    ];
  } catch {
    return [];
  }
}

function latencies(of: 'request' | 'upstream', what: string, sets: Samples[string]): readonly MetricFamily[] {
  if (sets.length === 0) return [];
  const help = `Milliseconds ${what}, by class of status and who answered`;
  return [countedFamily(`holdfast_${of}_latency_ms`, { help, bounds: LATENCY_BOUNDS }, sets)];
}
