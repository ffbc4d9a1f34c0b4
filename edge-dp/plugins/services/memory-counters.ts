import type { Counters, Usage, Window } from '../runtime/services.ts';

/** Counts of one memory, each until its window is over. */
export class WindowCounts {
  readonly #counts = new Map<string, { count: number; readonly until: number }>();
  #sweepAt = 0;

  take(windows: readonly Window[], amount: number, now: number): readonly Usage[] {
    const before = windows.map((window) => this.#of(window));
    const rooms = windows.map(({ limit }, i) => (before[i] ?? 0) + amount <= limit);
    const counts = rooms.every((room) => room);
    if (counts) this.add(windows, amount, now);
    return windows.map((_, i) => ({ used: (before[i] ?? 0) + (counts ? amount : 0), room: rooms[i] ?? false }));
  }

  add(windows: readonly Window[], amount: number, now: number): void {
    this.#sweep(now);
    for (const window of windows) {
      const key = keyOf(window);
      const entry = this.#counts.get(key);
      if (entry === undefined) this.#counts.set(key, { count: amount, until: window.start + window.length });
      else entry.count += amount;
    }
  }

  usage(windows: readonly Window[]): readonly Usage[] {
    return windows.map((window) => {
      const used = this.#of(window);
      return { used, room: used < window.limit };
    });
  }

  #of(window: Window): number {
    return this.#counts.get(keyOf(window))?.count ?? 0;
  }

  #sweep(now: number): void {
    if (now < this.#sweepAt) return;
    this.#sweepAt = now + SWEEP;
    for (const [key, { until }] of this.#counts) if (until <= now) this.#counts.delete(key);
  }
}

/** Milliseconds between two looks for windows that are over. */
const SWEEP = 10_000;

function keyOf({ key, start, length }: Window): string {
  return `${key}|${start}|${length}`;
}

/** Counters of a single isolate: where a node has no other, and in tests. */
export function memoryCounters(): Counters {
  const counts = new WindowCounts();
  return {
    take: (windows, amount) => counts.take(windows, amount, Date.now()),
    add: async (windows, amount) => counts.add(windows, amount, Date.now()),
    usage: (windows) => counts.usage(windows),
  };
}
