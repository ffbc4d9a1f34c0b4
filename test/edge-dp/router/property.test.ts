import { expect, it } from 'vitest';
import type { RouteRow } from '../../../edge-dp/router/route-row.ts';
import { createRouter, type Router } from '../../../edge-dp/router/router.ts';
import { compileRoute } from '../../../edge-dp/router/rule.ts';
import { referenceMatch } from './reference-matcher.ts';
import { type RequestSketch, request } from './request.ts';

/** Routes and requests from few words, so that they meet often; the seed says everything. */
class Generator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** A number below `end` (mulberry32). */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  one<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  some<T>(choices: readonly [T, ...T[]], most: number): T[] {
    return [...new Set(Array.from({ length: 1 + this.below(most) }, () => this.one(choices)))];
  }
}

const HOSTS = ['a.test', 'b.test', 'a.b.test', 'x.org', 'a.test:8000', 'b.test:99'] as const;
const WILDCARDS = ['*.test', '*.b.test', 'a.*', 'x.*', '*.test:99', 'a.*:8000'] as const;
const PREFIXES = ['/', '/a', '/a/', '/a/b', '/a/bc', '/ab', '/b', '/a/b/c', '/é', '/c.d'] as const;
const PATTERNS = [
  '~/a/(?<id>\\d+)$',
  '~/a/[^/]+/c',
  '~/(a|b)/x?',
  '~/a',
  '~/a/b+c*',
  '~/.*b$',
  '~/a|/b',
  '~/[ab]+/(b|c)*$',
  '~/c\\.d',
  '~/ab?/(?:\\d{1,3}|z)',
] as const;
const PATHS = [
  '/',
  '/a',
  '/a/',
  '/a/b',
  '/a/b/c',
  '/a/7',
  '/ab/12',
  '/b',
  '/b/x',
  '/a/bbc',
  '/é/x',
  '/c.d',
  '/cxd',
  '/z',
] as const;

function makeRoute(g: Generator): RouteRow {
  const id = `00000000-0000-4000-8000-${g.below(40).toString().padStart(12, '0')}`;
  const hosts = g.chance(50)
    ? g.chance(60)
      ? g.some(HOSTS, 3)
      : [...g.some(HOSTS, 1), ...g.some(WILDCARDS, 2)]
    : null;
  const paths = g.chance(70)
    ? g.chance(60)
      ? g.some<string>(PREFIXES, 3)
      : [...(g.chance(40) ? g.some(PREFIXES, 2) : []), ...g.some(PATTERNS, 2)]
    : null;
  const header = (): string[] => g.some(['1', 'Two', '~*^t', '~*(o|1)$'], 2);
  const headers = g.chance(25) ? { 'x-a': header(), ...(g.chance(30) ? { 'x-b': header() } : {}) } : null;
  return {
    id,
    protocols: ['http', 'https'],
    hosts,
    paths,
    headers,
    methods: g.chance(25) ? g.some(['GET', 'POST', 'PURGE'], 2) : null,
    snis: g.chance(10) ? g.some(['a.test', 'b.test'], 2) : null,
    sources: g.chance(10)
      ? [g.one([{ ip: '10.0.0.0/8' }, { ip: '10.1.2.3' }, { port: 7 }, { ip: '10.1.0.0/16', port: 7 }])]
      : null,
    regex_priority: g.chance(30) ? g.one([1, 5, 1023]) : 0,
  };
}

function makeRequest(g: Generator): Required<Omit<RequestSketch, 'edge'>> {
  const https = g.chance(40);
  return {
    method: g.one(['GET', 'POST', 'PUT']),
    host: g.one(['a.test', 'A.Test', 'b.test', 'a.b.test', 'x.org', 'a.org', 'a.test:99', 'b.test:99', 'other']),
    scheme: https ? 'https' : 'http',
    sni: https && g.chance(60) ? g.one(['a.test', 'c.test']) : null,
    target: g.one(PATHS),
    headers: {
      ...(g.chance(50) ? { 'x-a': g.some(['1', 'two', 'TWO', 'x'], 2) } : {}),
      ...(g.chance(40) ? { 'x-b': g.one(['1', 'two', 'no']) } : {}),
    },
    sourceIp: g.one(['10.1.2.3', '10.9.9.9', '192.0.2.1']),
    sourcePort: g.one([7, 8]),
    destinationIp: '127.0.0.1',
    destinationPort: 8000,
  };
}

const tieBreak = (route: RouteRow, part: number, parts: number): string =>
  parts === 1 ? route.id : (compileRoute(route, 'traditional_compatible')[part]?.rank.id ?? '');

it('chooses as a naive reading of the rules does, over 100,000 requests to changing configs', {
  timeout: 900_000,
}, () => {
  const base = Number(process.env.ROUTER_SEED ?? Date.now() % 2 ** 31);
  let pairs = 0;
  let matched = 0;
  for (let round = 0; pairs < 100_000; round++) {
    const seed = base + round;
    const g = new Generator(seed);
    const rows = new Map<string, RouteRow>();
    let router = createRouter('traditional_compatible');
    const versions: { router: Router; rows: readonly RouteRow[] }[] = [];
    for (let step = 0; step < 5; step++) {
      const upserts = [
        ...new Map(Array.from({ length: g.below(8) }, () => makeRoute(g)).map((row) => [row.id, row])).values(),
      ];
      const deletes = [...rows.keys()].filter((id) => g.chance(20) && !upserts.some((row) => row.id === id));
      for (const id of deletes) rows.delete(id);
      for (const row of upserts) rows.set(row.id, row);
      router = router.update({ upserts, deletes });
      versions.push({ router, rows: [...rows.values()] });
    }
    for (let i = 0; i < 100; i++, pairs++) {
      // Old routers must stay as they were.
      const version = versions[i % 3 === 0 ? g.below(5) : 4];
      if (!version) continue;
      const sent = makeRequest(g);
      const found = version.router.match(request(sent));
      const expected = referenceMatch(version.rows, sent, tieBreak);
      if (expected) matched++;
      const actual = found && { id: found.route.id, prefix: found.matchedPrefix };
      if (JSON.stringify(actual) !== JSON.stringify(expected)) {
        expect({ seed, sent, rows: version.rows, chosen: actual }).toEqual({
          seed,
          sent,
          rows: version.rows,
          chosen: expected,
        });
      }
    }
  }
  expect(matched).toBeGreaterThan(pairs / 3);
});
