import type { Thresholds } from './upstream.ts';

/** `mostly_*`: on the way to the other state, with the availability of the old one. */
type HealthState = 'healthy' | 'mostly_healthy' | 'mostly_unhealthy' | 'unhealthy';

/** What was seen of a target once. `http`: a status that counts as a failure. */
export type Observation = 'success' | 'http' | 'tcp' | 'timeout';

/**
 * The circuit breaker of one address. Observations of one side set the other side's counters back to zero; a counter that
 * reaches its threshold flips the state; a threshold of 0 makes that kind of observation mean nothing.
 */
export class TargetHealth {
  #state: HealthState = 'healthy';
  #counts: Record<Observation, number> = { success: 0, http: 0, tcp: 0, timeout: 0 };

  get state(): HealthState {
    return this.#state;
  }

  get available(): boolean {
    return this.#state === 'healthy' || this.#state === 'mostly_healthy';
  }

  /** True when the availability changed. */
  observe(observation: Observation, thresholds: Thresholds): boolean {
    const threshold = thresholdOf(observation, thresholds);
    if (threshold === 0) return false;
    const good = observation === 'success';
    if (this.#state === (good ? 'healthy' : 'unhealthy')) return false;
    const counts = this.#counts;
    if (good) this.#counts = { success: counts.success, http: 0, tcp: 0, timeout: 0 };
    else counts.success = 0;
    this.#counts[observation] += 1;
    if (this.#counts[observation] >= threshold) return this.set(good);
    if (good && this.#state === 'unhealthy') this.#state = 'mostly_unhealthy';
    if (!good && this.#state === 'healthy') this.#state = 'mostly_healthy';
    return false;
  }

  /** Sets the state by hand and starts counting anew. True when the availability changed. */
  set(healthy: boolean): boolean {
    const before = this.available;
    this.#state = healthy ? 'healthy' : 'unhealthy';
    this.#counts = { success: 0, http: 0, tcp: 0, timeout: 0 };
    return before !== healthy;
  }
}

/** What a status says under these thresholds; null for nothing. */
export function observationOf(status: number, thresholds: Thresholds): Observation | null {
  if (thresholds.healthyStatuses.has(status)) return 'success';
  return thresholds.unhealthyStatuses.has(status) ? 'http' : null;
}

/** How many observations of that kind flip a target. */
export function thresholdOf(observation: Observation, thresholds: Thresholds): number {
  switch (observation) {
    case 'success':
      return thresholds.successes;
    case 'http':
      return thresholds.httpFailures;
    case 'tcp':
      return thresholds.tcpFailures;
    case 'timeout':
      return thresholds.timeouts;
  }
}
