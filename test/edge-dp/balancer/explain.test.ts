import { expect, it } from 'vitest';
import { Balancer } from '../../../edge-dp/balancer/balancer.ts';
import { explainBalancing } from '../../../edge-dp/balancer/explain.ts';
import { NameTable } from '../../../edge-dp/balancer/name-table.ts';
import { readTarget, readUpstream } from '../../../edge-dp/balancer/upstream.ts';
import { FieldList } from '../../../edge-dp/http/fields.ts';

/** An upstream with targets by weight. */
function balancer(row: object, targets: Readonly<Record<string, number>>, names: NameTable | null = null): Balancer {
  const upstream = readUpstream({ id: 'u', name: 'pool', ...row });
  const read = Object.entries(targets).map(([target, weight], at) =>
    readTarget({ id: `t${at}`, upstream: { id: 'u' }, target, weight }),
  );
  return new Balancer(upstream, read, null, names, 0);
}

const described = {
  clientIp: '',
  consumer: null,
  credential: null,
  headers: new FieldList(['X-User', 'ada']),
  path: '/orders',
  query: '',
  captures: {},
};
const shares = (told: ReturnType<typeof explainBalancing>) => told.targets.map(({ share }) => share);
const hashing = (hash_on: string, more: object = {}) => ({ algorithm: 'consistent-hashing', hash_on, ...more });
const TWO = { '10.0.0.1:80': 100, '10.0.0.2:80': 300 };

it('tells of what decides: turns by weight, the hash of what the request has, or what happens until then', () => {
  const turns = explainBalancing(balancer({}, { ...TWO, '10.0.0.3:80': 0 }), described);
  expect(turns.balancing).toMatchObject({ algorithm: 'round-robin', hash: null, refusal: null });
  expect(shares(turns)).toEqual([0.25, 0.75, 0]);
  for (const algorithm of ['least-connections', 'latency'])
    expect(shares(explainBalancing(balancer({ algorithm }, TWO), described))).toEqual([null, null]);
  expect(shares(explainBalancing(balancer({ algorithm: 'latency' }, { '10.0.0.1:80': 1 }), described))).toEqual([1]);

  const byHeader = balancer(hashing('header', { hash_on_header: 'x-user' }), TWO);
  const told = explainBalancing(byHeader, described);
  expect(told.balancing.hash).toEqual({ on: 'header', name: 'x-user', value: 'ada' });
  const picked = byHeader.peers({ key: 'ada', onLeave: () => undefined, health: null }).next();
  expect(told.targets.find(({ share }) => share === 1)?.address).toBe(`${picked?.host}:${picked?.port}`);
  expect(shares(told).toSorted()).toEqual([0, 1]);
});

it('makes nothing up that it was not told: an address, a cookie', () => {
  const byIp = balancer(hashing('ip'), TWO);
  expect(explainBalancing(byIp, described).balancing.hash).toEqual({ on: 'ip', name: null, value: null });
  expect(shares(explainBalancing(byIp, described))).toEqual([null, null]);
  expect(shares(explainBalancing(byIp, { ...described, clientIp: '10.9.9.9' })).toSorted()).toEqual([0, 1]);
  const fallback = hashing('header', { hash_on_header: 'x-none', hash_fallback: 'ip' });
  expect(explainBalancing(balancer(fallback, TWO), described).balancing.hash?.on).toBe('ip');
  const byCookie = explainBalancing(balancer(hashing('cookie', { hash_on_cookie: 'c' }), TWO), described);
  expect(byCookie.balancing.hash).toEqual({ on: 'cookie', name: 'c', value: null });
  expect(shares(byCookie)).toEqual([null, null]);
  // Who has nothing that is hashed goes where all such go.
  const none = explainBalancing(balancer(hashing('query_arg', { hash_on_query_arg: 'q' }), TWO), described);
  expect(none.balancing.hash?.on).toBe('none');
  expect(shares(none).toSorted()).toEqual([0, 1]);
});

it('says of a target why it gets none, and of the client what it is told then', () => {
  const one = balancer({ healthchecks: { threshold: 50, passive: { unhealthy: { tcp_failures: 1 } } } }, TWO);
  one.addresses.find(({ ip }) => ip === '10.0.0.2')?.state.health.set(false);
  const ill = explainBalancing(one, described);
  expect(ill.balancing).toMatchObject({ threshold: 50, refusal: 'failure to get a peer from the ring-balancer' });
  expect(ill.targets).toMatchObject([
    { available: true, health: 'HEALTHY', share: 0 },
    { available: false, health: 'UNHEALTHY', share: 0 },
  ]);
  const names = new NameTable(() => Promise.reject(new Error('nobody is asked')));
  const named = explainBalancing(balancer({}, { 'api.test:80': 100 }, names), described);
  expect(named.balancing.refusal).toBe('name resolution failed');
  expect(named.targets).toMatchObject([{ target: 'api.test:80', address: null, available: false, share: 0 }]);
  expect(explainBalancing(balancer({}, {}), described)).toMatchObject({
    targets: [],
    balancing: { refusal: expect.any(String) },
  });
});
