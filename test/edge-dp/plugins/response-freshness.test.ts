import { describe, expect, it } from 'vitest';
import { parseCacheControl } from '../../../edge-dp/http/cache-control.ts';
import { FieldList } from '../../../edge-dp/http/fields.ts';
import { freshnessOf, isUsable, wishesOf } from '../../../edge-dp/plugins/response-cache/freshness.ts';
import { originDirectives } from '../../../edge-dp/plugins/response-cache/origin-directives.ts';

/** Seconds since the epoch. */
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5) / 1000;
const at = (seconds: number): string => new Date((NOW + seconds) * 1000).toUTCString();

/** What a shared cache may do with an answer that comes now. */
function freshness(fields: Readonly<Record<string, string>>) {
  const headers = FieldList.of(fields);
  return freshnessOf(headers, originDirectives(headers), NOW);
}

describe('how long an answer may be used', () => {
  it.each<[string, Readonly<Record<string, string>>, number | null]>([
    ['s-maxage comes before max-age', { 'cache-control': 'max-age=5, s-maxage=60' }, 60],
    ['max-age comes before Expires', { 'cache-control': 'max-age=5', expires: at(60) }, 5],
    ['the first of two counts', { 'cache-control': 'max-age=5, max-age=60' }, 5],
    ['names and quotes are no difference', { 'cache-control': 'MAX-AGE="60"' }, 60],
    ['a number that is none is stale', { 'cache-control': 'max-age=60.5', expires: at(60) }, null],
    ['Expires counts from Date', { expires: at(60), date: at(-10) }, 70],
    ['a date in another zone is none', { expires: at(60).replace('GMT', 'UTC') }, null],
    ['nor is anything else', { expires: '0' }, null],
    ['what is old as it comes is stale', { 'cache-control': 'max-age=60', age: '60' }, null],
    ['by Date, too', { 'cache-control': 'max-age=60', date: at(-61) }, null],
    ['nothing said', {}, null],
    ['no-store', { 'cache-control': 'max-age=60, No-Store' }, null],
    ['private to some fields', { 'cache-control': 'max-age=60, private="a, b"' }, null],
    ['no-cache', { 'cache-control': 'no-cache, max-age=60' }, null],
    ['CDN-Cache-Control comes first', { 'cdn-cache-control': 'foo, max-age=9', 'cache-control': 'no-store' }, 9],
    ['and alone', { 'cdn-cache-control': 'no-transform', 'cache-control': 'max-age=5', expires: at(60) }, null],
    ['and forbids', { 'cdn-cache-control': 'private', 'cache-control': 'max-age=5' }, null],
    ['but not where it cannot be read', { 'cdn-cache-control': 'max-age=9, &', 'cache-control': 'max-age=5' }, 5],
    ['nor with a text for a number', { 'cdn-cache-control': 'max-age="9"', 'cache-control': 'max-age=5' }, 5],
    ['varies by everything', { 'cache-control': 'max-age=60', vary: 'a, *' }, null],
  ])('%s', (_, fields, lifetime) => {
    expect(freshness(fields)?.lifetime ?? null).toBe(lifetime);
  });

  it('is the same for a stale one unless origin or client say otherwise', () => {
    const kept = { lifetime: 60, mustRevalidate: false };
    const usable = (age: number, asked: string, origin = kept) =>
      isUsable(origin, age, wishesOf(parseCacheControl(asked)));
    expect([usable(60, ''), usable(90, ''), usable(90, '', { ...kept, mustRevalidate: true })]).toEqual([
      true,
      true,
      false,
    ]);
    expect([usable(90, 'max-stale=30'), usable(91, 'max-stale=30'), usable(900, 'max-stale')]).toEqual([
      true,
      false,
      true,
    ]);
    expect([usable(50, 'min-fresh=10'), usable(51, 'min-fresh=10')]).toEqual([true, false]);
    expect([usable(10, 'max-age=10'), usable(11, 'max-age=10'), usable(1, 'max-age=x')]).toEqual([true, false, false]);
    for (const directive of ['must-revalidate', 'proxy-revalidate', 's-maxage=60'])
      expect(freshness({ 'cache-control': `max-age=60, ${directive}` })?.mustRevalidate).toBe(true);
  });
});
