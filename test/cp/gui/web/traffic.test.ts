import { expect, it } from 'vitest';
import {
  msText,
  rateText,
  seriesOf,
  shareText,
  summaryOf,
  totalsOf,
  type Vitals,
} from '../../../../cp/gui/web/traffic/vitals.ts';

const LABELS = [
  'requests_total',
  'status_4xx_total',
  'status_5xx_total',
  'latency_request_p50_ms',
  'latency_request_p99_ms',
];

function vitals(stats: Vitals['stats'], totals: Vitals['totals'] = {}): Vitals {
  const meta = { interval_width: 10, earliest_ts: 100, latest_ts: 141, stat_labels: LABELS, names: { a: 'orders' } };
  return { meta, stats, totals };
}

it('draws steps nobody told of as no requests and no latency, and leaves out those that are not told of whole yet', () => {
  const series = seriesOf(vitals({ cluster: { '110': [50, 10, 5, 8, 30], '130': [70, 0, 0, 1, 1] } }));
  expect(series).toMatchObject({
    times: [100, 110, 120],
    rate: [0, 5, 0],
    rate4xx: [0, 1, 0],
    rate5xx: [0, 0.5, 0],
    p99: [null, 30, null],
    upstreamP99: [null, null, null],
  });
  expect(summaryOf(series)).toEqual({ rate: 0, share5xx: null, p50: 8, p99: 30 });
  expect(seriesOf(vitals({})).rate).toEqual([0, 0, 0]);
});

it('draws a long step that is not over, as of the seconds that have been told, as soon as these say something', () => {
  const told = (now: number) => {
    const meta = { interval_width: 600, earliest_ts: 600, latest_ts: now, stat_labels: LABELS, names: {} };
    return seriesOf({ meta, stats: { cluster: { '600': [1200, 0, 0, 1, 1], '1200': [300, 0, 0, 1, 1] } }, totals: {} });
  };
  expect(told(1269)).toMatchObject({ times: [600], rate: [2] });
  expect(told(1270)).toMatchObject({ times: [600, 1200], rate: [2, 5] });
  expect(told(1360)).toMatchObject({ times: [600, 1200], rate: [2, 2] });
});

it('puts first who had most requests, by name, with shares of them all', () => {
  const rows = totalsOf(
    vitals({ a: { '100': [8, 0, 2, 5, 9] } }, { b: [3, 3, 0, 1, 1], a: [8, 0, 2, 5, 9], '': [0, 0, 0, null, null] }),
  );
  expect(rows.map(({ id, name, requests }) => [id, name, requests])).toEqual([
    ['a', 'orders', 8],
    ['b', null, 3],
    ['', null, 0],
  ]);
  expect(rows[0]).toMatchObject({ share5xx: 0.25, p99: 9, line: [8, 0, 0, 0, 0] });
  expect(rows[2]).toMatchObject({ share5xx: 0, p99: null });
});

it('tells numbers in as many digits as say something', () => {
  expect([0, 0.012, 3.06, 1234.5].map(rateText)).toEqual(['0', '0.012', '3.1', '1,235']);
  expect([null, 0, 0.42, 12.6, 59_000].map(msText)).toEqual(['–', '0 ms', '0.4 ms', '13 ms', '59.0 s']);
  expect([null, 0, 0.0001, 0.123].map(shareText)).toEqual(['–', '0 %', '< 0.1 %', '12.3 %']);
});
