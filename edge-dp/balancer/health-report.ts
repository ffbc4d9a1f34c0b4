import type { Address } from './address.ts';
import type { BalancedUpstream } from './directory.ts';
import type { RecordType } from './name-resolution.ts';
import { checksHealth } from './upstream.ts';

type AddressHealth = 'HEALTHY' | 'UNHEALTHY' | 'HEALTHCHECKS_OFF';
export type Health = AddressHealth | 'DNS_ERROR';

/** One target's health as Kong's `/upstreams/{u}/health` shows it. */
export interface TargetReport {
  readonly id: string;
  readonly target: string;
  /** Kind of record its name leads by; null while it leads nowhere. */
  readonly dns: RecordType | null;
  /** `DNS_ERROR`: its name has never led anywhere. */
  readonly health: Health;
  readonly addresses: readonly {
    readonly ip: string;
    readonly port: number;
    readonly weight: number;
    readonly health: AddressHealth;
  }[];
}

/** `available` defaults to what this isolate knows; the node's checker passes its own view. */
export function reportTargets(
  balancer: BalancedUpstream,
  available: (address: Address) => boolean = ({ state }) => state.health.available,
): readonly TargetReport[] {
  const checked = checksHealth(balancer.upstream.health);
  const byTarget = Map.groupBy(balancer.addresses, ({ id }) => id);
  return balancer.targets.map((target) => {
    const dns = balancer.dnsOf(target);
    const own = byTarget.get(target.id) ?? [];
    // A target of weight 0 gets no requests: Kong has no say about its health either.
    const unharmed: AddressHealth = checked && target.weight > 0 ? 'HEALTHY' : 'HEALTHCHECKS_OFF';
    const addresses = own.map((address) => {
      const health = available(address) ? unharmed : ('UNHEALTHY' as const);
      return { ip: address.ip, port: address.port, weight: address.weight, health };
    });
    const healths = new Set(addresses.map(({ health }) => health));
    return { id: target.id, target: target.target, dns: dns.type, health: verdict(), addresses };

    function verdict(): Health {
      if (dns.failed) return 'DNS_ERROR';
      // A target that was marked by hand counts although no check is on.
      if (!healths.has('UNHEALTHY')) return unharmed;
      return healths.size > 1 ? 'HEALTHY' : 'UNHEALTHY';
    }
  });
}
