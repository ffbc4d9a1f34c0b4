import type { Address } from './address.ts';
import type { BalancedUpstream } from './directory.ts';

/** An address and the upstream it is probed for. */
export interface Due {
  readonly balancer: BalancedUpstream;
  readonly address: Address;
  readonly key: string;
}

/**
 * When each address is probed next. Addresses that are available are probed at the `healthy` interval, the others at the
 * `unhealthy` one; an interval of 0 probes none of its kind.
 */
export class ProbeSchedule {
  /** Milliseconds since the epoch of the last probe, by upstream and address. */
  readonly #last = new Map<string, number>();

  /** What is due now, and when to look again; null: nothing will ever be. */
  due(
    balancers: Iterable<BalancedUpstream>,
    available: (upstream: string, address: string) => boolean,
    now: number,
  ): { readonly due: readonly Due[]; readonly next: number | null } {
    const due: Due[] = [];
    const known = new Set<string>();
    let next: number | null = null;
    for (const balancer of balancers) {
      const { id, health } = balancer.upstream;
      for (const address of balancer.addresses) {
        const { healthyInterval, unhealthyInterval } = health.active;
        const interval = (available(id, address.key) ? healthyInterval : unhealthyInterval) * 1000;
        if (interval <= 0 || address.weight === 0) continue;
        const key = `${id}|${address.key}`;
        known.add(key);
        const last = this.#last.get(key) ?? Number.NEGATIVE_INFINITY;
        // One in the future was made before the clock was set back.
        const at = last > now ? now : last + interval;
        if (at <= now) {
          due.push({ balancer, address, key });
          this.#last.set(key, now);
        }
        const again = at <= now ? now + interval : at;
        next = next === null ? again : Math.min(next, again);
      }
    }
    for (const key of this.#last.keys()) if (!known.has(key)) this.#last.delete(key);
    return { due, next };
  }
}
