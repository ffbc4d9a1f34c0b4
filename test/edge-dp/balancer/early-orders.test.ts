import { expect, it } from 'vitest';
import { EarlyOrders } from '../../../edge-dp/balancer/early-orders.ts';

const order = (target: string, healthy = false) => ({ upstream: 'u', target, address: null, healthy });
const here =
  (...targets: readonly string[]) =>
  ({ target }: { readonly target: string }) =>
    targets.includes(target);

it('orders wait for their targets, the last of each, and are told of when none came in time', () => {
  const early = new EarlyOrders();
  expect([early.keep(order('late'), 0), early.keep(order('late', true), 10), early.keep(order('never'), 20)]).toEqual([
    true,
    true,
    true,
  ]);
  expect(early.retry(29_000, here())).toEqual({ obeyed: false, lost: [] });
  expect(early.retry(29_500, here('late'))).toEqual({ obeyed: true, lost: [] });
  expect(early.retry(30_021, here())).toEqual({ obeyed: false, lost: [order('never')] });
  expect(early.any).toBe(false);
});

it('orders that come beyond the thousand that may wait are refused, but for targets one waits for already', () => {
  const early = new EarlyOrders();
  for (let i = 0; i < 1_000; i += 1) early.keep(order(String(i)), 0);
  expect([early.keep(order('more'), 0), early.keep(order('7', true), 0)]).toEqual([false, true]);
});
