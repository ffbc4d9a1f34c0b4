/**
 * What choosing a route costs in this process, apart from the gateway around it: nanoseconds per lookup with few and with many
 * routes, and microseconds to apply one changed route.
 */
import { pathToFileURL } from 'node:url';

import type { RouterRequest } from '../../edge-dp/router/request.ts';
import type { RouteRow, RouterFlavor } from '../../edge-dp/router/route-row.ts';
import { createRouter, type Router } from '../../edge-dp/router/router.ts';

interface RouterNumbers {
  readonly scenario: string;
  /** Nanoseconds per lookup. */
  readonly few: number;
  readonly many: number;
  /** `many / few`: what a thousand times the routes costs. */
  readonly ratio: number;
  /** Microseconds to replace one of the many routes. */
  readonly update: number;
}

interface Scenario {
  readonly name: string;
  readonly flavor: RouterFlavor;
  route(i: number): Partial<RouteRow>;
  request(i: number): Partial<RouterRequest>;
}

const FEW = 10;
const MANY = 10_000;

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'prefix paths',
    flavor: 'traditional_compatible',
    route: (i) => ({ paths: [`/service-${i}/v1`] }),
    request: (i) => ({ path: `/service-${i}/v1/things/42` }),
  },
  {
    name: 'hosts',
    flavor: 'traditional_compatible',
    route: (i) => ({ hosts: [`api-${i}.example.com`] }),
    request: (i) => ({ host: `api-${i}.example.com`, path: '/things/42' }),
  },
  {
    name: 'hosts, paths and methods',
    flavor: 'traditional_compatible',
    route: (i) => ({ hosts: [`api-${i % 100}.example.com`], paths: [`/s-${i}`], methods: ['GET'] }),
    request: (i) => ({ host: `api-${i % 100}.example.com`, path: `/s-${i}/things/42` }),
  },
  {
    name: 'regex paths',
    flavor: 'traditional_compatible',
    route: (i) => ({ paths: [`~/service-${i}/users/(?<id>\\d+)/posts/[^/]+$`] }),
    request: (i) => ({ path: `/service-${i}/users/42/posts/x` }),
  },
  {
    name: 'regex paths with one beginning',
    flavor: 'traditional_compatible',
    route: (i) => ({ paths: [`~/users/(?<id>[^/]+)/things-${i}$`] }),
    request: (i) => ({ path: `/users/42/things-${i}` }),
  },
  {
    name: 'headers',
    flavor: 'traditional_compatible',
    route: (i) => ({ headers: { 'x-tenant': [`tenant-${i}`] }, paths: ['/api'] }),
    request: (i) => ({ path: '/api/x', header: (name) => (name === 'x-tenant' ? [`tenant-${i}`] : null) }),
  },
  {
    name: 'expressions',
    flavor: 'expressions',
    route: (i) => ({
      expression: `http.path ^= "/service-${i}/" && (http.method == "GET" || http.method == "POST") && !(http.queries.debug == "1")`,
    }),
    request: (i) => ({ path: `/service-${i}/things` }),
  },
];

/** Measures every scenario, in some seconds. */
function measureRouter(): RouterNumbers[] {
  return SCENARIOS.map((scenario) => {
    const small = build(scenario, FEW);
    const large = build(scenario, MANY);
    // In turns, so that a busy machine slows both.
    const rounds = Array.from(
      { length: 3 },
      () => [lookups(small, scenario, FEW), lookups(large, scenario, MANY)] as const,
    );
    const few = median(rounds.map(([own]) => own));
    const many = median(rounds.map(([, own]) => own));
    return { scenario: scenario.name, few, many, ratio: many / few, update: updates(large, scenario) };
  });
}

function build(scenario: Scenario, count: number): Router {
  const upserts = Array.from({ length: count }, (_, i) => row(scenario, i));
  return createRouter(scenario.flavor).update({ upserts, deletes: [] });
}

function row(scenario: Scenario, i: number): RouteRow {
  const id = `00000000-0000-4000-8000-${i.toString().padStart(12, '0')}`;
  return { id, protocols: ['http', 'https'], ...scenario.route(i) };
}

/** As many different routes are asked for from both routers: caches of the processor are not what is compared. */
function lookups(router: Router, scenario: Scenario, count: number): number {
  const requests = Array.from({ length: FEW }, (_, i) => ({
    ...REQUEST,
    ...scenario.request(Math.floor((i * count) / FEW)),
  }));
  const total = 100_000;
  const start = microseconds();
  for (let i = 0; i < total; i++) {
    const request = requests[i % FEW];
    if (!request || !router.match(request)) throw new Error(`${scenario.name}: no route`);
  }
  return ((microseconds() - start) * 1000) / total;
}

function updates(router: Router, scenario: Scenario): number {
  const total = 200;
  const start = microseconds();
  let current = router;
  for (let i = 0; i < total; i++) current = current.update({ upserts: [row(scenario, (i * 37) % MANY)], deletes: [] });
  return (microseconds() - start) / total;
}

const REQUEST: RouterRequest = {
  method: 'GET',
  host: 'gateway.example.com',
  scheme: 'http',
  sni: null,
  path: '/',
  query: '',
  header: () => null,
  sourceIp: '192.0.2.1',
  sourcePort: 50000,
  destinationIp: '192.0.2.2',
  destinationPort: 8000,
};

/** Time this thread really ran: other work on the machine does not count. */
function microseconds(): number {
  return process.threadCpuUsage().user;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) console.table(measureRouter());
