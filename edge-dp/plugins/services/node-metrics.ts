import { METRICS } from '../../durable/state-messages.ts';
import type { Metrics, ShownMetrics } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';
import { type Lender, NodeSums } from './node-sums.ts';
import type { Queues } from './queues.ts';

export const METRICS_QUEUE = 'metrics';

/** Counts of an isolate for Prometheus, on their way to the node. */
export class NodeMetrics implements Metrics {
  readonly #sums: NodeSums;
  readonly #shown = { counts: 0, upstreamHealth: 0 };

  /** Without a node nobody asks for them. */
  constructor(ask: AskState | null, queues: Queues, colo: () => string | null) {
    this.#sums = new NodeSums(ask, queues, { colo, keeper: METRICS, queue: METRICS_QUEUE });
  }

  get shown(): ShownMetrics {
    return { counts: this.#shown.counts > 0, upstreamHealth: this.#shown.upstreamHealth > 0 };
  }

  count(family: string, labels: string, amount: number, on: Lender): void {
    const numbers = this.#sums.of(family, labels, 1, on);
    numbers[0] = (numbers[0] ?? 0) + amount;
  }

  observe(family: string, bounds: readonly number[], labels: string, value: number, on: Lender): void {
    const numbers = this.#sums.of(family, labels, bounds.length + 2, on);
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    numbers[bucket] = (numbers[bucket] ?? 0) + 1;
    numbers[bounds.length + 1] = (numbers[bounds.length + 1] ?? 0) + value;
  }

  show(what: keyof ShownMetrics): () => void {
    this.#shown[what]++;
    let over = false;
    return () => {
      if (!over) this.#shown[what]--;
      over = true;
    };
  }
}
