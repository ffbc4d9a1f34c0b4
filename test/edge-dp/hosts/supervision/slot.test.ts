import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Run } from '../../../../edge-dp/hosts/supervision/run.ts';
import { Slot } from '../../../../edge-dp/hosts/supervision/slot.ts';

/** A process that comes up unless `broken`, at once or when it is told to, and ends when it is told to, unless it has `work`. */
class FakeRun implements Run {
  readonly pid: number;
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  readonly #works: boolean;
  #end: (how: string) => void = () => undefined;
  /** Has one that is `slow` serve. */
  up: () => void = () => undefined;

  constructor(
    pid: number,
    {
      broken = false,
      slow = false,
      works = false,
    }: { readonly broken?: boolean; readonly slow?: boolean; readonly works?: boolean } = {},
  ) {
    this.pid = pid;
    this.#works = works;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.ready.catch(() => undefined);
    this.up = resolve;
    if (broken) reject(new Error('did not come up'));
    else if (!slow) resolve();
    void this.ended.then(() => reject(new Error('ended at its start')));
    if (broken) this.#end('exit code 1');
  }

  terminate(): void {
    if (!this.#works) this.#end('signal SIGTERM');
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
  /** That many are not even started. */
  let unable = 0;
  let restarts = 0;

  const start = (): FakeRun => {
    if (unable > 0) {
      unable -= 1;
      throw new Error('spawn ENOMEM');
    }
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
    unable = 0;
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

  it('starts it again later where the system lets no process start now', async () => {
    const place = slot();
    await place.open();
    unable = 2;
    runs[0]?.crash();
    await vi.advanceTimersByTimeAsync(100 + 200 + 399);
    expect(place.pid).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(place.pid).toBe(2);
    expect(log.join('\n')).toContain('workerd cannot be started: spawn ENOMEM\nstarting it again in 400 ms');
  });

  it('ends one that was started again while its successor came up', async () => {
    const place = slot();
    await place.open();
    const successor = new FakeRun(99, { slow: true });
    const replaced = place.replace(() => successor, 1_000, true);
    runs[0]?.crash();
    await startsAfter(100);
    successor.up();
    await replaced;
    expect(place.pid).toBe(99);
    expect(await Promise.race([runs[1]?.ended, Promise.resolve('it runs on')])).toBe('signal SIGTERM');
  });

  it('starts it again once where it ended while a successor did not come up', async () => {
    const place = slot();
    await place.open();
    const successor = new FakeRun(99, { slow: true });
    const replaced = place.replace(() => successor, 1_000, true);
    runs[0]?.crash();
    await vi.advanceTimersByTimeAsync(50);
    successor.crash();
    await expect(replaced).rejects.toThrow('ended at its start');
    await vi.advanceTimersByTimeAsync(20_000);
    expect([runs.length, place.pid]).toEqual([2, 2]);
  });

  it.each([
    ['after the old one has ended', false],
    ['beside the old one', true],
  ])('starts none any more once it is stopped, nor keeps one that is on its way up %s', async (_, overlap) => {
    const place = slot();
    await place.open();
    const successor = new FakeRun(99, { slow: true });
    const replaced = place.replace(() => successor, 1_000, overlap);
    replaced.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(0);
    await place.stop(1_000);
    expect(await Promise.race([successor.ended, Promise.resolve('it runs on')])).toBe('signal SIGKILL');
    successor.up();
    await expect(replaced).rejects.toThrow();
    await expect(place.replace(start, 1_000, overlap)).rejects.toThrow('workerd is to run no more');
    await vi.advanceTimersByTimeAsync(20_000);
    expect([runs.length, place.pid]).toEqual([1, null]);
  });

  it('gives the one that is ended its time also where it is stopped again meanwhile, the shortest of them', async () => {
    const working = new FakeRun(1, { works: true });
    const place = new Slot(
      'workerd',
      () => working,
      () => undefined,
      () => undefined,
      () => undefined,
    );
    await place.open();
    let stopped = 0;
    for (const drain of [10_000, 2_000]) void place.stop(drain).then(() => stopped++);
    await vi.advanceTimersByTimeAsync(1_999);
    expect(stopped).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(stopped).toBe(2);
    expect(await working.ended).toBe('signal SIGKILL');
  });
});
