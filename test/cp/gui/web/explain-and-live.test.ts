import { describe, expect, it } from 'vitest';
import { chosen, standing } from '../../../../cp/gui/web/explain/choice.ts';
import { requestOfCurl } from '../../../../cp/gui/web/explain/curl.ts';
import { after, type Propagation, propagated } from '../../../../cp/gui/web/overview/propagation.ts';

describe('a line with curl', () => {
  it.each([
    ['curl api.test/a?b=c', { method: 'GET', scheme: 'http', host: 'api.test', path: '/a?b=c', headers: {} }],
    [
      `curl -sS -X PUT 'https://api.test:8443/it'\\''s' \\\n  -H "X-A: 1" -H 'x-a: "2"' --data-raw '{"a":1}' -o /dev/null`,
      { method: 'PUT', scheme: 'https', host: 'api.test:8443', path: "/it's", headers: { 'x-a': ['1', '"2"'] } },
    ],
    [
      '$ curl -kXDELETE -uada:pw http://a/',
      { method: 'DELETE', host: 'a', headers: { authorization: ['Basic YWRhOnB3'] } },
    ],
    ['curl -u мир:ü http://a/', { headers: { authorization: ['Basic 0LzQuNGAOsO8'] } }],
    ['curl -d x=1 http://a', { method: 'POST', path: '/' }],
    ['curl -Gd x=1 http://a', { method: 'GET' }],
    ['curl -sI http://a', { method: 'HEAD' }],
    [
      'curl --request=PATCH --url http://a/b --json {}',
      { method: 'PATCH', path: '/b', headers: { 'content-type': ['application/json'] } },
    ],
    ['curl -H "Host: shop.test" http://127.0.0.1:8000/', { host: 'shop.test', headers: {} }],
    ['curl --resolve a:80:127.0.0.1 -m 5 http://a/b', { host: 'a', path: '/b' }],
  ])('is the request it makes: %s', (line, request) => {
    expect(requestOfCurl(line)).toMatchObject(request);
  });

  it.each([
    ['wget http://a', 'must begin with curl'],
    ['curl -s', 'no address'],
    ["curl 'http://a", 'has no end'],
    ['curl ftp://a', 'http or https'],
  ])('is refused with what is missing: %s', (line, reason) => {
    expect(() => requestOfCurl(line)).toThrow(reason);
  });
});

describe('the target of a request', () => {
  const spread = {
    upstream: { id: 'u', name: 'pool' },
    algorithm: 'consistent-hashing',
    hash: null,
    threshold: 0,
    refusal: null,
  };
  const target = {
    target: '10.0.0.1:80',
    address: '10.0.0.1:80',
    weight: 100,
    health: 'HEALTHY',
    available: true,
  } as const;

  it('is named with the reason, as far as either is known before the request is there', () => {
    const alone = { ...target, share: 1 };
    const down = { ...target, health: 'UNHEALTHY', available: false, share: 0 } as const;
    expect(chosen(spread, [alone])).toEqual({ target: alone, because: 'it is the only one' });
    expect(chosen(spread, [alone, down]).because).toBe('no other is available');
    const hash = (on: string, name: string | null, value: string | null) => ({ ...spread, hash: { on, name, value } });
    const both = [alone, { ...target, share: 0 }];
    expect(chosen(hash('ip', null, '10.9.9.9'), both).because).toMatch(/whose client address is 10\.9\.9\.9$/);
    expect(chosen(hash('query_arg', 'q', 'x'), both).because).toMatch(/whose query argument q is x$/);
    expect(chosen(hash('none', null, null), both).because).toMatch(/^requests that have nothing of what is hashed/);
    const either = [target, target].map((one) => ({ ...one, share: null }));
    expect(chosen(hash('ip', null, null), either)).toMatchObject({
      target: null,
      because: expect.stringContaining('Client address'),
    });
    expect(chosen(hash('cookie', 'c', null), either).because).toMatch(/gets a cookie c,/);
    expect(chosen({ ...spread, refusal: 'no peer' }, []).because).toBe(
      'Nobody: the upstream has no targets. The client is answered 503: no peer.',
    );
    expect(chosen({ ...spread, refusal: 'no peer' }, [down]).because).toMatch(/no target is available/);
  });

  it('is told of every target: how much it gets, or why it gets none', () => {
    expect([1, 0, 0.125, null].map((share) => standing({ ...target, share }))).toEqual([
      'gets it',
      'available, but not chosen',
      'gets 12.5 % of such requests',
      'may get it',
    ]);
    const none = { ...target, available: false };
    expect(standing({ ...none, weight: 0 })).toMatch(/weight is 0/);
    expect(standing({ ...none, address: null, health: 'DNS_ERROR' })).toMatch(/leads to no address/);
    expect(standing({ ...none, address: null })).toMatch(/not been looked up/);
    // A data plane of an earlier version tells no more.
    expect(standing({ target: 'a:80', weight: 1, available: false })).toMatch(/not available/);
  });
});

describe('the way of a change', () => {
  const follow = (events: readonly (readonly [kind: string, data: object])[]): readonly Propagation[] =>
    events.reduce<readonly Propagation[]>((known, [kind, data]) => propagated(known, kind, data), []);

  it('is from written to published to each data plane, those that follow closely together', () => {
    const [second, first] = follow([
      ['hello', { serial: 4, missed: [] }],
      ['change', { serial: 5, at: 100, total: 1, changes: [{ entity: 'services', id: 's', operation: 'create' }] }],
      ['change', { serial: 6, at: 100.5, total: 2, changes: [] }],
      ['published', { group: 'default', serial: 6, at: 100.6 }],
      ['node', { id: 'a', hostname: 'eu-1', change: 'applied', serial: 5, at: 100.65 }],
      ['node', { id: 'a', hostname: 'eu-1', change: 'applied', serial: 6, at: 100.7 }],
      ['node', { id: 'b', hostname: 'us-1', change: 'withheld', serial: 4, reason: 'no plugin', at: 100.8 }],
      ['node', { id: 'b', hostname: 'us-1', change: 'applied', serial: 6, at: 101 }],
    ]);
    expect(first).toMatchObject({
      serial: 5,
      published: { default: 100.6 },
      nodes: { a: { at: 100.65 }, b: { at: 101, reason: null } },
    });
    expect(second).toMatchObject({ serial: 6, total: 2, nodes: { a: { at: 100.7 }, b: { reason: null } } });
    expect(after({ at: 100 }, 100.6)).toBe(600);
    expect(after({ at: 100 }, 99.9)).toBe(0);
  });

  it('tells why a data plane does not serve it, counts no event twice, and is not led astray by others', () => {
    const [only, ...more] = follow([
      ['change', { serial: 5, at: 1, total: 1, changes: [] }],
      ['change', { serial: 5, at: 1, total: 1, changes: [] }],
      ['node', { id: 'b', hostname: 'us-1', change: 'rejected', serial: 4, reason: 'no plugin', at: 2 }],
      ['node', { id: 'c', hostname: 'x', change: 'left', serial: 5, at: 2 }],
      ['weather', { serial: 5, at: 3 }],
      ['change', { at: 'soon' }],
    ]);
    expect(more).toEqual([]);
    expect(only?.nodes).toEqual({ b: { hostname: 'us-1', at: 2, reason: 'no plugin' } });
  });
});
