/**
 * Remembers what was used lately, by halves: what was not asked for while as many others as fit into a half were is forgotten.
 * Never all at once, so that somewhat more than fit do not drive each other out.
 */
export class Recent<V> {
  readonly #half: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  /** `capacity`: at most so many are kept. */
  constructor(capacity: number) {
    this.#half = Math.ceil(capacity / 2);
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.keep(key, old);
    return old;
  }

  keep(key: string, value: V): void {
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
