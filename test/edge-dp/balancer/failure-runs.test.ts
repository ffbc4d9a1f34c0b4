import { describe, expect, it } from 'vitest';
import { FailureRuns, type ToldFailure } from '../../../edge-dp/balancer/failure-runs.ts';

const thresholds = {
  healthyStatuses: new Set<number>(),
  unhealthyStatuses: new Set<number>(),
  successes: 1,
  httpFailures: 3,
  tcpFailures: 2,
  timeouts: 0,
};
const failure = (at: number, more: Partial<ToldFailure> = {}): ToldFailure => ({
  upstream: 'u',
  address: 'a',
  kind: 'http',
  at,
  successAt: 0,
  ...more,
});
const told = (runs: FailureRuns, failures: readonly ToldFailure[]) => failures.map((one) => runs.add(one, thresholds));

describe('failures told by several isolates', () => {
  it('reach a threshold together, each kind and address for itself, and begin anew', () => {
    const runs = new FailureRuns();
    expect(told(runs, [failure(1), failure(2, { kind: 'tcp' }), failure(3, { address: 'b' }), failure(4)])).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(told(runs, [failure(5), failure(6), failure(7)])).toEqual([true, false, false]);
  });

  it('do not count when an isolate saw a success after them', () => {
    const runs = new FailureRuns();
    expect(told(runs, [failure(1), failure(2), failure(9, { successAt: 5 }), failure(4)])).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(told(runs, [failure(10), failure(11)])).toEqual([false, true]);
  });

  it('mean nothing where their kind does not', () => {
    const runs = new FailureRuns();
    expect(
      told(
        runs,
        [1, 2, 3, 4].map((at) => failure(at, { kind: 'timeout' })),
      ),
    ).not.toContain(true);
  });

  it('are forgotten with their address, and when it is judged', () => {
    const runs = new FailureRuns();
    told(runs, [failure(1), failure(2), failure(3, { address: 'b' }), failure(4, { address: 'b' })]);
    runs.forget({ upstream: 'u', address: 'a' });
    runs.keep(({ address }) => address !== 'b');
    expect(told(runs, [failure(5), failure(6, { address: 'b' })])).toEqual([false, false]);
  });
});
