import { describe, expect, it } from 'vitest';
import { Balancers } from '../../../edge-dp/balancer/balancers.ts';
import { ProbeSchedule } from '../../../edge-dp/balancer/probe-schedule.ts';

const ids = { upstream: '00000000-0000-4000-8000-000000000001' };

/** One upstream with the targets of these names and weights, probed at these intervals. */
function upstream(healthy: number, unhealthy: number, targets: Readonly<Record<string, number>> = { a: 1, b: 1 }) {
  const healthchecks = { active: { healthy: { interval: healthy }, unhealthy: { interval: unhealthy } } };
  return Balancers.empty().update(
    new Map([
      ['upstreams', { upserts: [{ id: ids.upstream, name: 'u', healthchecks }], deletes: [] }],
      [
        'targets',
        {
          upserts: Object.entries(targets).map(([name, weight], n) => ({
            id: `00000000-0000-4000-8000-00000000001${n}`,
            upstream: { id: ids.upstream },
            target: `${name}:80`,
            weight,
          })),
          deletes: [],
        },
      ],
    ]),
  );
}

describe('the schedule of active checks', () => {
  const ill = (_upstream: string, address: string): boolean => address !== 'b:80';
  const all = (): boolean => true;
  const names = (due: ReturnType<ProbeSchedule['due']>) => due.due.map(({ address }) => address.name);

  it('probes what is well and what is ill at the interval of each', () => {
    const schedule = new ProbeSchedule();
    const targets = upstream(10, 1);
    const seen: string[] = [];
    for (let now = 0; now <= 20_000; ) {
      const round = schedule.due(targets.all(), ill, now);
      for (const name of names(round)) seen.push(`${now / 1000} ${name}`);
      expect(round.next).toBe(now + 1_000);
      now = round.next ?? Number.POSITIVE_INFINITY;
    }
    expect(seen.filter((one) => one.endsWith('a'))).toEqual(['0 a', '10 a', '20 a']);
    expect(seen.filter((one) => one.endsWith('b'))).toHaveLength(21);
  });

  it('looks after ill targets alone where those that are well are not probed, and the other way round', () => {
    const targets = upstream(0, 1);
    const schedule = new ProbeSchedule();
    expect(schedule.due(targets.all(), all, 0)).toEqual({ due: [], next: null });
    expect(names(schedule.due(targets.all(), ill, 0))).toEqual(['b']);
    expect(schedule.due(targets.all(), ill, 500)).toEqual({ due: [], next: 1_000 });
    expect(names(new ProbeSchedule().due(upstream(1, 0).all(), ill, 0))).toEqual(['a']);
  });

  it('probes a target at once that falls ill long before its next turn', () => {
    const schedule = new ProbeSchedule();
    const targets = upstream(60, 1);
    expect(names(schedule.due(targets.all(), all, 0))).toEqual(['a', 'b']);
    expect(names(schedule.due(targets.all(), ill, 1_500))).toEqual(['b']);
  });

  it('passes over targets without weight, forgets those that left, and waits for no clock that was set back', () => {
    const schedule = new ProbeSchedule();
    expect(names(schedule.due(upstream(10, 10, { a: 0, b: 1 }).all(), all, 0))).toEqual(['b']);
    expect(schedule.due([], all, 1_000)).toEqual({ due: [], next: null });
    expect(names(schedule.due(upstream(10, 10).all(), all, 2_000))).toEqual(['a', 'b']);
    expect(names(schedule.due(upstream(10, 10).all(), all, 1_000))).toEqual(['a', 'b']);
  });
});
