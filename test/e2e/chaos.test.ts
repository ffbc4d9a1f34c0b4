import { expect, it } from 'vitest';
import { chaos } from './chaos.ts';

it('a minute of chaos costs no request, no route and no acknowledged write', async () => {
  const { violations, requests, acknowledged, events } = await chaos(60, () => undefined);
  expect(violations).toEqual([]);
  expect(requests).toBeGreaterThan(100);
  expect(acknowledged).toBeGreaterThan(20);
  expect(Object.keys(events).length).toBeGreaterThan(3);
});
