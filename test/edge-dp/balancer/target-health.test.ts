import { afterEach, describe, expect, it, vi } from 'vitest';
import { Balancers } from '../../../edge-dp/balancer/balancers.ts';
import { parseHealthNews } from '../../../edge-dp/balancer/health-messages.ts';
import { createHealthSync } from '../../../edge-dp/balancer/health-sync.ts';
import { HealthView } from '../../../edge-dp/balancer/health-view.ts';
import { NameTable } from '../../../edge-dp/balancer/name-table.ts';
import { observationOf, TargetHealth } from '../../../edge-dp/balancer/target-health.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';

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

describe('an isolate', () => {
  afterEach(() => vi.useRealTimers());

  /** One of a node whose checker has that view. */
  function isolateOf(view: HealthView) {
    const asked: (string | null)[] = [];
    const node = {
      async fetch(_: string, { body }: { readonly body: string }) {
        const news = parseHealthNews(JSON.parse(body));
        asked.push(news.epoch);
        return Response.json(view.news(news));
      },
    };
    const sync = createHealthSync(node, true);
    vi.useFakeTimers({ toFake: ['Date'] });
    return {
      asked,
      /** Asks as a request does, and gives the addresses that get none then. */
      async ask(balancers: Balancers, later = 2_000): Promise<readonly string[]> {
        vi.setSystemTime(Date.now() + later);
        const work: Promise<unknown>[] = [];
        for (const { upstream } of balancers.all()) sync.touch(upstream, balancers, (each) => void work.push(each));
        await Promise.all(work);
        return [...balancers.all()].flatMap(({ addresses }) =>
          addresses.filter(({ state }) => !state.health.available).map(({ key }) => key),
        );
      },
    };
  }

  const upserts = (...rows: readonly BundleRow[]) => ({ upserts: rows, deletes: [] });
  const target = (id: string, to: string) => ({ id, upstream: { id: 'u' }, target: to });
  const judged = (address: string) => ({ upstream: 'u', address, healthy: false });

  it('hears of an address that its node has judged before it came here, from the DNS or by config', async () => {
    const zone = ['10.0.0.1'];
    let now = 0;
    const names = new NameTable(
      async (_, type) =>
        type === 'A'
          ? { status: 'ok', records: zone.map((address) => ({ address, ttl: 1 })), system: false }
          : { status: 'not_found', message: 'none', retry: 1 },
      undefined,
      () => now,
    );
    const view = new HealthView('epoch', []);
    const { ask, asked } = isolateOf(view);
    const first = Balancers.empty(names).update(
      new Map([
        ['upstreams', upserts({ id: 'u', name: 'u' })],
        ['targets', upserts(target('a', 'n.test:80'))],
      ]),
    );
    await first.resolve();
    view.set(judged('n.test/10.0.0.2:80'));
    expect(await ask(first)).toEqual([]);
    zone.push('10.0.0.2');
    now += 10_000;
    await first.resolve();
    expect(await ask(first)).toEqual(['n.test/10.0.0.2:80']);

    view.set(judged('10.0.0.3:80'));
    await ask(first);
    const next = first.update(new Map([['targets', upserts(target('b', '10.0.0.3:80'))]]));
    expect(await ask(next)).toEqual(['n.test/10.0.0.2:80', '10.0.0.3:80']);
    // For the rest of the time what is new is enough.
    expect(await ask(next)).toHaveLength(2);
    expect(asked).toEqual([null, null, 'epoch', null, 'epoch']);
  });

  it('goes on asking when its clock is set back', async () => {
    const { ask, asked } = isolateOf(new HealthView('epoch', []));
    const balancers = Balancers.empty().update(new Map([['upstreams', upserts({ id: 'u', name: 'u' })]]));
    await ask(balancers);
    await ask(balancers, -86_400_000);
    expect(asked).toHaveLength(2);
  });
});
