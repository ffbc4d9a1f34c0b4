import type { Address } from './address.ts';
import type { Balancer } from './balancer.ts';
import { type Hashable, hashedBy } from './hash-key.ts';
import { type Health, reportTargets } from './health-report.ts';
import type { HashSource, Upstream } from './upstream.ts';

/** Where a balancer would send a request that is described, and not there. */
export interface BalancingExplanation {
  readonly upstream: { readonly id: string; readonly name: string };
  readonly algorithm: Upstream['algorithm'];
  /** What decides with consistent-hashing; null with other algorithms. */
  readonly hash: ExplainedHash | null;
  /** Percent of the weight that must be exceeded for the upstream to be used at all. */
  readonly threshold: number;
  /** What the client would be told because no target may have it; null: one gets it. */
  readonly refusal: string | null;
}

/** `none`: neither source has a value, and all such requests go to the same target. Without a value `cookie` means a new one. */
interface ExplainedHash {
  readonly on: HashSource['kind'];
  readonly name: string | null;
  readonly value: string | null;
}

/** An address that a target leads to, or a target that leads to none. */
export interface ExplainedTarget {
  readonly target: string;
  /** What is connected to; null: none is known. */
  readonly address: string | null;
  readonly weight: number;
  /** As in `GET /upstreams/{upstream}/health`. */
  readonly health: Health;
  readonly available: boolean;
  /** Which part of requests as this one it gets, 1 being all of them; null: what happens until then decides. */
  readonly share: number | null;
}

interface Balancing {
  readonly balancing: BalancingExplanation;
  readonly targets: readonly ExplainedTarget[];
}

export function explainBalancing(balancer: Balancer, request: Hashable): Balancing {
  const { upstream, usable } = balancer;
  const hash = upstream.algorithm === 'consistent-hashing' ? explainHash(upstream, request) : null;
  const share = sharing(balancer, hash);
  const healths = new Map(reportTargets(balancer).map((report) => [report.id, report]));
  const targets = balancer.targets.flatMap(({ id, target, weight }): readonly ExplainedTarget[] => {
    const report = healths.get(id);
    const own = balancer.addresses.filter((address) => address.id === id);
    if (own.length === 0)
      return [{ target, address: null, weight, health: report?.health ?? 'DNS_ERROR', available: false, share: 0 }];
    return own.map((address, at) => ({
      target,
      address: `${address.ip}:${address.port}`,
      weight: address.weight,
      health: report?.addresses[at]?.health ?? 'HEALTHCHECKS_OFF',
      available: isAvailable(address),
      share: usable && isAvailable(address) ? share(address) : 0,
    }));
  });
  const { id, name, algorithm, health } = upstream;
  const refusal = usable ? null : balancer.refusal;
  return { balancing: { upstream: { id, name }, algorithm, hash, threshold: health.threshold, refusal }, targets };
}

function explainHash(upstream: Upstream, request: Hashable): ExplainedHash {
  const { hashOn, hashFallback } = upstream;
  const hashed = hashedBy(upstream, request);
  // An address that was not told is not one that a request has not.
  const asked = hashed?.source === hashOn ? [] : [hashOn, hashFallback];
  if (request.clientIp === '' && asked.some(({ kind }) => kind === 'ip')) return { on: 'ip', name: null, value: null };
  if (hashed === null) return { on: 'none', name: null, value: null };
  const { source, value } = hashed;
  return { on: source.kind, name: 'name' in source ? source.name : null, value };
}

/** Which part of the requests that are like this one an available address gets. */
function sharing(balancer: Balancer, hash: ExplainedHash | null): (address: Address) => number | null {
  const available = balancer.addresses.filter(isAvailable);
  if (available.length === 1) return () => 1;
  if (hash !== null) {
    if (hash.value === null && hash.on !== 'none') return () => null;
    const chosen = balancer.addressOf(hash.value ?? '');
    // It may be of an earlier config, which spread over the same addresses.
    return ({ id, key }) => (id === chosen?.id && key === chosen.key ? 1 : 0);
  }
  if (balancer.upstream.algorithm !== 'round-robin') return () => null;
  const total = available.reduce((sum, { weight }) => sum + weight, 0);
  return ({ weight }) => weight / total;
}

const isAvailable = ({ weight, state }: Address): boolean => weight > 0 && state.health.available;
