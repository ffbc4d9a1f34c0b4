import { expect, it } from 'vitest';
import { isSampled } from '../../../../edge-dp/plugins/tracing/sampling.ts';
import { randomId } from '../../../../edge-dp/plugins/tracing/trace-context.ts';

it.each([
  ['92a54b3e1a7c4f2da9e44b8a6f3e1dab', true],
  ['4bf92f3577b34da6a3ce929d0e0e4736', false],
  ['ffffffffffffff7f', true],
  ['0000000000000080', false],
  ['0af7', false],
])('decides about %s as Kong does, where half of all traces are to be seen', (trace, seen) => {
  expect(isSampled(trace, 0.5)).toBe(seen);
});

it('has the share of traces that it is asked for, of any length, and none or all at the ends', () => {
  const traces = Array.from({ length: 20_000 }, (_, n) => randomId(n % 2 === 0 ? 16 : 8));
  const seen = (rate: number) => traces.filter((trace) => isSampled(trace, rate)).length;
  // Five standard deviations of chance.
  expect(Math.abs(seen(0.25) - 5_000)).toBeLessThan(310);
  expect(Math.abs(seen(0.01) - 200)).toBeLessThan(71);
  expect([seen(0), seen(1)]).toEqual([0, traces.length]);
});
