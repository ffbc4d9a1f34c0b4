import { describe, expect, it } from 'vitest';
import { chosen, parseReplayed, requestLine, requestsIn, verdictText } from '../../../../cp/gui/web/replay/replayed.ts';
import type { DifferingRequest } from '../../../../shared/cluster/replay.ts';

describe('pasted requests', () => {
  const line = '10.0.0.1 - - [29/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5';
  it.each([
    [' [{"path": "/"}]', { requests: [{ path: '/' }] }],
    ['{"requests": []}', { requests: [] }],
    ['{"log": {"entries": []},\n"more": 1}', { log: { entries: [] } }],
    [line, { access_log: line, host: 'h', scheme: 'https' }],
    ['{"path":"/"}\n{"path":"/b"}', { access_log: '{"path":"/"}\n{"path":"/b"}', host: 'h', scheme: 'https' }],
  ])('are sent as what they look like: %j', (text, sent) => {
    expect(requestsIn(text, ' h ', 'https')).toEqual(sent);
  });

  it('that are cut off, or nothing of the kind, are told at once', () => {
    expect(() => requestsIn('[{"path"', '', 'http')).toThrow('begins like JSON and is none');
    expect(() => requestsIn('{\n"services": []}', '', 'http')).toThrow('neither a list of requests');
  });
});

const verdict = { route: 'orders', service: 'orders', upstream: null, plugins: [], status: null };
const differing: readonly DifferingRequest[] = [
  { request: { path: '/a', host: 'h' }, changes: ['route'], before: verdict, after: { ...verdict, route: null } },
  {
    request: {
      method: 'PUT',
      scheme: 'https',
      host: null,
      path: '/b',
      query: 'x=1',
      headers: { 'x-v': '1, 2', authorization: null },
    },
    changes: ['plugins'],
    before: verdict,
    after: { ...verdict, plugins: ['cors'] },
  },
];

it('is not taken for a result when it is something else, or of a kind that is not known', () => {
  const answer = {
    data_plane: { id: 'a', hostname: 'eu-1' },
    compared_with: { serial: null, config_hash: null },
    ...{ requests: 9, changed: 2, unsure: 0, skipped: 1, skipped_first: 'line 3' },
    changes: { route: 1, service: 0, upstream: 0, plugins: 1, status: 0 },
    differing,
  };
  const { figures, ...rest } = parseReplayed(answer);
  expect(figures.differing.map(({ request }) => requestLine(request))).toEqual(['GET http://h/a', 'PUT /b?x=1']);
  expect(rest).toEqual({
    node: { id: 'a', hostname: 'eu-1' },
    ...{ serial: null, skipped: 1, skippedFirst: 'line 3' },
  });
  for (const wrong of [
    null,
    {},
    { ...answer, changed: -1 },
    { ...answer, differing: [{ ...differing[0], changes: ['x'] }] },
  ])
    expect(() => parseReplayed(wrong)).toThrow(/answer|replay/);
});

it('finds requests by what changes, and by words that stand anywhere in them', () => {
  const found = (wanted: readonly Parameters<typeof verdictText>[1][], words = '') =>
    chosen(differing, new Set(wanted), words).map(({ request }) => requestLine(request));
  expect(found([])).toEqual(['GET http://h/a', 'PUT /b?x=1']);
  expect(found(['plugins', 'status'])).toEqual(['PUT /b?x=1']);
  expect(found(['status'])).toEqual([]);
  expect(found([], 'ORDERS http://h')).toEqual(['GET http://h/a']);
  expect(found(['plugins'], 'cors x-v:')).toEqual(['PUT /b?x=1']);
});

it('says what a verdict has of each aspect, also where it has none', () => {
  expect(verdictText({ ...verdict, status: 404 }, 'status')).toBe('404');
  expect([verdictText(verdict, 'status'), verdictText(verdict, 'upstream'), verdictText(verdict, 'plugins')]).toEqual([
    'answered by others',
    'none',
    'none',
  ]);
});
