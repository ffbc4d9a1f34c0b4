/** A sample in Prometheus' text format 0.0.4. */
export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const METRICS_TYPE = 'text/plain; charset=UTF-8';

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

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
