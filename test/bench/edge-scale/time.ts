/** Milliseconds to which times are rounded: what falls together is worked out together. */
const STEP = 5;

/** Time that passes as fast as what happens in it can be worked out: milliseconds since the epoch. */
export class SimulatedTime {
  now = 1_800_000_000_000;
  /** By time; a list for each, in the order they were asked for. */
  readonly #events = new Map<number, (() => void)[]>();
  readonly #times: number[] = [];
  #busy = 0;
  #idle = () => {};

  /** Runs `activity`: time stands still but for its sleeps. */
  start(activity: () => Promise<void>): void {
    this.#busy++;
    activity()
      .catch((error: unknown) => console.error(error))
      .finally(() => this.#rests());
  }

  /** For activities, and what they call. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.at(this.now + milliseconds, () => {
        this.#busy++;
        resolve();
      });
      this.#rests();
    });
  }

  at(time: number, run: () => void): void {
    const rounded = Math.max(this.now, Math.ceil(time / STEP) * STEP);
    const list = this.#events.get(rounded);
    if (list !== undefined) {
      list.push(run);
      return;
    }
    this.#events.set(rounded, [run]);
    push(this.#times, rounded);
  }

  /** Lets so many milliseconds pass. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    for (let next = this.#times[0]; next !== undefined && next <= end; next = this.#times[0]) {
      pop(this.#times);
      this.now = next;
      // More may be asked for at this time meanwhile: that is a list of its own, and its turn comes.
      const list = this.#events.get(next) ?? [];
      this.#events.delete(next);
      for (const run of list) run();
      if (this.#busy > 0) {
        await new Promise<void>((resolve) => {
          this.#idle = resolve;
        });
      }
    }
    this.now = end;
  }

  #rests(): void {
    this.#busy--;
    if (this.#busy === 0) this.#idle();
  }
}

/** A binary heap, the least first. */
function push(heap: number[], value: number): void {
  let place = heap.push(value) - 1;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    const above = heap[parent] ?? 0;
    if (above <= value) break;
    heap[place] = above;
    place = parent;
  }
  heap[place] = value;
}

function pop(heap: number[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
    const least = heap[child] ?? 0;
    if (least >= last) break;
    heap[place] = least;
    place = child;
  }
  heap[place] = last;
}
