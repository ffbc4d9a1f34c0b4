import { describe, expect, it } from 'vitest';
import type { RouterRequest } from '../../../edge-dp/router/request.ts';
import type { RouteRow, RouterFlavor } from '../../../edge-dp/router/route-row.ts';
import { createStreamRouter } from '../../../edge-dp/router/router.ts';

const SESSION: RouterRequest = {
  method: '',
  host: null,
  scheme: 'tcp',
  sni: null,
  path: '/',
  query: '',
  header: () => null,
  sourceIp: '10.0.0.7',
  sourcePort: 4000,
  destinationIp: '10.0.0.1',
  destinationPort: 5432,
};

/** The name of the route a session goes to. */
function chosen(flavor: RouterFlavor, routes: readonly Omit<RouteRow, 'id'>[], session: Partial<RouterRequest>) {
  const upserts = routes.map((route, n) => ({ id: `00000000-0000-4000-8000-00000000000${n}`, ...route }));
  const router = createStreamRouter(flavor).update({ upserts, deletes: [] });
  return router.match({ ...SESSION, ...session })?.route.name ?? null;
}

const TCP: readonly Omit<RouteRow, 'id'>[] = [
  { name: 'block', protocols: ['tcp'], sources: [{ ip: '10.0.0.0/24' }] },
  { name: 'port', protocols: ['tcp'], destinations: [{ port: 5432 }] },
  { name: 'address', protocols: ['tcp'], sources: [{ ip: '10.0.0.8' }] },
  { name: 'both', protocols: ['tcp'], sources: [{ ip: '10.0.0.9' }], destinations: [{ port: 5432 }] },
  { name: 'pair', protocols: ['tcp'], destinations: [{ ip: '10.0.0.2', port: 1 }] },
  { name: 'udp', protocols: ['udp'], sources: [{ ip: '10.0.0.10' }] },
];

const TLS: readonly Omit<RouteRow, 'id'>[] = [
  { name: 'named', protocols: ['tls'], snis: ['a.test'] },
  { name: 'wild', protocols: ['tls_passthrough'], snis: ['*.a.test'] },
  { name: 'prefix', protocols: ['tls'], snis: ['b.*'] },
  { name: 'mixed', protocols: ['tcp', 'tls'], snis: ['c.test'], sources: [{ ip: '10.0.1.0/24' }] },
];

describe.each(['traditional_compatible', 'expressions', 'traditional'] as const)('routes of streams, %s', (flavor) => {
  it.each([
    // The client's side counts for more than the other, and there an address, a port, a block, in this order.
    [{}, 'block'],
    [{ sourceIp: '192.0.2.1' }, 'port'],
    [{ sourceIp: '10.0.0.8' }, 'address'],
    [{ sourceIp: '10.0.0.9' }, 'both'],
    [{ sourceIp: '192.0.2.1', destinationIp: '10.0.0.2', destinationPort: 1 }, 'pair'],
    [{ sourceIp: '192.0.2.1', destinationIp: '10.0.0.2', destinationPort: 2 }, null],
    [{ sourceIp: '10.0.0.10', scheme: 'udp', destinationPort: 9 }, 'udp'],
    [{ sourceIp: '10.0.1.10', scheme: 'tcp', destinationPort: 9 }, null],
    [{ scheme: 'tls' }, null],
    [{ destinationIp: null, sourceIp: '192.0.2.1' }, 'port'],
  ] as const)('by addresses: %o goes to %s', (session, name) => {
    expect(chosen(flavor, TCP, session)).toBe(name);
  });

  it.each([
    [{ scheme: 'tls', sni: 'A.test' }, 'named'],
    [{ scheme: 'tls', sni: 'x.a.test' }, 'wild'],
    [{ scheme: 'tls', sni: 'b.example' }, 'prefix'],
    [{ scheme: 'tls', sni: null }, null],
    [{ scheme: 'tcp', sni: null }, null],
    // What speaks no TLS has no name to be matched by.
    [{ scheme: 'tcp', sni: null, sourceIp: '10.0.1.1' }, 'mixed'],
    [{ scheme: 'tls', sni: 'c.test', sourceIp: '10.0.1.1' }, 'mixed'],
    [{ scheme: 'tls', sni: 'd.test', sourceIp: '10.0.1.1' }, null],
  ] as const)('by names: %o goes to %s', (session, name) => {
    expect(chosen(flavor, TLS, session)).toBe(name);
  });
});

it('matches expressions of streams by their priority, before all other routes', () => {
  const routes = [
    ...TCP,
    { name: 'any', protocols: ['tcp', 'udp'], expression: 'net.src.ip in 10.0.0.0/8' },
    { name: 'first', protocols: ['tcp'], expression: 'net.dst.port >= 5000 && net.protocol == "tcp"', priority: 3 },
    { name: 'tls', protocols: ['tls'], expression: 'tls.sni =^ ".test" && net.dst.ip == 10.0.0.1' },
  ];
  const at = (session: Partial<RouterRequest>) => chosen('expressions', routes, session);
  expect(at({})).toBe('first');
  expect(at({ destinationPort: 53, scheme: 'udp' })).toBe('any');
  expect(at({ scheme: 'tls', sni: 'x.test' })).toBe('tls');
  expect(at({ scheme: 'tls', sni: 'x.test', destinationIp: '10.0.0.2' })).toBe(null);
  expect(() =>
    createStreamRouter('expressions').update({
      upserts: [{ id: 'a', protocols: ['tcp'], expression: 'http.path == "/"' }],
      deletes: [],
    }),
  ).toThrow(/route a: invalid expression/);
});
