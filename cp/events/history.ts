/** The last events, for readers that come back to the same control plane. */
export class EventHistory {
  readonly #texts: string[] = [];
  #bytes = 0;
  /** Of the last one; numbers begin at 1. */
  #number = 0;
  readonly #most: number;

  /** `most`: characters kept. */
  constructor(most: number) {
    this.#most = most;
  }

  get number(): number {
    return this.#number;
  }

  add(text: string): void {
    this.#number++;
    this.#texts.push(text);
    this.#bytes += text.length;
    while (this.#bytes > this.#most) this.#bytes -= this.#texts.shift()?.length ?? this.#bytes;
  }

  /** Those behind a number; null when some of them are gone, or there was never such a number. */
  after(number: number): readonly string[] | null {
    const first = this.#number - this.#texts.length + 1;
    return number > this.#number || number + 1 < first ? null : this.#texts.slice(number + 1 - first);
  }
}
