import { escaped, type MetricFamily } from '../../shared/metrics-text.ts';
import { mustBeRecord } from '../../shared/record.ts';
import type { BalancedUpstream } from '../balancer/directory.ts';
import { reportTargets } from '../balancer/health-report.ts';
import { METRICS, type MetricsQuestion, parseSamples, type Samples } from '../durable/state-messages.ts';
import type { Env } from '../env.ts';
import { FAMILIES } from '../plugins/metric-families.ts';
import { askNode } from '../plugins/services/node-state.ts';
import { HOST_FAMILIES } from './host-families.ts';

/** What the prometheus plugin and the host have counted in all processes of the node; none where their keeper does not answer. */
export async function countedFamilies({ NODE }: Env): Promise<readonly MetricFamily[]> {
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
  for (const [name, { help, bounds }] of Object.entries({ ...FAMILIES, ...HOST_FAMILIES })) {
    const own = samples[name];
    if (own === undefined) continue;
    const lines = bounds === null ? counterLines(name, own) : histogramLines(name, bounds, own);
    families.push(family(name, bounds === null ? 'counter' : 'histogram', help, lines));
  }
  const errors = 'kong_nginx_metric_errors_total';
  families.push(family(errors, 'counter', 'Number of nginx-lua-prometheus errors', [`${errors} ${dropped}`]));
  return families;
}

function family(name: string, type: string, help: string, lines: readonly string[]): MetricFamily {
  return { name, text: `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n` };
}

type Sets = Samples[string];

function counterLines(name: string, sets: Sets): readonly string[] {
  return sets.map(([labels, [value = 0]]) => `${name}{${labels}} ${value}`).sort();
}

function histogramLines(name: string, bounds: readonly number[], sets: Sets): readonly string[] {
  const sorted = [...sets].sort(([a], [b]) => (a < b ? -1 : 1));
  const counts = sorted.map(([labels, numbers]) => {
    let count = 0;
    const upTo: number[] = [];
    for (const number of numbers.slice(0, bounds.length + 1)) {
      count += number;
      upTo.push(count);
    }
    return { labels, upTo, count, sum: numbers[bounds.length + 1] ?? 0 };
  });
  return [
    ...counts.flatMap(({ labels, upTo }) =>
      upTo.map((count, at) => `${name}_bucket{${labels},le="${bounds[at] ?? '+Inf'}"} ${count}`),
    ),
    ...counts.map(({ labels, count }) => `${name}_count{${labels}} ${count}`),
    ...counts.map(({ labels, sum }) => `${name}_sum{${labels}} ${sum}`),
  ];
}

const STATES = ['dns_error', 'healthchecks_off', 'healthy', 'unhealthy'] as const;

/** How the targets of all upstreams are, each address in four lines of which one says 1. */
export function upstreamHealth(upstreams: Iterable<BalancedUpstream>): readonly MetricFamily[] {
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
        for (const each of STATES) {
          const labels = `upstream="${escaped(balancer.upstream.name)}",target="${escaped(target)}",address="${address}",state="${each}",subsystem="http"`;
          lines.push(`${name}{${labels}} ${each === state.toLowerCase() ? 1 : 0}`);
        }
      }
    }
  }
  if (lines.length === 0) return [];
  const help =
    'Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, value is 1 when state is populated.';
  return [family(name, 'gauge', help, lines.sort())];
}
