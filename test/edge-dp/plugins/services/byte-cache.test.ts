import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ByteCache } from '../../../../edge-dp/plugins/services/byte-cache.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_123 }));
afterEach(() => void vi.useRealTimers());

it('keeps values for as long as they may be kept, and not for what the clock is set back by', () => {
  const cache = new ByteCache<string>(1000);
  const now = Date.now();
  const set = () => {
    cache.set('second', 'a', 1, 1);
    cache.set('a third', 'b', 1 / 3, 1);
    cache.set('for good', 'c', 0, 1);
  };
  const at = (time: number) => {
    vi.setSystemTime(time);
    return ['second', 'a third', 'for good'].map((key) => cache.get(key));
  };
  set();
  expect(at(now)).toEqual(['a', 'b', 'c']);
  expect(at(now + 333)).toEqual(['a', 'b', 'c']);
  expect(at(now + 334)).toEqual(['a', undefined, 'c']);
  expect(at(now + 1000)).toEqual([undefined, undefined, 'c']);
  vi.setSystemTime(now);
  set();
  expect(at(now - 3_600_000)).toEqual([undefined, undefined, 'c']);
  expect(cache.size).toBe(1);
});
