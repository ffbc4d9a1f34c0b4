import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../../cp/instance/log.ts';
import { passingLevel } from '../../../cp/instance/passing-level.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a log level that is set for a while', () => {
  test('gives way to the usual one, also where it was set again before', () => {
    const log = createLog('notice', () => undefined);
    const level = passingLevel(log.part('admin'));
    level.set('debug', 60);
    vi.advanceTimersByTime(30_000);
    level.set('info', 60);
    vi.advanceTimersByTime(59_999);
    expect([level.get(), log.level]).toEqual(['info', 'info']);
    vi.advanceTimersByTime(1);
    expect([level.get(), log.level]).toEqual(['notice', 'notice']);
  });

  test('leaves one that a reload brought meanwhile, and goes back to that from then on', () => {
    const log = createLog('notice', () => undefined);
    const level = passingLevel(log.part('admin'));
    level.set('debug', 60);
    log.level = 'warn';
    vi.advanceTimersByTime(60_000);
    expect(level.get()).toBe('warn');
    level.set('debug', 60);
    log.level = 'error';
    level.set('info', 60);
    vi.advanceTimersByTime(60_000);
    expect(level.get()).toBe('error');
  });

  test('stays for longer than a timer can wait', () => {
    const level = passingLevel(createLog('notice', () => undefined));
    level.set('debug', 1e9);
    vi.advanceTimersByTime(86_400_000);
    expect(level.get()).toBe('debug');
  });
});
