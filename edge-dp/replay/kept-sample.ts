import { packShape, type RequestShape } from '../../shared/cluster/replay.ts';
import type { SampledShape } from './sampled-shape.ts';

/** Characters of a whole sample, whatever its size. */
const MOST_CHARACTERS = 4 << 20;

interface Kept extends SampledShape {
  readonly count: number;
  readonly length: number;
}

/**
 * The requests that a node remembers, in memory. What looks alike is one. When it is full, one goes by chance, of a route that has
 * others here if there is one: so that routes with little traffic are not crowded out, and what was long ago goes by and by.
 */
export class KeptSample {
  readonly #size: number;
  readonly #kept = new Map<string, Kept>();
  readonly #keys: string[] = [];
  /** How many there are of each route. */
  readonly #ofRoutes = new Map<string | null, number>();
  #characters = 0;

  constructor(size: number) {
    this.#size = size;
  }

  take({ shape, route }: SampledShape): void {
    if (this.#size === 0) return;
    const key = JSON.stringify(packShape({ ...shape, count: 1 }));
    const before = this.#kept.get(key);
    if (before !== undefined) {
      this.#moved(before.route, route);
      this.#kept.set(key, { ...before, route, count: before.count + shape.count });
      return;
    }
    this.#kept.set(key, { shape, route, count: shape.count, length: key.length });
    this.#keys.push(key);
    this.#moved(null, route, true);
    this.#characters += key.length;
    while (this.#keys.length > this.#size || this.#characters > MOST_CHARACTERS) this.#forget();
  }

  shapes(): readonly RequestShape[] {
    return [...this.#kept.values()].map(({ shape, count }) => ({ ...shape, count }));
  }

  #moved(from: string | null, to: string | null, isNew = false): void {
    if (!isNew) this.#ofRoutes.set(from, (this.#ofRoutes.get(from) ?? 1) - 1);
    this.#ofRoutes.set(to, (this.#ofRoutes.get(to) ?? 0) + 1);
  }

  #forget(): void {
    // The last one has just come.
    const pick = (): number => Math.floor(Math.random() * Math.max(1, this.#keys.length - 1));
    let at = pick();
    for (let attempts = 0; attempts < ATTEMPTS && this.#isAlone(at); attempts++) at = pick();
    const key = this.#keys[at];
    const last = this.#keys.pop();
    if (key === undefined || last === undefined) return;
    if (at < this.#keys.length) this.#keys[at] = last;
    const gone = this.#kept.get(key);
    this.#kept.delete(key);
    if (gone === undefined) return;
    this.#characters -= gone.length;
    const left = (this.#ofRoutes.get(gone.route) ?? 1) - 1;
    if (left > 0) this.#ofRoutes.set(gone.route, left);
    else this.#ofRoutes.delete(gone.route);
  }

  #isAlone(at: number): boolean {
    const kept = this.#kept.get(this.#keys[at] ?? '');
    return kept !== undefined && this.#ofRoutes.get(kept.route) === 1;
  }
}

/** Looks for one of a route that has others. */
const ATTEMPTS = 8;
