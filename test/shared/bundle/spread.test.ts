import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../../shared/bundle/canonical.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { hashedField, objectFor, spreadValue, travellingValue } from '../../../shared/bundle/lookup.ts';
import { placeOf } from '../../../shared/bundle/spread.ts';

describe('canonical JSON', () => {
  test('is the example of RFC 8785', () => {
    const value = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0],
      string: '\u20ac$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    expect(canonicalJson({ '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, ö: 7 })).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\ud83d\ude00":5,"\ufb33":3}',
    );
  });

  test('says the same value in the same bytes whatever the order of its members, and loses nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const normal: unknown = JSON.parse(JSON.stringify(value));
        expect(JSON.parse(canonicalJson(normal))).toEqual(normal);
        expect(canonicalJson(reversed(normal))).toBe(canonicalJson(normal));
      }),
    );
  });

  test('refuses what JSON cannot say', () => {
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, () => 1, '\ud800', [undefined], 1n, loop]) {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    }
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  );
}

describe('spread', () => {
  test('puts a key in range, and one bit more either keeps its place or moves it by half', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 0, max: 15 }), (key, bits) => {
        const place = placeOf(key, bits);
        expect(place).toBeGreaterThanOrEqual(0);
        expect(place).toBeLessThan(2 ** bits);
        expect([place, place + 2 ** bits]).toContain(placeOf(key, bits + 1));
      }),
    );
  });

  test('is even for UUIDs, digests and counted names', () => {
    const kinds = [(n: number) => crypto.randomUUID() + n, (n: number) => `consumer-${n}`, (n: number) => String(n)];
    for (const kind of kinds) {
      const places = new Array<number>(64).fill(0);
      for (let n = 0; n < 64_000; n++) {
        const place = placeOf(kind(n), 6);
        places[place] = (places[place] ?? 0) + 1;
      }
      expect(Math.min(...places)).toBeGreaterThan(800);
      expect(Math.max(...places)).toBeLessThan(1200);
    }
  });
});

describe('a lookup', () => {
  const found = (rows: readonly BundleRow[], key: string, travelling: string) =>
    rows.filter((row) => spreadValue(row, key) === travelling).map((row) => row.id);

  test('finds a row by its secret where only the digest travels', async () => {
    const digest = await hashedField('s3cret');
    const rows = [
      { id: '1', key: digest },
      { id: '2', key: 'x' },
    ];
    const refs = new Array(4).fill(null);
    refs[placeOf(digest, 2)] = { name: 'a'.repeat(64), size: 10 };
    const index = { table: 'keyauth_credentials', key: 'key', hashed: ['key'], bits: 2, objects: refs };
    const travelling = await travellingValue(index, 's3cret');
    expect(objectFor(index, travelling)?.name).toBe('a'.repeat(64));
    expect(found(rows, index.key, travelling)).toEqual(['1']);
    expect(found(rows, index.key, await travellingValue(index, 'wrong'))).toEqual([]);
  });

  test('finds every row of a foreign key', async () => {
    const rows = [
      { id: '1', consumer: { id: 'c' }, group: 'a' },
      { id: '2', consumer: { id: 'd' }, group: 'a' },
      { id: '3', consumer: { id: 'c' }, group: 'b' },
    ];
    expect(found(rows, 'consumer', 'c')).toEqual(['1', '3']);
  });
});
