import { type Observation, TargetHealth } from './target-health.ts';
import type { Thresholds } from './upstream.ts';

/** The address of an upstream: its id, and the `key` of the `Address`. */
interface Place {
  readonly upstream: string;
  readonly address: string;
}

/** The circuit breakers of active checks, one for each address that was probed. */
export class ActiveBreakers {
  readonly #breakers = new Map<string, Place & { readonly health: TargetHealth }>();

  /** What a probe has seen. `healthy`: what the node holds of the address until then. Gives what it is to hold of it now. */
  observe(place: Place, seen: Observation, thresholds: Thresholds, healthy: boolean): boolean {
    const key = keyOf(place);
    let health = this.#breakers.get(key)?.health;
    if (health === undefined) {
      health = new TargetHealth();
      this.#breakers.set(key, { ...place, health });
    }
    // What was forgotten of an address that left, and has come back, does not count here either.
    if (health.available !== healthy) health.set(healthy);
    health.observe(seen, thresholds);
    return health.available;
  }

  /** Somebody else has found out, or decided; counting begins anew. */
  set(place: Place, healthy: boolean): void {
    this.#breakers.get(keyOf(place))?.health.set(healthy);
  }

  /** Forgets addresses that are targets no longer. */
  keep(known: (place: Place) => boolean): void {
    for (const [key, breaker] of this.#breakers) if (!known(breaker)) this.#breakers.delete(key);
  }
}

function keyOf({ upstream, address }: Place): string {
  return `${upstream}|${address}`;
}
