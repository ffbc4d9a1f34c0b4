import type { MetricFamily } from '../../shared/metrics-text.ts';
import type { Samples } from '../durable/state-messages.ts';

/** What was counted by labels: numbers, or with `bounds` histograms. */
export function countedFamily(
  name: string,
  { help, bounds }: { readonly help: string; readonly bounds: readonly number[] | null },
  sets: Sets,
): MetricFamily {
  const lines = bounds === null ? counterLines(name, sets) : histogramLines(name, bounds, sets);
  return family(name, bounds === null ? 'counter' : 'histogram', help, lines);
}

/** Lines without their ends. */
export function family(name: string, type: string, help: string, lines: readonly string[]): MetricFamily {
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
