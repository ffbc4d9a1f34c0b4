import { describe, expect, it, vi } from 'vitest';
import { FieldList } from '../../../edge-dp/http/fields.ts';
import responseRatelimiting from '../../../edge-dp/plugins/response-ratelimiting.ts';
import type { Reply } from '../../../edge-dp/plugins/runtime/reply.ts';
import { type Counters, ServiceError, type Services } from '../../../edge-dp/plugins/runtime/services.ts';
import { memoryCounters } from '../../../edge-dp/plugins/services/memory-counters.ts';
import type { ResponseRatelimitingConfig } from '../../../shared/plugins/response-ratelimiting.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const NONE = { second: null, minute: null, hour: null, day: null, month: null, year: null };
const CONFIG: ResponseRatelimitingConfig = {
  header_name: 'x-kong-limit',
  limit_by: 'ip',
  policy: 'local',
  fault_tolerant: true,
  redis: {
    ...{ host: null, port: 6379, timeout: 2000, username: null, password: null },
    ...{ database: 0, ssl: false, ssl_verify: false, server_name: null },
  },
  block_on_first_violation: false,
  hide_client_headers: false,
  limits: { video: { ...NONE, year: 10 } },
};

/** Sends requests whose upstream says what they cost; gives the status and what the client is told. */
function limiter(config: Partial<ResponseRatelimitingConfig> = {}, services: Partial<Services> = {}) {
  const hooks = responseRatelimiting.compile({ ...CONFIG, ...config }, EVERYWHERE, fakeServices(services));
  return async (costs: string | null) => {
    const request = fakeRequest();
    const early = await hooks.access?.(request);
    const headers = FieldList.of(costs === null ? {} : { 'X-Kong-Limit': costs });
    const reply: Pick<Reply, 'status' | 'headers' | 'source'> = { status: 200, headers, source: 'service' };
    const late = early ?? (await hooks.response?.(request, Object(reply)));
    const answer = late === undefined ? null : 'status' in late ? late : late.response;
    return { status: answer?.status ?? 200, text: String(answer?.content ?? ''), headers, early: request.replyHeaders };
  };
}

describe('response-ratelimiting', () => {
  it.each<[string, string]>([
    ['video=3', '7'],
    [' video = 3 ,image=2', '7'],
    ['video=1,video=4', '6'],
    ['video=1.2', '8'],
    ['video=-5', '15'],
    ['video', '10'],
    ['video=', '10'],
    ['video=1=2', '10'],
    ['video=NaN,=3,,', '10'],
    ['video=1e400', '10'],
    ['video=99999999999999999999', '10'],
    ['VIDEO=3', '10'],
    ['__proto__=3', '10'],
  ])('reads %j as what leaves %s of ten', async (costs, left) => {
    const { status, headers } = await limiter()(costs);
    expect([status, headers.get('x-ratelimit-remaining-video-year')]).toEqual([200, left]);
    expect(headers.has('x-kong-limit')).toBe(false);
  });

  it('refuses what costs beyond any of its windows, counts nothing of it, and goes on with what costs nothing', async () => {
    const limits = { video: { ...NONE, month: 3, year: 5 }, image: { ...NONE, year: 1 } };
    const send = limiter({ limits });
    expect((await send('video=4,image=1')).status).toBe(200);
    const refused = await send('video=1');
    expect(refused).toMatchObject({ status: 429, text: '' });
    expect(refused.early.get('x-ratelimit-remaining-video')).toBe('-1');
    expect((await send('image=1')).status).toBe(429);
    const free = await send(null);
    expect(free.status).toBe(200);
    const told = ['video-month', 'video-year', 'image-year'].map((name) =>
      free.headers.get(`x-ratelimit-remaining-${name}`),
    );
    expect(told).toEqual(['0', '1', '0']);
  });

  it('answers before the upstream is asked, at exactly nothing left, where it is to', async () => {
    const send = limiter({ block_on_first_violation: true, limits: { video: { ...NONE, year: 2 } } });
    expect((await send('video=2')).status).toBe(200);
    expect(await send('video=1')).toMatchObject({
      status: 429,
      text: expect.stringContaining("API rate limit exceeded for 'video'"),
    });
  });

  it('tells the client of no window where headers are hidden, but what is left of each limit, as Kong does', async () => {
    const { headers, early } = await limiter({ hide_client_headers: true })('video=1');
    expect([...headers, ...early]).toEqual([['x-ratelimit-remaining-video', '10']]);
  });

  it('lets requests pass, or fails, when counters do not answer, and says what it could not count', async () => {
    const gone = () => Promise.reject(new ServiceError('unavailable', 'nobody keeps them'));
    const log = vi.fn();
    const tolerant = limiter({}, { log, counters: { take: gone, add: gone, usage: gone } });
    expect([...(await tolerant('video=1')).headers.keys()]).toEqual(['x-kong-limit']);
    const half: Counters = { ...memoryCounters(), add: gone };
    expect((await limiter({}, { log, counters: half })('video=3')).status).toBe(200);
    expect(log.mock.calls.map(([, message]) => message)).toEqual([
      `response-ratelimiting (${EVERYWHERE.id}) lets requests pass unlimited: nobody keeps them`,
      `response-ratelimiting (${EVERYWHERE.id}) lost video=3: nobody keeps them`,
    ]);
    const strict = limiter({ fault_tolerant: false }, { counters: { take: gone, add: gone, usage: gone } });
    await expect(strict('video=1')).rejects.toThrow('nobody keeps them');
  });
});
