/** A sample in Prometheus' text format 0.0.4. */
export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const METRICS_TYPE = 'text/plain; charset=UTF-8';

/** Samples of one name as the exposition has them. */
export interface MetricFamily {
  readonly name: string;
  readonly text: string;
}

/** Samples by their names, which Kong puts in alphabetical order. */
export function familiesOf(metrics: readonly Metric[]): readonly MetricFamily[] {
  return [...Map.groupBy(metrics, ({ name }) => name)].map(([name, own]) => ({ name, text: metricsText(own) }));
}

/** The exposition of samples; those of one name must follow each other. */
export function metricsText(metrics: readonly Metric[]): string {
  let family = '';
  let text = '';
  for (const { name, type, help, labels, value } of metrics) {
    if (name !== family) text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    family = name;
    const pairs = Object.entries(labels).map(([label, content]) => `${label}="${escaped(content)}"`);
    text += `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
  }
  return text;
}

/** The value of a label between its quotes. */
export function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
