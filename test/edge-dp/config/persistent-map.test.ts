import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PersistentMap } from '../../../edge-dp/config/persistent-map.ts';

describe('PersistentMap', () => {
  it('behaves as Map does, and leaves every earlier version as it was', () => {
    // Short keys over few letters make collisions of places likely.
    const key = fc.string({ unit: fc.constantFrom('a', 'b', '0', '\u0000'), maxLength: 4 });
    const change = fc.record({ key, value: fc.option(fc.integer()), together: fc.array(fc.tuple(key, fc.integer())) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
        const model = new Map<string, number>();
        const versions: [PersistentMap<number>, Map<string, number>][] = [];
        let map = PersistentMap.empty<number>();
        const keep = (version: PersistentMap<number>): void => {
          map = version;
          versions.push([map, new Map(model)]);
        };
        for (const { key, value, together } of changes) {
          if (value === null) model.delete(key);
          else model.set(key, value);
          keep(value === null ? map.delete(key) : map.set(key, value));
          for (const [key, value] of together) model.set(key, value);
          keep(map.setAll(new Map(together)));
        }
        for (const [version, expected] of versions) {
          expect(version.size).toBe(expected.size);
          expect(new Map(version.entries())).toEqual(expected);
          for (const { key } of changes) expect(version.get(key)).toBe(expected.get(key));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('keeps keys of one hash apart', () => {
    // Found by trying three million.
    const [first, second, third] = ['r40512', 'r820387', 'r1990513'];
    const entries: [string, number][] = [
      [first, 1],
      [second, 2],
    ];
    const two = PersistentMap.empty<number>()
      .setAll(new Map(entries))
      .setAll(new Map([[first, 3]]));
    expect([two.size, two.get(first), two.get(second), two.get(third)]).toEqual([2, 3, 2, undefined]);
    const three = two.set(third, 4).set(second, 5);
    expect([three.size, ...[first, second, third].map((key) => three.get(key))]).toEqual([3, 3, 5, 4]);
    for (const key of [first, second, third]) {
      const left = new Map(three.delete(key).entries());
      expect([left.size, left.has(key)]).toEqual([2, false]);
    }
    expect(three.delete(first).delete(third).delete(third).get(second)).toBe(5);
    expect(three.delete(first).delete(third).delete(second).size).toBe(0);
  });
});
