import { Balancer } from './balancer.ts';
import { isAddress } from './name-resolution.ts';
import type { NameTable } from './name-table.ts';
import { readTarget, readUpstream } from './upstream.ts';

/** Hosts that are kept; past that all begin anew. */
const MAX_HOSTS = 10_000;

/**
 * Services whose host is a name but no upstream, where the node's own name servers are asked for it (`dns_resolver`): each
 * is balanced over the addresses the name leads to, as if it were an upstream's only target. SRV records give the ports.
 */
export class ServiceHosts {
  readonly #names: NameTable;
  readonly #balancers = new Map<string, Balancer>();

  constructor(names: NameTable) {
    this.#names = names;
  }

  /** Undefined for a host that is an address. */
  of(host: string, port: number): Balancer | undefined {
    if (isAddress(host)) return undefined;
    const target = `${host}:${port}`;
    const known = this.#balancers.get(target);
    if (known !== undefined) return known;
    if (this.#balancers.size >= MAX_HOSTS) this.#balancers.clear();
    const upstream = readUpstream({ id: target, name: host });
    const targets = [readTarget({ id: target, target, upstream: { id: target } })];
    const balancer = new Balancer(upstream, targets, null, this.#names, Date.now());
    this.#balancers.set(target, balancer);
    return balancer;
  }
}
