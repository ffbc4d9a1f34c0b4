import type { Metric } from '../../shared/metrics-text.ts';
import { mustBeRecord } from '../../shared/record.ts';
import type { Env } from '../env.ts';
import { askNode } from '../plugins/services/node-state.ts';
import { TELEMETRY } from './recorder.ts';

/** What became of what control planes are told of requests; nothing where they are not told, or its keeper does not answer. */
export async function telemetryStanding({ SETTINGS, NODE }: Env): Promise<readonly Metric[]> {
  if (SETTINGS.telemetry === undefined) return [];
  try {
    const answer = await askNode(NODE)(TELEMETRY, { does: 'show' });
    const { waiting, bytes, told, dropped, bounded } = mustBeRecord(answer, 'the answer');
    const metric = (name: string, type: Metric['type'], help: string, value: unknown): Metric => {
      return { name: `holdfast_telemetry_${name}`, type, help, labels: {}, value: Number(value) };
    };
    return [
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
  } catch {
    return [];
  }
}
