import type { Samples } from './state-messages.ts';

/** Numbers by family and labels, added up. */
export class Sums {
  readonly #families = new Map<string, Map<string, number[]>>();
  #size = 0;

  /** Label sets of all families. */
  get size(): number {
    return this.#size;
  }

  /** Of a family. */
  sizeOf(family: string): number {
    return this.#families.get(family)?.size ?? 0;
  }

  has(family: string, labels: string): boolean {
    return this.#families.get(family)?.has(labels) ?? false;
  }

  /** Numbers, as many as `length` where there were none yet, for the caller to add to. */
  of(family: string, labels: string, length: number): number[] {
    let sets = this.#families.get(family);
    if (sets === undefined) {
      sets = new Map();
      this.#families.set(family, sets);
    }
    let numbers = sets.get(labels);
    if (numbers === undefined) {
      numbers = new Array<number>(length).fill(0);
      sets.set(labels, numbers);
      this.#size++;
    }
    return numbers;
  }

  add(samples: Samples): void {
    for (const [family, all] of Object.entries(samples)) {
      for (const [labels, added] of all) addTo(this.of(family, labels, added.length), added);
    }
  }

  /** How many label sets more these would be. */
  grownBy(samples: Samples): number {
    let more = 0;
    for (const [family, all] of Object.entries(samples)) {
      for (const [labels] of all) if (!this.has(family, labels)) more++;
    }
    return more;
  }

  get samples(): Samples {
    return Object.fromEntries([...this.#families].map(([family, sets]) => [family, [...sets]]));
  }
}

export function addTo(sums: number[], numbers: readonly number[]): void {
  for (const [place, number] of numbers.entries()) sums[place] = (sums[place] ?? 0) + number;
}
