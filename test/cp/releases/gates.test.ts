import { expect, test } from 'vitest';
import { faultIn, LEAST_JUDGED, lossIn, missingRequests } from '../../../cp/releases/gates.ts';
import { type Ring, readStrategy } from '../../../cp/releases/rings.ts';
import type { Served, ServedSides } from '../../../cp/telemetry/history.ts';
import { BUCKETS, bucketOf } from '../../../shared/telemetry/series.ts';

function gates(given: Readonly<Record<string, unknown>> = {}): Ring['gates'] {
  const [ring] = readStrategy([{ gates: given }]);
  return ring?.gates ?? expect.fail('no ring');
}

/** Requests of which so many failed, all of which took so long. */
function served(requests: number, failed = 0, milliseconds = 20): Served {
  const buckets = new Array<number>(BUCKETS).fill(0);
  buckets[bucketOf(milliseconds)] = requests;
  return { requests, failed, latencies: { buckets, sum: requests * milliseconds } };
}

const NONE = served(0);
const sides = (ring: Served, others = NONE, before = NONE): ServedSides => ({ ring, others, before });

test.each<[string, ServedSides, Readonly<Record<string, unknown>>, RegExp | null]>([
  ['as many failures as the others', sides(served(200, 20), served(400, 40)), {}, null],
  ['a few more', sides(served(200, 20), served(400, 22)), {}, null],
  [
    'many more',
    sides(served(200, 40), served(400, 20)),
    {},
    /^40 of 200 requests \(20 %\) .* 5 % of 400 with the config before \(max_5xx_increase 5\)$/,
  ],
  ['many more, which are too few to say', sides(served(LEAST_JUDGED - 1, 40), served(400)), {}, null],
  [
    'many more of the few that shall be enough',
    sides(served(10, 5), served(10)),
    { min_requests: 10 },
    /5 of 10 requests/,
  ],
  ['many more, that nobody asks about', sides(served(200, 100), served(400)), { max_5xx_increase: null }, null],
  ['a single one, where none is allowed', sides(served(1000, 1), served(1000)), { max_5xx_increase: 0 }, /^1 of 1000/],
  [
    'more than before, where there are no others',
    sides(served(200, 100), served(3), served(500, 5)),
    {},
    /against 1 % of 500 before it began/,
  ],
  ['as many as before, where there are no others', sides(served(200, 100), NONE, served(500, 250)), {}, null],
  ['some, with nothing to compare with', sides(served(200, 100)), {}, /against nothing to compare with/],
  ['a time like that of the others', sides(served(200, 0, 90), served(400, 0, 60)), {}, null],
  [
    'a much longer time',
    sides(served(200, 0, 900), served(400, 0, 20)),
    {},
    /^99 % of 200 requests took up to 997 ms, against 25 ms of 400 with the config before \(max_p99_ratio 5\)$/,
  ],
  [
    'a much longer time, that nobody asks about',
    sides(served(200, 0, 900), served(400, 0, 20)),
    { max_p99_ratio: null },
    null,
  ],
  ['a long time, with nothing to compare with', sides(served(200, 0, 900)), {}, null],
  ['nothing at all', sides(NONE, served(400)), { min_requests: 1 }, null],
])('%s', (_, told, given, expected) => {
  const fault = faultIn(gates(given), told);
  if (expected === null) expect(fault).toBeNull();
  else expect(fault).toMatch(expected);
});

test.each<[string, present: number, gone: number, of: number, othersGone: number, object, string | null]>([
  ['nobody left', 2, 0, 9, 9, {}, null],
  ['one of two', 1, 1, 9, 0, {}, null],
  [
    'two of three',
    1,
    2,
    9,
    0,
    {},
    '2 of its 3 data planes left and stayed away, against 0 of the 9 others (max_gone_increase 50)',
  ],
  ['all, as half of the others did', 0, 3, 8, 4, {}, null],
  [
    'all, where there are no others',
    0,
    3,
    0,
    0,
    {},
    '3 of its 3 data planes left and stayed away, against nothing to compare with (max_gone_increase 50)',
  ],
  [
    'one of ten, where none may',
    9,
    1,
    8,
    0,
    { max_gone_increase: 0 },
    '1 of its 10 data planes left and stayed away, against 0 of the 8 others (max_gone_increase 0)',
  ],
  ['all, that nobody asks about', 0, 3, 8, 0, { max_gone_increase: null }, null],
])('of data planes that leave: %s', (_, present, gone, of, othersGone, given, expected) => {
  const others = Array.from({ length: of }, (__, n) => `other-${n}`);
  expect(lossIn(gates({ ...given }), { present, gone, others, othersGone })).toBe(expected);
});

test('the next ring waits for requests only where it is told to', () => {
  expect(missingRequests(gates(), sides(NONE))).toBeNull();
  expect(missingRequests(gates({ min_requests: 20 }), sides(served(19)))).toBe('19 of 20 requests (min_requests)');
  expect(missingRequests(gates({ min_requests: 20 }), sides(served(20)))).toBeNull();
});

test.each([
  [{ max_5xx_increase: 101 }, 'max_5xx_increase'],
  [{ max_p99_ratio: 0.5 }, 'max_p99_ratio'],
  [{ max_gone_increase: -1 }, 'max_gone_increase'],
  [{ min_requests: 0 }, 'min_requests'],
  [{ min_requests: '5' }, 'min_requests'],
  [{ max_4xx_increase: 1 }, 'max_4xx_increase'],
])('a gate that is none is refused where it stands: %j', (given, name) => {
  expect(() => gates(given)).toThrow(expect.objectContaining({ field: `strategy[1].gates.${name}` }));
});
