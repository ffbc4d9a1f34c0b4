import { type Observation, thresholdOf } from './target-health.ts';
import type { Thresholds } from './upstream.ts';

/** A failed request as an isolate tells the node of it. Times in milliseconds since the epoch. */
export interface ToldFailure {
  /** Upstream id. */
  readonly upstream: string;
  /** The `key` of an `Address`. */
  readonly address: string;
  readonly kind: Exclude<Observation, 'success'>;
  readonly at: number;
  /** When the isolate last saw a success that sets counters back to zero; 0: never. */
  readonly successAt: number;
}

/**
 * What the requests of all isolates of a node saw of each address since its last success, so that a threshold takes as
 * many failures as it says, however many isolates they are spread over.
 */
export class FailureRuns {
  readonly #runs = new Map<string, { successAt: number; failures: ToldFailure[] }>();

  /** True when this failure, with those told before, reaches its threshold; counting then begins anew. */
  add(failure: ToldFailure, thresholds: Thresholds): boolean {
    const key = keyOf(failure);
    const run = this.#runs.get(key) ?? { successAt: 0, failures: [] };
    this.#runs.set(key, run);
    run.successAt = Math.max(run.successAt, failure.successAt);
    run.failures = [...run.failures, failure].filter(({ at }) => at > run.successAt);
    const threshold = thresholdOf(failure.kind, thresholds);
    const count = run.failures.filter(({ kind }) => kind === failure.kind).length;
    if (threshold === 0 || count < threshold) return false;
    this.#runs.delete(key);
    return true;
  }

  /** Counting begins anew: the address was judged. */
  forget(address: Pick<ToldFailure, 'upstream' | 'address'>): void {
    this.#runs.delete(keyOf(address));
  }

  /** Forgets addresses that are targets no longer. */
  keep(known: (address: Pick<ToldFailure, 'upstream' | 'address'>) => boolean): void {
    for (const [key, { failures }] of this.#runs) if (!failures.some(known)) this.#runs.delete(key);
  }
}

function keyOf({ upstream, address }: Pick<ToldFailure, 'upstream' | 'address'>): string {
  return `${upstream}|${address}`;
}
