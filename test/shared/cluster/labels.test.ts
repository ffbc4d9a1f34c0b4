import { expect, test } from 'vitest';
import { labels as setting } from '../../../cp/settings/property.ts';
import { labelsFault } from '../../../shared/cluster/labels.ts';

test.each([
  ['a:b', { a: 'b' }],
  ['Region : eu-west.1 , _:x', undefined],
  ['deployment:mycloud, region:us:east:1', { deployment: 'mycloud', region: 'us:east:1' }],
  ['kong:a', undefined],
  ['KonnectZone:a', undefined],
  ['kingdom:a', { kingdom: 'a' }],
  ['__proto__:a', undefined],
  [`${'k'.repeat(63)}:${'v'.repeat(63)}`, { ['k'.repeat(63)]: 'v'.repeat(63) }],
  [`${'k'.repeat(64)}:v`, undefined],
  [`k:${'v'.repeat(64)}`, undefined],
  ['a:', undefined],
  ['a', undefined],
  ['a:-b', undefined],
  ['a:b c', undefined],
  ['', {}],
])('cluster_dp_labels = %s', (text, expected) => {
  expect(setting('').parse(text)).toEqual(expected);
});

test('ten labels, as in Kong, and no more', () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`l${n}`, 'x']));
  expect(labelsFault(many(10))).toBeNull();
  expect(labelsFault(many(11))).toBe('count exceeded 10 max elements');
});
