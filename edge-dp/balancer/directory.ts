import type { Address } from './address.ts';
import type { Upstream } from './upstream.ts';

/** One upstream of a config as it may be looked at: what is configured and how its targets are. */
export interface BalancedUpstream {
  readonly upstream: Upstream;
  /** All targets, those of weight 0 included. */
  readonly addresses: readonly Address[];
  /** Whether enough of the weight is available for the upstream to be used at all. */
  readonly usable: boolean;
}

/** The upstreams of a config. */
export interface UpstreamDirectory {
  /** By an upstream's id, or by its name in the default workspace, as the Status API names upstreams. */
  find(idOrName: string): BalancedUpstream | undefined;
  all(): Iterable<BalancedUpstream>;
}
