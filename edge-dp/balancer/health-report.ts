import type { BalancedUpstream } from './directory.ts';
import { checksHealth } from './upstream.ts';

export type Health = 'HEALTHY' | 'UNHEALTHY' | 'HEALTHCHECKS_OFF';

/** One target's health as Kong's `/upstreams/{u}/health` shows it. */
export interface TargetReport {
  readonly id: string;
  readonly target: string;
  readonly health: Health;
  readonly addresses: readonly {
    readonly ip: string;
    readonly port: number;
    readonly weight: number;
    readonly health: 'HEALTHY' | 'UNHEALTHY';
  }[];
}

/** `available` defaults to what this isolate knows; the node's checker passes its own view. */
export function reportTargets(
  balancer: BalancedUpstream,
  available: (address: string, own: boolean) => boolean = (_, own) => own,
): readonly TargetReport[] {
  const checked = checksHealth(balancer.upstream.health);
  return balancer.addresses.map(({ id, target, host, port, weight, state }) => {
    const healthy = available(`${host}:${port}`, state.health.available);
    const health = healthy ? 'HEALTHY' : 'UNHEALTHY';
    return {
      id,
      target,
      // A target that was marked by hand counts although no check is on.
      health: checked || !healthy ? health : 'HEALTHCHECKS_OFF',
      addresses: [{ ip: host, port, weight, health }],
    };
  });
}
