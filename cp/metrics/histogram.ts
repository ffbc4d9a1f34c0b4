import type { MetricFamily } from '../../shared/metrics-text.ts';

/** Upper bounds in seconds, from what a warm database needs to what a person gives up at. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** How long something took, each time it was done, as Prometheus counts it. */
export class Histogram {
  readonly #name: string;
  readonly #help: string;
  /** How often it took no longer than each bound and longer than the one before; the last: longer than all. */
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0);
  #sum = 0;

  /** `name` ends with the unit, `_seconds`. */
  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  observe(seconds: number): void {
    const place = BOUNDS.findIndex((bound) => seconds <= bound);
    const at = place < 0 ? BOUNDS.length : place;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += seconds;
  }

  /** Observes what has passed since `began`, a reading of `performance.now()`. */
  since(began: number): void {
    this.observe((performance.now() - began) / 1000);
  }

  family(): MetricFamily {
    const name = this.#name;
    let count = 0;
    const buckets = this.#counts.map((own, place) => {
      count += own;
      return `${name}_bucket{le="${BOUNDS[place] ?? '+Inf'}"} ${count}\n`;
    });
    const head = `# HELP ${name} ${this.#help}\n# TYPE ${name} histogram\n`;
    return { name, text: `${head}${buckets.join('')}${name}_sum ${this.#sum}\n${name}_count ${count}\n` };
  }
}
