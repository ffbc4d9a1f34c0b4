import { describe, expect, it } from 'vitest';
import { observationOf, TargetHealth } from '../../../edge-dp/balancer/target-health.ts';

const thresholds = {
  healthyStatuses: new Set([200]),
  unhealthyStatuses: new Set([500]),
  successes: 2,
  httpFailures: 3,
  tcpFailures: 2,
  timeouts: 1,
};

describe('target health', () => {
  it('flips when a counter reaches its threshold, staying available until then', () => {
    const health = new TargetHealth();
    expect([health.observe('http', thresholds), health.state, health.available]).toEqual([
      false,
      'mostly_healthy',
      true,
    ]);
    health.observe('http', thresholds);
    expect([health.observe('http', thresholds), health.state, health.available]).toEqual([true, 'unhealthy', false]);
    expect([health.observe('success', thresholds), health.state]).toEqual([false, 'mostly_unhealthy']);
    expect(health.available).toBe(false);
    expect([health.observe('success', thresholds), health.state]).toEqual([true, 'healthy']);
  });

  it('counts kinds of failure apart and starts again after a success', () => {
    const health = new TargetHealth();
    health.observe('http', thresholds);
    health.observe('http', thresholds);
    health.observe('tcp', thresholds);
    expect(health.available).toBe(true);
    health.observe('success', thresholds);
    health.observe('http', thresholds);
    health.observe('http', thresholds);
    expect(health.available).toBe(true);
    expect(health.observe('timeout', thresholds)).toBe(true);
  });

  it('ignores what has threshold 0, successes included', () => {
    const health = new TargetHealth();
    const passive = { ...thresholds, successes: 0, tcpFailures: 0 };
    for (let i = 0; i < 10; i++) health.observe('tcp', passive);
    expect(health.state).toBe('healthy');
    health.observe('http', passive);
    health.observe('success', passive);
    health.observe('http', passive);
    expect(health.observe('http', passive)).toBe(true);
    for (let i = 0; i < 10; i++) health.observe('success', passive);
    expect(health.available).toBe(false);
  });

  it('is set by hand, counters included', () => {
    const health = new TargetHealth();
    health.observe('tcp', thresholds);
    expect(health.set(true)).toBe(false);
    health.observe('tcp', thresholds);
    expect(health.available).toBe(true);
    expect(health.set(false)).toBe(true);
    expect(health.state).toBe('unhealthy');
  });

  it('judges statuses by the configured lists', () => {
    expect([200, 500, 404].map((status) => observationOf(status, thresholds))).toEqual(['success', 'http', null]);
  });
});
