import { escaped } from '../../../shared/metrics-text.ts';
import type { Samples } from '../../durable/state-messages.ts';
import type { DropReason } from './batch-queue.ts';

/** Entries of queues (log entries, spans, metrics) that are lost, by the queue and the reason. */
export const QUEUE_DROPPED = 'holdfast_queue_entries_dropped_total';

export function droppedLabels(queue: string, reason: DropReason): string {
  return `queue="${escaped(queue)}",reason="${reason}"`;
}

export function droppedSample(queue: string, reason: DropReason, entries: number): Samples {
  return { [QUEUE_DROPPED]: [[droppedLabels(queue, reason), [entries]]] };
}
