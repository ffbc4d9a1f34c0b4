import { expect, it } from 'vitest';
import { memberOf, newRing, strategyOf, timeOf } from '../../../../cp/gui/web/releases/rings.ts';
import { gatesText, orderBody, ringText } from '../../../../cp/gui/web/releases/steps.ts';
import { readStrategy } from '../../../../cp/releases/rings.ts';

it('says of a ring only what was written into the form, and leaves the rest to the control plane', () => {
  const plain = newRing(0, 10);
  const named = { ...newRing(1, ''), labels: ' region=eu ', hold: '' as const, gates: { ...plain.gates, max_nack: 2 } };
  const part = { ...newRing(2, 100), share: 50 };
  const strategy = strategyOf([plain, named, part], ' header:x-user ');
  expect(strategy).toEqual([
    { nodes: { percent: 10 }, hold: 300 },
    { nodes: { labels: 'region=eu' }, gates: { max_nack: 2 } },
    { nodes: { percent: 100 }, traffic: { percent: 50, by: 'header:x-user' }, hold: 300 },
  ]);
  const [first, second, third] = readStrategy(strategy);
  expect([first, second, third].map((ring) => (ring === undefined ? '' : ringText(ring)))).toEqual([
    '10 % of the data planes, for 5 min',
    'all data planes with region=eu, for 1 min',
    'all data planes, 50 % of their requests by header:x-user, for 5 min',
  ]);
  expect(second === undefined ? '' : gatesText(second)).toBe(
    '2 may refuse it; at most 50 points more may leave; at most 5 points more 5xx; p99 at most 5 times as long',
  );
});

it('says where a release was seen when it is to go further, and holds or undoes it wherever it is', () => {
  expect(['promote', 'resume', 'pause', 'abort', 'rollback'].map((name) => orderBody(name, { ring: 2 }))).toEqual([
    { ring: 2 },
    { ring: 2 },
    undefined,
    undefined,
    undefined,
  ]);
  expect(orderBody('promote', { ring: null })).toEqual({ ring: null });
});

it('finds what was written of a ring where a refusal names it', () => {
  const ring = { ...newRing(0, 10), labels: 'a', share: 5 };
  expect(['.nodes.labels', '.nodes.percent', '.traffic.percent', '.hold'].map((at) => memberOf(ring, at))).toEqual([
    'a',
    10,
    5,
    300,
  ]);
  expect(memberOf({ ...ring, gates: { ...ring.gates, max_nack: 3 } }, '.gates.max_nack')).toBe(3);
  expect(memberOf(ring, '.gates')).toBeUndefined();
});

it('takes a time as the browser writes it, and none for what is no time', () => {
  expect(timeOf('2026-11-29T10:30')).toBe(new Date(2026, 10, 29, 10, 30).getTime() / 1000);
  expect([timeOf(''), timeOf('soon')]).toEqual([null, null]);
});
