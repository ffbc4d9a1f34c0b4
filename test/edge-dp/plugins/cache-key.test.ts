import { describe, expect, it } from 'vitest';
import { cacheKey, variantKey } from '../../../edge-dp/plugins/response-cache/cache-key.ts';
import type { AuthenticatedConsumer } from '../../../edge-dp/plugins/runtime/identity.ts';
import { fakeRequest } from './fakes.ts';

it('tells variants apart by what headers say, not by the blanks around the items of their lists', () => {
  const key = (accept: string) => variantKey('primary', ['accept'], fakeRequest({ headers: { accept } }));
  const long = `a${' '.repeat(1 << 20)}b`;
  expect(new Set([key('a, b'), key('a ,b'), key('a,\tb')]).size).toBe(1);
  expect(new Set([key('a, b'), key('a b'), key('b, a'), key('a,, b'), key(long)]).size).toBe(5);
});

describe('keys of copies', () => {
  const config = { plugin: 'p', ignoreCase: false, queryParameters: null, headers: [] };
  const keyOf = (query: string, queryParameters: readonly string[] | null = null) =>
    cacheKey(fakeRequest({ target: `/a?${query}` }), { ...config, queryParameters });

  it('tell queries apart by what their escapes stand for, also where that is no text', () => {
    const same = [
      ['a=1&b=2', 'b=2&&a=1'],
      ['a=%41+%20', '%61=A%20+'],
      ['a=%E2%82%AC', 'a=%e2%82%ac'],
    ] as const;
    for (const [one, other] of same) expect(keyOf(one), `${one} ${other}`).toBe(keyOf(other));
    const different = ['a=%ff', 'a=%25ff', 'a=%00%25ff', 'a=%fe', 'a=%zz', 'a=%25zz', '%ff=a', '%25ff=a', 'a', 'a='];
    expect(new Set(different.map((query) => keyOf(query))).size).toBe(different.length);
    const counted = (query: string) => keyOf(query, ['a']);
    expect(counted('a=%ff&b=%ff&%ff')).toBe(counted('a=%ff'));
    expect(counted('a=%ff')).not.toBe(counted('a=%25ff'));
  });

  it('tell people apart who are known without being consumers, and the users of one consumer', () => {
    const consumer = (id: string): AuthenticatedConsumer => ({ id, username: id, custom_id: null, row: { id } });
    const of = (known: AuthenticatedConsumer | null, identifier: string | null, user: string | null = null) => {
      const request = fakeRequest();
      request.identity.authenticate(known, identifier === null ? null : { id: null, identifier });
      request.identity.authenticatedUser = user;
      return cacheKey(request, config);
    };
    const keys = [
      of(null, null),
      of(null, 'ada'),
      of(null, 'bob'),
      of(consumer('ada'), 'one'),
      of(consumer('app'), 'one'),
      of(consumer('app'), 'one', 'ada'),
      of(consumer('app'), 'one', 'bob'),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(of(consumer('app'), 'one')).toBe(of(consumer('app'), 'two'));
    expect(of(null, 'ada')).toBe(of(null, 'ada'));
  });
});
