import { afterEach, expect, test, vi } from 'vitest';
import { FieldList } from '../../../edge-dp/http/fields.ts';
import { RequestSampler } from '../../../edge-dp/replay/sampler.ts';
import { createRouter } from '../../../edge-dp/router/router.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('goes on when the request that gathered was broken off, and its work with it', async () => {
  vi.useFakeTimers();
  const told: string[] = [];
  const node = {
    fetch: async (_url: unknown, init?: { body?: unknown }) => {
      told.push(String(init?.body));
      return new Response(null, { status: 204 });
    },
  };
  const sampler = new RequestSampler({ size: 1000, headers: [] }, node);
  const see = (route: string): boolean => {
    const now = Date.now();
    const wanted = sampler.wants(route, now);
    const request = {
      ...{ method: 'GET', host: 'a.test', scheme: 'http' as const, sni: null, path: `/${route}`, query: '' },
      ...{ sourceIp: null, sourcePort: null, destinationIp: null, destinationPort: null },
      header: () => null,
    };
    const seen = { request, route, now, fields: FieldList.of({}), forwardedProto: 'http', version: '1.1' };
    if (wanted) sampler.saw({ ...seen, router: createRouter('traditional_compatible') }, () => undefined);
    return wanted;
  };
  expect(see('first')).toBe(true);
  vi.clearAllTimers();
  for (let route = 0; route < 300; route++) see(`more-${route}`);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(see('late')).toBe(true);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told.join()).toContain('/first');
  expect(told.join()).toContain('/late');
});
