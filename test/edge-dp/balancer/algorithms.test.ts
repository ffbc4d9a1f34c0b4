import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, AddressState, type Connection, type Picker } from '../../../edge-dp/balancer/address.ts';
import { consistentHashing } from '../../../edge-dp/balancer/consistent-hashing.ts';
import { latency, welcomeNewcomers } from '../../../edge-dp/balancer/latency.ts';
import { leastConnections } from '../../../edge-dp/balancer/least-connections.ts';
import { roundRobin } from '../../../edge-dp/balancer/round-robin.ts';
import { xxHash32 } from '../../../edge-dp/balancer/xxhash32.ts';
import rings from './rings.json' with { type: 'json' };

const address = (target: string, weight = 100): Address => {
  const [host = '', port = '0'] = target.split(':');
  const named = { name: host, ip: host, host, hostname: host, key: target };
  return { id: target, target, ...named, port: Number(port), weight, state: new AddressState() };
};
const anyOf = () => true;

/** Picks `count` times and counts per target. */
function spread(picker: Picker, count: number, eligible: (address: Address) => boolean = anyOf) {
  const counts = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const target = picker.pick(eligible, `key-${i}`, 0)?.target ?? 'none';
    counts.set(target, (counts.get(target) ?? 0) + 1);
  }
  return counts;
}

describe('xxHash32', () => {
  it('gives the published digests', () => {
    expect(xxHash32('')).toBe(0x02cc5d05);
    expect(xxHash32('a')).toBe(0x550d7456);
    expect(xxHash32('abc')).toBe(0x32d153ff);
    expect(xxHash32('Nobody inspects the spammish repetition')).toBe(0xe2293b2f);
  });
});

describe('consistent hashing', () => {
  it.each(rings)('places keys as Kong does: $targets over $slots slots', ({ slots, targets, keys }) => {
    const addresses = Object.entries(targets).map(([target, weight]) => address(target, weight));
    const picker = consistentHashing(addresses.toReversed(), slots);
    const placed = Object.keys(keys).map((key) => [key, picker.pick(anyOf, key, 0)?.target]);
    expect(Object.fromEntries(placed)).toEqual(keys);
  });

  it('moves only the keys of a target that leaves', () => {
    const addresses = [1, 2, 3, 4].map((i) => address(`10.0.0.${i}:80`));
    const picker = consistentHashing(addresses, 10_000);
    const [gone] = addresses;
    let moved = 0;
    for (let i = 0; i < 10_000; i++) {
      const before = picker.pick(anyOf, `k${i}`, 0);
      const after = picker.pick((candidate) => candidate !== gone, `k${i}`, 0);
      expect(after).not.toBe(gone);
      if (before === after) continue;
      expect(before).toBe(gone);
      moved++;
    }
    expect(moved / 10_000).toBeLessThan(0.35);
  });

  it('tries no more places for targets once all are taken', () => {
    let tried = 0;
    const addresses = Array.from({ length: 1_000 }, (_, n) => {
      const ip = `10.0.${n >> 8}.${n & 255}`;
      return Object.defineProperty(address(`${ip}:80`), 'ip', {
        get() {
          tried += 1;
          return ip;
        },
      });
    });
    const picker = consistentHashing(addresses, 10_000);
    expect(spread(picker, 1_000).has('none')).toBe(false);
    // Some ten for each place, where all tries of all targets would be ten million.
    expect(tried).toBeLessThan(500_000);
  });
});

describe('consistent hashing when targets come and go', () => {
  const KEYS = Array.from({ length: 3_000 }, (_, i) => `key-${i}`);
  const placed = (addresses: readonly Address[]) => {
    const picker = consistentHashing(addresses, 10_000);
    return KEYS.map((key) => picker.pick(anyOf, key, 0)?.target);
  };

  it('moves little more than the share of the one that came or went, whatever the order of the others', () =>
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(255), fc.nat(), (count, net, turn) => {
        const all = Array.from({ length: count + 1 }, (_, i) => address(`10.0.${net}.${i}:80`));
        const [last] = all.slice(-1);
        const others = all.slice(0, -1);
        const rotated = [...others.slice(turn % count), ...others.slice(0, turn % count)];
        const before = placed(rotated);
        expect(placed(others)).toEqual(before);
        const after = placed(all);
        const moved = after.filter((target, i) => target !== before[i]);
        const elsewhere = moved.filter((target) => target !== last?.target);
        expect(moved.length / KEYS.length).toBeLessThan(1 / (count + 1) + 0.12);
        // Places that two addresses wanted may go to another than before.
        expect(elsewhere.length / KEYS.length).toBeLessThan(0.06);
      }),
      { numRuns: 25 },
    ));
});

describe('round robin', () => {
  it('gives every target its share to the request over a whole turn', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
        fc.nat(),
        (weights, start) => {
          const addresses = weights.map((weight, i) => address(`10.0.0.${i}:80`, weight));
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          const counts = spread(roundRobin(addresses, start), total);
          for (const { target, weight } of addresses) expect(counts.get(target)).toBe(weight);
        },
      ),
    );
  });

  it('keeps extreme weights within two percent', () => {
    const addresses = [address('a:1', 65_535), address('b:1', 65_533), address('c:1', 1)];
    const counts = spread(roundRobin(addresses, 7), 200_000);
    expect((counts.get('a:1') ?? 0) / 200_000).toBeCloseTo(0.5, 1);
    expect(Math.abs((counts.get('a:1') ?? 0) - (counts.get('b:1') ?? 0)) / 200_000).toBeLessThan(0.02);
    expect(counts.get('c:1')).toBeGreaterThan(0);
  });

  it('passes over what is not eligible, and ends when nothing is', () => {
    const picker = roundRobin([address('a:1'), address('b:1'), address('c:1')], 0);
    expect(spread(picker, 100, ({ target }) => target !== 'b:1')).toEqual(
      new Map([
        ['a:1', 50],
        ['c:1', 50],
      ]),
    );
    expect(picker.pick(() => false, '', 0)).toBeNull();
    expect(roundRobin([], 5).pick(anyOf, '', 0)).toBeNull();
  });
});

describe('least connections', () => {
  it('sends to the address with the fewest connections for its weight', () => {
    const addresses = [address('a:1', 100), address('b:1', 200)];
    const picker = leastConnections(addresses, 0);
    const counts = new Map<string, number>();
    for (let i = 0; i < 300; i++) {
      const picked = picker.pick(anyOf, '', 0);
      picked?.state.connect(0);
      counts.set(picked?.target ?? '', (counts.get(picked?.target ?? '') ?? 0) + 1);
    }
    expect(counts).toEqual(
      new Map([
        ['a:1', 100],
        ['b:1', 200],
      ]),
    );
  });

  it('always takes one of the least loaded, however requests come and go, and owes nothing when all have gone', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.option(fc.nat(), { nil: null }), { maxLength: 120 }),
        fc.nat(5),
        (weights, events, ill) => {
          const addresses = weights.map((weight, i) => address(`10.0.0.${i}:80`, weight));
          const picker = leastConnections(addresses, 3);
          const eligible = (one: Address) => weights.length === 1 || one !== addresses[ill % weights.length];
          const open: { readonly at: Address; readonly end: Connection }[] = [];
          const load = (one: Address) => (open.filter(({ at }) => at === one).length + 1) / one.weight;
          for (const event of events) {
            if (event !== null && open.length > 0) {
              for (const { end } of open.splice(event % open.length, 1)) end.release();
              continue;
            }
            const picked = picker.pick(eligible, '', 0);
            if (picked === null) throw new Error('nothing was picked');
            expect(eligible(picked)).toBe(true);
            expect(load(picked)).toBe(Math.min(...addresses.filter(eligible).map(load)));
            open.push({ at: picked, end: picked.state.connect(0) });
          }
          for (const { end } of open) end.release();
          expect(addresses.map(({ state }) => state.connections(0))).toEqual(weights.map(() => 0));
        },
      ),
    ));

  it('forgets connections that ended, and those whose end was never told', () => {
    const { state } = address('a:1');
    const [ended, waiting, lasting] = [state.connect(0), state.connect(0), state.connect(0)];
    lasting.answered();
    ended.release();
    ended.answered();
    ended.release();
    expect(state.connections(1)).toBe(2);
    expect(state.connections(11 * 60_000)).toBe(1);
    waiting.release();
    waiting.answered();
    expect(state.connections(11 * 60_000)).toBe(1);
    expect(state.connections(25 * 3_600_000)).toBe(0);
  });
});

describe('latency', () => {
  it('prefers the faster of two, and a heavier one over a lighter', () => {
    const [fast, slow] = [address('fast:1'), address('slow:1')];
    fast.state.measured(10, 0);
    slow.state.measured(200, 0);
    expect(spread(latency([fast, slow]), 50)).toEqual(new Map([['fast:1', 50]]));
    const [light, heavy] = [address('light:1', 1), address('heavy:1', 100)];
    for (const { state } of [light, heavy]) state.measured(50, 0);
    expect(spread(latency([light, heavy]), 50)).toEqual(new Map([['heavy:1', 50]]));
  });

  it('never takes the slowest of those it may choose from, nor one it may not', () =>
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 5_000 }), { minLength: 3, maxLength: 8 }),
        fc.nat(),
        (times, ill) => {
          const addresses = times.map((_, i) => address(`10.0.0.${i}:80`));
          for (const [i, { state }] of addresses.entries()) state.measured(times[i] ?? 0, 0);
          const out = ill % times.length;
          const slowest = times.indexOf(Math.max(...times.filter((_, i) => i !== out)));
          const chosen = spread(latency(addresses), 200, (one) => one !== addresses[out]);
          expect(chosen.has(`10.0.0.${out}:80`)).toBe(false);
          expect(chosen.has(`10.0.0.${slowest}:80`)).toBe(false);
        },
      ),
    ));

  it('lets old measurements fade and starts newcomers at the average', () => {
    const [old, other, fresh] = [address('old:1'), address('other:1'), address('new:1')];
    old.state.measured(100, 0);
    other.state.measured(50, 0);
    welcomeNewcomers([old, other, fresh], 0);
    expect(fresh.state.latency(0)).toBe(75);
    expect(old.state.latency(10_000)).toBeCloseTo(100 / Math.E, 5);
    old.state.measured(100, 10_000);
    expect(old.state.latency(10_000)).toBeCloseTo(100, 5);
  });
});
