import type { Lookup } from '../../balancer/name-resolution.ts';
import type { Egress } from './egress.ts';

/** Sending and looking up names in the data plane's own process, on a host whose runtime can do both. */
export interface Outward {
  readonly egress: Egress;
  readonly lookup: Lookup;
}
