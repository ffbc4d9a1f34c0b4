import { describe, expect, test } from 'vitest';
import { buildManifest, configHash, parseManifest } from '../../../shared/bundle/manifest.ts';
import { placeInSplit, splitBy } from '../../../shared/bundle/split.ts';

const RELEASES = [
  '5b1cf0de-58bd-4aa0-9d4c-3f38cf0a4a3c',
  '0d4b1f62-3a0e-4c55-8f4b-9f1f0b8f7a11',
  'c6f7a9d2-7a3e-4f0b-8a53-2f3f3a9d1b77',
];

describe('of 10,000 clients', () => {
  const address = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  test.each<[string, (n: number) => string]>([
    ['IPv4 addresses', address],
    ['IPv6 addresses', (n) => `2001:db8::${n.toString(16)}`],
    ['counted names', (n) => `client-${n}`],
    ['UUIDs', (n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`],
  ])(
    'the part is what was asked for within 1 %%, grows without letting anyone go, and is another for another release: %s',
    (_, name) => {
      const clients = Array.from({ length: 10_000 }, (_none, n) => name(n));
      const [first = '', second = ''] = RELEASES;
      for (const release of RELEASES) {
        for (const percent of [0, 1, 5, 20, 50, 95, 100]) {
          const part = clients.filter((client) => placeInSplit(release, client) < percent).length / 100;
          expect(Math.abs(part - percent)).toBeLessThanOrEqual(percent % 100 === 0 ? 0 : 1);
        }
      }
      const both = clients.filter((client) => placeInSplit(first, client) < 20 && placeInSplit(second, client) < 20);
      expect(Math.abs(both.length / 100 - 4)).toBeLessThan(1);
    },
  );
});

test.each([
  ['client_ip', 'client_ip'],
  ['header:X-User', 'header:x-user'],
  ['header:', undefined],
  ['header:a b', undefined],
  ['ip', undefined],
  [1, undefined],
])('%j is %s', (given, expected) => {
  expect(splitBy(given)).toBe(expected);
});

test('a manifest with a split is read as it is written, and one whose split is none is refused where it is wrong', async () => {
  const tables = { routes: { index: 'a'.repeat(64), rows: 1, mode: 'eager' as const } };
  const split = {
    release: RELEASES[0] ?? '',
    percent: 2.5,
    by: 'header:x-user' as const,
    serial: 9,
    rest_serial: 4,
    config_hash: await configHash(tables),
    tables,
  };
  const of = (more: object) => ({
    cluster: RELEASES[1] ?? '',
    group: 'default',
    serial: 10,
    issued_at: 0,
    tables: {},
    plugins: {},
    keys: [],
    ...more,
  });
  const manifest = await buildManifest(of({ split }));
  expect(parseManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
  for (const [wrong, reason] of [
    [{ percent: 101 }, 'manifest.split.percent: expected a number from 0 to 100'],
    [{ percent: '5' }, 'manifest.split.percent: expected'],
    [{ by: 'header:' }, 'manifest.split.by: expected client_ip, consumer, colo or header:<name>'],
    [{ more: 1 }, "manifest.split has an unknown member 'more'"],
    [{ tables: { routes: {} } }, "manifest.split.tables.routes lacks 'index'"],
  ] as const) {
    const altered = { ...manifest, split: { ...split, ...wrong } };
    expect(() => parseManifest(altered)).toThrow(reason);
  }
});
