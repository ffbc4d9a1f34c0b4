import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { coalesce } from '../../../cp/publisher/coalesce.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const PACE = { quiet: 50, patience: 500 };

test('runs once signals have been quiet for a while', async () => {
  const work = vi.fn(async () => undefined);
  const { signal } = coalesce(work, PACE);
  for (let n = 0; n < 5; n++) {
    signal();
    await vi.advanceTimersByTimeAsync(40);
  }
  expect(work).toHaveBeenCalledTimes(0);
  await vi.advanceTimersByTimeAsync(10);
  expect(work).toHaveBeenCalledTimes(1);
});

test('runs within the patience under signals that never end', async () => {
  const work = vi.fn(async () => undefined);
  const { signal } = coalesce(work, PACE);
  for (let n = 0; n < 100; n++) {
    signal();
    await vi.advanceTimersByTimeAsync(20);
  }
  // 2000 ms of signals: a run every 500 ms and the next signal after it.
  expect(work.mock.calls.length).toBeGreaterThanOrEqual(3);
  expect(work.mock.calls.length).toBeLessThanOrEqual(4);
});

test('runs again for a signal that came during a run, never two at a time', async () => {
  let running = 0;
  const work = vi.fn(async () => {
    running++;
    expect(running).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    running--;
  });
  const { signal, stop } = coalesce(work, PACE);
  signal();
  await vi.advanceTimersByTimeAsync(60);
  expect(work).toHaveBeenCalledTimes(1);
  signal();
  signal();
  await vi.advanceTimersByTimeAsync(400);
  expect(work).toHaveBeenCalledTimes(2);
  await stop();
});

test('does nothing more once it is stopped', async () => {
  const work = vi.fn(async () => undefined);
  const { signal, stop } = coalesce(work, PACE);
  signal();
  await stop();
  signal();
  const before = work.mock.calls.length;
  await vi.advanceTimersByTimeAsync(1000);
  expect(work).toHaveBeenCalledTimes(before);
});
