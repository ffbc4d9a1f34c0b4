import { escaped, familiesOf, type MetricFamily } from '../../shared/metrics-text.ts';
import { LATENCY_BOUNDS, type Latencies, type Series } from '../../shared/telemetry/series.ts';
import { isUuid } from '../../shared/uuid.ts';
import type { TelemetryFigures } from '../telemetry/desk.ts';
import type { Named, TelemetryHistory } from '../telemetry/history.ts';
import { countOf } from '../telemetry/latency.ts';

/** Series of all families; those with least requests are left out. */
const MOST = 20_000;

/** Kong's prometheus plugin has these as bounds of its latencies; the others stay out, so that its queries find what they know. */
const BOUNDS = [25, 50, 80, 100, 250, 400, 700, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/**
 * What data planes told of their traffic, all of them together: by the names of Kong's prometheus plugin where it has them.
 * `figures`: of this control plane's telemetry port.
 */
export async function telemetryFamilies(
  history: TelemetryHistory,
  figures: TelemetryFigures,
): Promise<readonly MetricFamily[]> {
  const series = await history.totals(MOST);
  const ids = new Set(series.flatMap(({ subject, service }) => [subject, service]).filter(isUuid));
  const names = await history.names([...ids]);
  const byRoute = series.filter(({ dimension }) => dimension === 'route');
  const byConsumer = series.filter(({ dimension }) => dimension === 'consumer');
  const answer = ({ status, source }: Series) => `code="${status}xx",source="${source}"`;
  return [
    ...counters(
      'kong_http_requests_total',
      'Requests by service, route, class of status and who answered, of all data planes',
      byRoute,
      (one) => `${targetOf(one, names)},${answer(one)},${workspaceOf(one, names)},consumer=""`,
    ),
    ...histograms(
      'kong_request_latency_ms',
      'Milliseconds from the first byte of a request to the last of its answer, of all data planes',
      { series: byRoute, names, latenciesOf: ({ request }) => request },
    ),
    ...histograms('kong_upstream_latency_ms', 'Milliseconds until upstreams began to answer, of all data planes', {
      series: byRoute,
      names,
      latenciesOf: ({ upstream }) => upstream,
    }),
    ...counters(
      'holdfast_consumer_requests_total',
      'Requests by consumer and class of status, of all data planes',
      byConsumer,
      (one) => `consumer="${nameOf(one.subject, names)}",${answer(one)},${workspaceOf(one, names)}`,
    ),
    ...familiesOf(batches(figures)),
  ];
}

type Names = ReadonlyMap<string, Named>;

function batches({ kept, refused, failed }: TelemetryFigures): Parameters<typeof familiesOf>[0] {
  const results = { kept, refused, failed };
  return Object.entries(results).map(([result, value]) => ({
    name: 'holdfast_telemetry_batches_total',
    type: 'counter' as const,
    help: 'Batches of telemetry that data planes brought to this control plane, and what became of them',
    labels: { result },
    value,
  }));
}

function nameOf(id: string, names: Names): string {
  return escaped(names.get(id)?.name ?? id);
}

function targetOf({ subject, service }: Series, names: Names): string {
  return `service="${nameOf(service, names)}",route="${nameOf(subject, names)}"`;
}

function workspaceOf({ subject }: Series, names: Names): string {
  return `workspace="${escaped(names.get(subject)?.workspace ?? '')}"`;
}

function counters(
  name: string,
  help: string,
  all: readonly Series[],
  labelsOf: (series: Series) => string,
): readonly MetricFamily[] {
  const lines = summed(all, labelsOf, ({ request }) => request).map(
    ([labels, { buckets }]) => `${name}{${labels}} ${countOf(buckets)}\n`,
  );
  return family(name, 'counter', help, lines);
}

function histograms(
  name: string,
  help: string,
  {
    series: all,
    names,
    latenciesOf,
  }: { readonly series: readonly Series[]; readonly names: Names; readonly latenciesOf: (series: Series) => Latencies },
): readonly MetricFamily[] {
  const labelsOf = (series: Series) => `${targetOf(series, names)},${workspaceOf(series, names)}`;
  const lines = summed(all, labelsOf, latenciesOf).flatMap(([labels, { buckets, sum }]) => {
    const count = countOf(buckets);
    if (count === 0) return [];
    const within = (bound: number): number =>
      countOf(buckets.filter((_, place) => (LATENCY_BOUNDS[place] ?? Number.POSITIVE_INFINITY) <= bound));
    return [
      ...BOUNDS.map((bound) => `${name}_bucket{${labels},le="${bound}"} ${within(bound)}\n`),
      `${name}_bucket{${labels},le="+Inf"} ${count}\n${name}_sum{${labels}} ${sum}\n${name}_count{${labels}} ${count}\n`,
    ];
  });
  return family(name, 'histogram', help, lines);
}

function family(name: string, type: string, help: string, lines: readonly string[]): readonly MetricFamily[] {
  return lines.length === 0
    ? []
    : [{ name, text: `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}` }];
}

/** Those with the same labels are one: two services of a name in two workspaces, or statuses where they are not told apart. */
function summed(
  all: readonly Series[],
  labelsOf: (series: Series) => string,
  latenciesOf: (series: Series) => Latencies,
): readonly (readonly [labels: string, latencies: { readonly buckets: readonly number[]; readonly sum: number }])[] {
  const sums = new Map<string, { buckets: number[]; sum: number }>();
  for (const series of all) {
    const labels = labelsOf(series);
    const { buckets, sum } = latenciesOf(series);
    const known = sums.get(labels);
    if (known === undefined) sums.set(labels, { buckets: [...buckets], sum });
    else {
      for (const [place, count] of buckets.entries()) known.buckets[place] = (known.buckets[place] ?? 0) + count;
      known.sum += sum;
    }
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
}
