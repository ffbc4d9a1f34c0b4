import { expect, test } from 'vitest';
import { backoff } from '../../../edge-dp/durable/backoff.ts';
import { Retention } from '../../../edge-dp/durable/retention.ts';

test('keeps what the current and the previous config name, and drops the rest only after a while', () => {
  const retention = new Retention();
  const stored = new Set(['current', 'previous', 'old', 'returning']);
  const current = new Set(['current']);
  const previous = new Set(['previous']);
  expect(retention.garbage(stored, current, previous, 0)).toEqual([]);
  expect(retention.garbage(stored, new Set(['returning']), current, 59_000)).toEqual([]);
  expect(retention.garbage(stored, current, previous, 61_000)).toEqual(['old']);
  expect(retention.garbage(['current', 'returning'], current, previous, 130_000)).toEqual(['returning']);
});

test('pauses grow up to a bound and are spread', () => {
  const pauses = [1, 2, 3, 4, 5, 6, 7, 100].map((attempt) => backoff(attempt, () => 1));
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  expect(backoff(100, () => 0)).toBe(7_500);
});
