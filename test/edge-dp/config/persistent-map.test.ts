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
          keep(map.setAll(together));
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
});
