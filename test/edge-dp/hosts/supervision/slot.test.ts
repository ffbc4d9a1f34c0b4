import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Run } from '../../../../edge-dp/hosts/supervision/run.ts';
import { Slot } from '../../../../edge-dp/hosts/supervision/slot.ts';

/** A process that comes up unless `broken`, and ends when it is told to. */
class FakeRun implements Run {
  readonly pid: number;
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  #end: (how: string) => void = () => undefined;

  constructor(pid: number, { broken }: { readonly broken: boolean }) {
    this.pid = pid;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.ready = broken ? Promise.reject(new Error('did not come up')) : Promise.resolve();
    this.ready.catch(() => undefined);
    if (broken) this.#end('exit code 1');
  }

  terminate(): void {
    this.#end('signal SIGTERM');
  }

  kill(): void {
    this.#end('signal SIGKILL');
  }

  tellRestarts(): void {}

  crash(): void {
    this.#end('exit code 70');
  }
}

describe('a place for one process', () => {
  const log: string[] = [];
  const runs: FakeRun[] = [];
  /** The next processes of that many do not come up. */
  let broken = 0;
  let restarts = 0;

  const start = (): FakeRun => {
    const run = new FakeRun(runs.length + 1, { broken: broken > 0 });
    broken -= 1;
    runs.push(run);
    return run;
  };
  const slot = () =>
    new Slot(
      'workerd',
      start,
      (_level, message) => log.push(message),
      () => undefined,
      () => restarts++,
    );

  beforeEach(() => {
    log.length = 0;
    runs.length = 0;
    broken = 0;
    restarts = 0;
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Whether another process is started within so many milliseconds, and not before. */
  const startsAfter = async (pause: number): Promise<void> => {
    const before = runs.length;
    await vi.advanceTimersByTimeAsync(pause - 1);
    expect(runs).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(runs).toHaveLength(before + 1);
  };

  it('starts it again after pauses that grow while it ends at once, and are short again after a good life', async () => {
    const place = slot();
    await place.open();
    for (const pause of [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]) {
      runs.at(-1)?.crash();
      await startsAfter(pause);
      expect(place.pid).toBe(runs.length);
    }
    await vi.advanceTimersByTimeAsync(10_001);
    runs.at(-1)?.crash();
    await startsAfter(100);
    expect(restarts).toBe(10);
    expect(log.at(-2)).toContain('workerd ended: exit code 70\nstarting it again in 100 ms');
    expect(log.at(-1)).toContain(`running again, process ${runs.length}`);
  });

  it('starts it again where the first start after an end fails too', async () => {
    const place = slot();
    await place.open();
    broken = 2;
    runs.at(-1)?.crash();
    await startsAfter(100);
    await startsAfter(200);
    await startsAfter(400);
    expect(place.pid).toBe(4);
  });

  it.each([
    ['after the old one has ended', false],
    ['beside the old one', true],
  ])('runs one made the old way when a new one, started %s, does not come up', async (_, overlap) => {
    const place = slot();
    await place.open();
    const other = new FakeRun(99, { broken: true });
    await expect(place.replace(() => other, 1_000, overlap)).rejects.toThrow('did not come up');
    if (!overlap) await startsAfter(100);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(runs).toHaveLength(overlap ? 1 : 2);
    expect(place.pid).toBe(runs.length);
  });

  it('runs the new one alone once it is up, and starts it again in its own way', async () => {
    const place = slot();
    await place.open();
    const others: FakeRun[] = [];
    const startOther = (): FakeRun => {
      const run = new FakeRun(100 + others.length, { broken: false });
      others.push(run);
      return run;
    };
    await place.replace(startOther, 1_000, true);
    expect(await runs[0]?.ended).toBe('signal SIGTERM');
    expect(place.pid).toBe(100);
    others[0]?.crash();
    await vi.advanceTimersByTimeAsync(100);
    expect([runs.length, others.length, place.pid]).toEqual([1, 2, 101]);
    await place.stop(1_000);
    await vi.advanceTimersByTimeAsync(20_000);
    expect([runs.length, others.length, place.pid]).toEqual([1, 2, null]);
  });
});
