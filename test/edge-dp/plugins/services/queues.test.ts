import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { QueueOptions } from '../../../../edge-dp/plugins/runtime/services.ts';
import { Queues } from '../../../../edge-dp/plugins/services/queues.ts';

const OPTIONS: QueueOptions = {
  max_batch_size: 3,
  max_coalescing_delay: 1,
  max_entries: 10,
  max_bytes: null,
  initial_retry_delay: 0.1,
  max_retry_delay: 60,
  max_retry_time: 60,
};

/** Queues with a destination that does as told, under a clock of the test's. */
function destination(patience?: number) {
  const batches: { readonly at: number; readonly entries: unknown }[] = [];
  const log: string[] = [];
  const state = { broken: false };
  const began = Date.now();
  const send = async (entries: readonly unknown[]) => {
    batches.push({ at: Date.now() - began, entries });
    if (state.broken) throw new Error('no connection');
  };
  const queues = new Queues((level, message) => void log.push(`${level} ${message}`), patience);
  const lent: Promise<unknown>[] = [];
  const on = { waitUntil: (work: Promise<unknown>) => void lent.push(work) };
  return { queues, batches, log, state, send, on, lent };
}

describe('a queue', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('sends a full batch at once, and what is left a delay after the first of it came', async () => {
    const { queues, batches, send, on } = destination();
    const queue = queues.open('q', OPTIONS, send);
    queue.push(1, on);
    await vi.advanceTimersByTimeAsync(600);
    queue.push(2, on);
    await vi.advanceTimersByTimeAsync(600);
    expect(batches).toEqual([{ at: 1000, entries: [1, 2] }]);
    for (const entry of [3, 4, 5, 6]) queue.push(entry, on);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.slice(1)).toEqual([{ at: 1200, entries: [3, 4, 5] }]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(batches.slice(2)).toEqual([{ at: 2200, entries: [6] }]);
  });

  it('tries again later and later, then drops the batch and says so', async () => {
    const { queues, batches, log, state, send, on } = destination();
    state.broken = true;
    const queue = queues.open('q', { ...OPTIONS, max_batch_size: 1, max_retry_time: 1 }, send);
    queue.push('lost', on);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(batches.map(({ at }) => at)).toEqual([0, 100, 300, 700, 1000]);
    expect(log.at(-1)).toBe('error queue q: 1 entries could not be sent and were dropped: no connection');
    state.broken = false;
    queue.push('next', on);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.at(-1)?.entries).toEqual(['next']);
  });

  it('sends batches beside each other where there is no limit to it, also while one is tried again', async () => {
    const { queues, batches, state, send, on, lent } = destination();
    const slow = async (entries: readonly unknown[]) => {
      await send(entries);
      await new Promise((resolve) => setTimeout(resolve, 500));
    };
    const queue = queues.open('q', { ...OPTIONS, max_batch_size: 1, concurrency_limit: -1 }, slow);
    state.broken = true;
    queue.push(1, on);
    await vi.advanceTimersByTimeAsync(10);
    state.broken = false;
    for (const entry of [2, 3]) queue.push(entry, on);
    await vi.advanceTimersByTimeAsync(10);
    queue.push(4, on);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.map(({ entries }) => entries)).toEqual([[1], [2], [3], [4]]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(batches.slice(4)).toEqual([{ at: 100, entries: [1] }]);
    await Promise.all(lent);
    expect(queues.pending).toBe(0);
  });

  it('drops the oldest when there are too many or they weigh too much, and says so once', async () => {
    const { queues, batches, log, send, on } = destination();
    const many = queues.open('many', { ...OPTIONS, max_batch_size: 100, max_entries: 3 }, send);
    for (let entry = 0; entry < 6; entry++) many.push(entry, on);
    const heavy = queues.open('heavy', { ...OPTIONS, max_batch_size: 100, max_bytes: 10 }, send);
    for (const [entry, bytes] of [
      ['a', 6],
      ['b', 6],
      ['c', 11],
      ['d', 4],
    ] as const)
      heavy.push(entry, on, bytes);
    await vi.advanceTimersByTimeAsync(1000);
    expect(batches.map(({ entries }) => entries)).toEqual([
      [3, 4, 5],
      ['b', 'd'],
    ]);
    expect(log).toEqual([
      'error queue many is full: its oldest entries are dropped',
      'error queue heavy is full: its oldest entries are dropped',
      'error queue heavy: an entry of 11 bytes is longer than max_bytes and was dropped',
    ]);
  });

  it('is shared by those who name the same one, and sent at once when the last of them closes it', async () => {
    const { queues, batches, send, on } = destination();
    const [first, second] = [queues.open('q', OPTIONS, send), queues.open('q', OPTIONS, send)];
    first.push(1, on);
    second.push(2, on);
    first.close();
    first.close();
    await vi.advanceTimersByTimeAsync(10);
    expect(batches).toEqual([]);
    second.close();
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toEqual([{ at: 10, entries: [1, 2] }]);
    // A request that began before may still log.
    second.push(3, on);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.at(-1)?.entries).toEqual([3]);
    expect(queues.pending).toBe(0);
  });

  it('waits for nobody once the isolate is about to end', async () => {
    const { queues, batches, send, on } = destination();
    const queue = queues.open('q', OPTIONS, send);
    queue.push(1, on);
    expect(queues.pending).toBe(1);
    queues.hurry();
    await vi.advanceTimersByTimeAsync(0);
    queues.open('later', OPTIONS, send).push(2, on);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.map(({ entries }) => entries)).toEqual([[1], [2]]);
    expect(queues.pending).toBe(0);
  });

  it('lets another request take over from one that has lent its time for long', async () => {
    const { queues, batches, send, on, lent } = destination();
    const queue = queues.open('q', OPTIONS, send);
    for (let second = 0; second < 25; second++) {
      queue.push(second, on);
      await vi.advanceTimersByTimeAsync(900);
    }
    await vi.advanceTimersByTimeAsync(2000);
    expect(batches.flatMap(({ entries }) => entries)).toEqual(Array.from({ length: 25 }, (_, second) => second));
    expect(lent.length).toBeGreaterThan(1);
    await Promise.all(lent);
  });

  it('keeps what a request has no more time to send for the next one, where the host sets an end', async () => {
    const { queues, batches, state, send, on, lent } = destination(1_000);
    state.broken = true;
    const queue = queues.open('q', { ...OPTIONS, max_batch_size: 1 }, send);
    queue.push('kept', on);
    await vi.advanceTimersByTimeAsync(5_000);
    await Promise.all(lent);
    expect(queues.pending).toBe(1);
    state.broken = false;
    queue.push('next', on);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.slice(-2).map(({ entries }) => entries)).toEqual([['kept'], ['next']]);
    expect(queues.pending).toBe(0);
  });
});
