import { expect, it } from 'vitest';
import { variantKey } from '../../../edge-dp/plugins/response-cache/cache-key.ts';
import { fakeRequest } from './fakes.ts';

it('tells variants apart by what headers say, not by the blanks around the items of their lists', () => {
  const key = (accept: string) => variantKey('primary', ['accept'], fakeRequest({ headers: { accept } }));
  const long = `a${' '.repeat(1 << 20)}b`;
  expect(new Set([key('a, b'), key('a ,b'), key('a,\tb')]).size).toBe(1);
  expect(new Set([key('a, b'), key('a b'), key('b, a'), key('a,, b'), key(long)]).size).toBe(5);
});
