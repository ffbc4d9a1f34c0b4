import { describe, expect, it } from 'vitest';
import { ActiveBreakers } from '../../../edge-dp/balancer/active-breakers.ts';
import { HealthView } from '../../../edge-dp/balancer/health-view.ts';
import type { Observation } from '../../../edge-dp/balancer/target-health.ts';

const thresholds = {
  healthyStatuses: new Set<number>(),
  unhealthyStatuses: new Set<number>(),
  successes: 2,
  httpFailures: 2,
  tcpFailures: 1,
  timeouts: 1,
};
const place = { upstream: 'u', address: 'a:80' };

describe('the breakers of active checks', () => {
  const setUp = () => {
    const view = new HealthView('one', []);
    const breakers = new ActiveBreakers();
    /** What the node holds of the address after each probe. */
    const probed = (...seen: readonly Observation[]) =>
      seen.map((one) => {
        const healthy = breakers.observe(place, one, thresholds, view.isHealthy('u', 'a:80'));
        view.set({ ...place, healthy });
        return healthy;
      });
    return { view, breakers, probed };
  };

  it('flip what the node holds of an address once a threshold is reached, both ways', () => {
    const { probed } = setUp();
    expect(probed('http', 'http', 'success', 'success')).toEqual([true, false, false, true]);
    expect(probed('http', 'success', 'http', 'tcp')).toEqual([true, true, true, false]);
  });

  it('begin with what the node holds, and count anew once somebody else has judged', () => {
    const { view, breakers, probed } = setUp();
    view.set({ ...place, healthy: false });
    expect(probed('success', 'success', 'http')).toEqual([false, true, true]);
    breakers.set(place, true);
    expect(probed('http', 'http')).toEqual([true, false]);
  });

  it('find an address ill that was ill when it left, was forgotten, and is back', () => {
    const { view, breakers, probed } = setUp();
    expect(probed('tcp')).toEqual([false]);
    view.keep(() => false);
    expect(view.isHealthy('u', 'a:80')).toBe(true);
    expect(probed('tcp')).toEqual([false]);
    view.keep(() => false);
    breakers.keep(() => false);
    expect(probed('http', 'http')).toEqual([true, false]);
  });
});
