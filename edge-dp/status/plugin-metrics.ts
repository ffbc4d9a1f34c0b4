import { escaped, type MetricFamily } from '../../shared/metrics-text.ts';
import { mustBeRecord } from '../../shared/record.ts';
import type { BalancedUpstream } from '../balancer/directory.ts';
import { reportTargets } from '../balancer/health-report.ts';
import { METRICS, type MetricsQuestion, parseSamples, type Samples } from '../durable/state-messages.ts';
import type { Env } from '../env.ts';
import { FAMILIES } from '../plugins/metric-families.ts';
import { askNode } from '../plugins/services/node-state.ts';
import { countedFamily, family } from './counted-family.ts';
import { HOST_FAMILIES } from './host-families.ts';

/**
 * What the prometheus plugin, `ofPlugin` as long as there is one, and the host have counted in all processes of the node; none
 * where their keeper does not answer.
 */
export async function countedFamilies({ NODE }: Env, ofPlugin: boolean): Promise<readonly MetricFamily[]> {
  let samples: Samples;
  let dropped: number;
  try {
    const answer = await askNode(NODE)(METRICS, { does: 'show' } satisfies MetricsQuestion);
    const read = mustBeRecord(answer, 'the answer');
    samples = parseSamples(read.samples);
    dropped = Number(read.dropped);
  } catch {
    return [];
  }
  const families: MetricFamily[] = [];
  for (const [name, { help, bounds }] of Object.entries({ ...(ofPlugin && FAMILIES), ...HOST_FAMILIES })) {
    const own = samples[name];
    if (own === undefined) continue;
    families.push(countedFamily(name, { help, bounds }, own));
  }
  if (!ofPlugin) return families;
  const errors = 'kong_nginx_metric_errors_total';
  families.push(family(errors, 'counter', 'Number of nginx-lua-prometheus errors', [`${errors} ${dropped}`]));
  return families;
}

const STATES = ['dns_error', 'healthchecks_off', 'healthy', 'unhealthy'] as const;

/** How the targets of all upstreams are, each address in four lines of which one says 1; `streams`: those of streams have the same. */
export function upstreamHealth(upstreams: Iterable<BalancedUpstream>, streams: boolean): readonly MetricFamily[] {
  const name = 'kong_upstream_target_health';
  const lines: string[] = [];
  for (const balancer of upstreams) {
    for (const { target, health, addresses } of reportTargets(balancer)) {
      const rows = addresses.map(({ ip, port, health: own }) => ({
        address: `${ip}:${port}`,
        state: health === 'HEALTHCHECKS_OFF' ? health : own,
      }));
      // A name that leads nowhere has a line all the same.
      const shown = rows.length > 0 ? rows : [{ address: '', state: health }];
      for (const { address, state } of shown) {
        const own = `upstream="${escaped(balancer.upstream.name)}",target="${escaped(target)}",address="${address}"`;
        for (const each of STATES) {
          const value = each === state.toLowerCase() ? 1 : 0;
          for (const subsystem of streams ? ['http', 'stream'] : ['http'])
            lines.push(`${name}{${own},state="${each}",subsystem="${subsystem}"} ${value}`);
        }
      }
    }
  }
  if (lines.length === 0) return [];
  const help =
    'Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, value is 1 when state is populated.';
  return [family(name, 'gauge', help, lines.sort())];
}
