import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { QueueOptions } from '../../../../edge-dp/plugins/runtime/services.ts';
import { BatchQueue } from '../../../../edge-dp/plugins/services/batch-queue.ts';
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
  const lost: string[] = [];
  const queues = new Queues((level, message) => void log.push(`${level} ${message}`), {
    ...(patience !== undefined && { patience }),
    dropped: (queue, reason, entries) => void lost.push(`${queue} ${reason} ${entries}`),
  });
  const lent: Promise<unknown>[] = [];
  const on = { waitUntil: (work: Promise<unknown>) => void lent.push(work) };
  return { queues, batches, log, lost, state, send, on, lent };
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

  it('leaves no clock running for batches that were full before their delay was over', async () => {
    const { queues, batches, send, on } = destination();
    const queue = queues.open('q', { ...OPTIONS, max_coalescing_delay: 3_600 }, send);
    for (let entry = 0; entry < 300; entry++) {
      queue.push(entry, on);
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(batches).toHaveLength(100);
    expect(vi.getTimerCount()).toBe(0);
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
    const { queues, batches, log, lost, send, on } = destination();
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
      'warn queue many holds 3 entries of 3 it may hold',
      'error queue many is full: its oldest entries are dropped',
      'error queue heavy is full: its oldest entries are dropped',
      'error queue heavy: an entry of 11 bytes is longer than max_bytes and was dropped',
      'error queue many has room again: 3 entries were dropped',
      'error queue heavy has room again: 1 entries were dropped',
    ]);
    expect(lost).toEqual(['many full 1', 'many full 1', 'many full 1', 'heavy full 1', 'heavy too_long 1']);
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

  it('is forgotten once it was closed and all of it is sent, and remembered when something comes yet', async () => {
    const { queues, send, on } = destination();
    const asked = vi.spyOn(BatchQueue.prototype, 'pending', 'get');
    const many = Array.from({ length: 100 }, (_, n) => queues.open(`q${n}`, OPTIONS, send));
    for (const queue of many) queue.close();
    asked.mockClear();
    expect(queues.pending).toBe(0);
    expect(asked.mock.calls.length).toBeLessThan(5);
    asked.mockRestore();
    many[0]?.push(1, on);
    expect(queues.pending).toBe(1);
    await vi.advanceTimersByTimeAsync(0);
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

  it('goes on when a collector that was away for 30 s is back: tried as configured, the oldest dropped, counted, told', async () => {
    const { queues, batches, log, lost, state, send, on, lent } = destination();
    const options = { ...OPTIONS, max_batch_size: 2, max_entries: 6, initial_retry_delay: 1, max_retry_delay: 8 };
    const queue = queues.open('q', options, send);
    state.broken = true;
    for (let second = 0; second < 30; second++) {
      queue.push(second, on);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(new Set(batches.map(({ entries }) => String(entries)))).toEqual(new Set(['0']));
    expect(batches.map(({ at }) => at)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 24_000]);
    state.broken = false;
    await vi.advanceTimersByTimeAsync(10_000);
    // The batch under way, and the youngest that there was room for.
    expect(batches.slice(6).map(({ at, entries }) => [at, entries])).toEqual([
      [32_000, [0]],
      [32_000, [24, 25]],
      [32_000, [26, 27]],
      [32_000, [28, 29]],
    ]);
    expect(lost).toEqual(Array.from({ length: 23 }, () => 'q full 1'));
    expect(log.filter((line) => line.includes('may hold'))).toEqual(['warn queue q holds 5 entries of 6 it may hold']);
    expect(log.filter((line) => line.startsWith('error'))).toEqual([
      'error queue q is full: its oldest entries are dropped',
      'error queue q has room again: 23 entries were dropped',
    ]);
    await Promise.all(lent);
    expect(queues.pending).toBe(0);
  });

  it('gives all it has to who keeps it when a request has no more time, also while a server is silent', async () => {
    const { queues, log, on, lent } = destination(1_000);
    const kept: (readonly [entries: readonly number[], since: number])[] = [];
    const began = Date.now();
    const silent = () => new Promise<void>(() => undefined);
    const keep = async (entries: readonly number[], since: number) => void kept.push([entries, since - began]);
    const queue = queues.open<number>('q', { ...OPTIONS, max_batch_size: 2 }, silent, keep);
    for (const entry of [1, 2, 3, 4, 5]) queue.push(entry, on);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(kept).toEqual([
      [[1, 2], 0],
      [[3, 4], 6_000],
      [[5], 6_000],
    ]);
    expect(queues.pending).toBe(0);
    expect(log).toEqual([expect.stringMatching(/^warn queue q: 2 entries could not be sent .*: no answer while/)]);
    // A delay for company that is longer than a request may last is cut short.
    const patient = queues.open<number>('p', { ...OPTIONS, max_coalescing_delay: 3_600 }, silent, keep);
    patient.push(6, on);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(kept.slice(3)).toEqual([[[6], 7_000]]);
    await Promise.all(lent);
  });

  it('has back what nobody keeps', async () => {
    const { queues, batches, log, state, send, on } = destination(1_000);
    state.broken = true;
    const keep = () => Promise.reject(new Error('no outbox'));
    const queue = queues.open('q', { ...OPTIONS, max_batch_size: 1 }, send, keep);
    queue.push(1, on);
    queue.push(2, on);
    await vi.advanceTimersByTimeAsync(5_000);
    expect([queues.pending, log.at(-1)]).toEqual([2, 'warn queue q: 1 entries wait for another request: no outbox']);
    state.broken = false;
    queue.push(3, on);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.slice(-3).map(({ entries }) => entries)).toEqual([[1], [2], [3]]);
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
