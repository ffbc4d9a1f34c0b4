import type { Row } from '../../shared/record.ts';
import { type MetricsAnswer, parseSamples, type Samples } from './state-messages.ts';
import { addTo } from './sums.ts';

/** Label sets of all families: what consumers, routes and services make of them must not fill the memory. */
const MOST_SETS = 50_000;
/** Characters of the labels of one. */
const LONGEST_LABELS = 2_000;

/** What all isolates of a node have counted for Prometheus, in memory: from 0 when the node starts, as Kong's. */
export class MetricKeeper {
  readonly #families = new Map<string, Map<string, number[]>>();
  readonly #warn: (message: string) => void;
  #sets = 0;
  #dropped = 0;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** Answers a `MetricsQuestion`. Throws a `TypeError` for what is none. */
  answer(question: Readonly<Row>): MetricsAnswer | Record<string, never> {
    if (question.does === 'show') return { samples: this.#all(), dropped: this.#dropped };
    if (question.does !== 'add') throw new TypeError('no question about metrics');
    for (const [family, all] of Object.entries(parseSamples(question.samples))) {
      for (const [labels, numbers] of all) this.#add(family, labels, numbers);
    }
    return {};
  }

  #add(family: string, labels: string, numbers: readonly number[]): void {
    let sets = this.#families.get(family);
    if (sets === undefined) {
      sets = new Map();
      this.#families.set(family, sets);
    }
    const known = sets.get(labels);
    if (known !== undefined) {
      addTo(known, numbers);
      return;
    }
    if (this.#sets >= MOST_SETS || labels.length > LONGEST_LABELS) {
      if (this.#dropped === 0) {
        this.#warn(
          `prometheus: more than ${MOST_SETS} label sets, or labels of more than ${LONGEST_LABELS} characters: what else there is is not counted (kong_nginx_metric_errors_total says how often)`,
        );
      }
      this.#dropped++;
      return;
    }
    this.#sets++;
    sets.set(labels, [...numbers]);
  }

  #all(): Samples {
    return Object.fromEntries([...this.#families].map(([family, sets]) => [family, [...sets]]));
  }
}
