import { describe, expect, it } from 'vitest';
import type { RouteRow, RouterFlavor } from '../../../edge-dp/router/route-row.ts';
import { createRouter } from '../../../edge-dp/router/router.ts';
import { compileRoute } from '../../../edge-dp/router/rule.ts';
import { upstreamPath } from '../../../edge-dp/router/upstream-path.ts';
import { printExpression } from '../../../shared/atc/print.ts';
import { normalizePath } from '../../../shared/normalize-path.ts';
import paths from './path-vectors.json' with { type: 'json' };
import { request } from './request.ts';
import routing from './routing-vectors.json' with { type: 'json' };

interface Case {
  readonly name: string;
  readonly flavors: readonly string[];
  readonly routes: readonly {
    readonly route: Partial<RouteRow> & { readonly id: string; readonly strip_path?: boolean };
    readonly service: { readonly path: string | null } | null;
  }[];
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly host: string;
    readonly headers: Readonly<Record<string, string | readonly string[]>>;
    readonly scheme: 'http' | 'https';
    readonly sni: string | null;
    readonly src_ip: string;
    readonly dst_ip: string;
    readonly dst_port: number;
  };
  readonly expect: {
    readonly route: string | null;
    readonly upstream_uri?: string;
    readonly x_forwarded_prefix?: string | null;
    readonly matches?: { readonly uri_captures?: Readonly<Record<string, string>> };
  };
}

const CASES: readonly Case[] = JSON.parse(JSON.stringify(routing.cases));

interface PriorityVector {
  readonly expression: string;
  readonly priority: string;
  readonly route: Partial<RouteRow> & { readonly protocols: readonly string[] };
}

const PRIORITIES: readonly PriorityVector[] = JSON.parse(JSON.stringify(paths.priorities));

/** Names are compared without regard to case (RFC 9110 §4.2.3, RFC 6066 §3), unlike in Kong. */
const CASELESS = new Set([
  'host case [hosts]: GET / @EXAMPLE.com',
  'host case [hosts]: GET / @Example.Com:8000',
  'stored host case [hosts]: GET / @example.com',
  'wildcard host case [hosts]: GET / @A.EXAMPLE.com',
]);

describe.each(['traditional_compatible', 'expressions', 'traditional'] as const)('flavour %s', (flavor) => {
  it.each(CASES.filter(({ flavors }) => flavors.includes(flavor)))('$name', (vector) => {
    const outcome = run(vector, flavor);
    if (CASELESS.has(vector.name) || vector.request.sni === 'SNI.test') {
      expect(outcome.route).toBe(vector.routes[0]?.route.id);
    } else if (needsBacktracking(vector)) {
      expect(outcome.refused).toMatch(/invalid regex/);
    } else {
      const { route, upstream_uri, matches } = vector.expect;
      const captures = matches?.uri_captures ?? {};
      expect(outcome).toEqual({ route, ...(route ? { upstream_uri, captures, prefix: outcome.prefix } : {}) });
      if (vector.expect.x_forwarded_prefix) expect(outcome.prefix).toBe(vector.expect.x_forwarded_prefix);
    }
  });
});

/** Look-around and back-references do not exist on an engine that cannot blow up. */
function needsBacktracking({ routes }: Case): boolean {
  return routes.some(({ route }) => route.paths?.some((path) => /\(\?!|\\1/.test(path)));
}

interface Outcome {
  readonly route?: string | null;
  readonly refused?: string;
  readonly upstream_uri?: string;
  readonly prefix?: string | null;
  readonly captures?: Readonly<Record<string, string | null>>;
}

function run({ routes, request: sent }: Case, flavor: RouterFlavor): Outcome {
  const rows = routes.map(({ route }, i): RouteRow => ({ protocols: ['http', 'https'], created_at: i, ...route }));
  let router = createRouter(flavor);
  try {
    router = router.update({ upserts: rows, deletes: [] });
  } catch (error) {
    return { refused: String(error) };
  }
  const match = router.match(
    request({
      method: sent.method,
      host: sent.host,
      scheme: sent.scheme,
      sni: sent.sni,
      target: sent.path,
      headers: sent.headers,
      sourceIp: sent.src_ip,
      destinationIp: sent.dst_ip,
      destinationPort: sent.dst_port,
    }),
  );
  if (!match) return { route: null };
  const own = routes.find(({ route }) => route.id === match.route.id);
  const question = sent.path.indexOf('?');
  const upstream = upstreamPath({
    servicePath: own?.service?.path ?? null,
    path: match.path,
    matchedPrefix: match.matchedPrefix,
    stripPath: own?.route.strip_path ?? false,
    handling: 'v0',
  });
  const positional = match.captures.positional.map((text, i) => [String(i + 1), text] as const);
  const captures = [...positional, ...Object.entries(match.captures.named)].filter(([, text]) => text !== null);
  return {
    route: match.route.id,
    upstream_uri: upstream + (question < 0 ? '' : sent.path.slice(question)),
    prefix: match.matchedPrefix,
    captures: Object.fromEntries(captures),
  };
}

describe('upstream paths', () => {
  it.each(paths.paths)('$service_path + $request by route $route_path, strip $strip_path', (vector) => {
    const path = normalizePath(vector.request);
    const { service_path: servicePath, route_path: matchedPrefix, strip_path: stripPath } = vector;
    const join = (handling: 'v0' | 'v1') => upstreamPath({ servicePath, path, matchedPrefix, stripPath, handling });
    expect({ v0: join('v0'), v1: join('v1') }).toEqual({ v0: vector.v0, v1: vector.v1 });
  });
});

describe('normalisation', () => {
  it.each(paths.normalize)('$input', ({ input, merge_slashes, no_merge }) => {
    expect([normalizePath(input), normalizePath(input, false)]).toEqual([merge_slashes, no_merge]);
  });
});

describe('priorities and conditions', () => {
  const ofHttp = PRIORITIES.filter(({ route }) => /^http/.test(route.protocols[0] ?? ''));

  it.each(ofHttp)('$expression', (vector) => {
    const flavor = vector.route.expression ? 'expressions' : 'traditional_compatible';
    const [rule] = compileRoute({ id: 'a', ...vector.route }, flavor);
    const terms = rule?.conditions ?? [];
    const [high = 0, low = 0] = rule?.rank.numbers ?? [];
    if (flavor === 'traditional_compatible') {
      expect(terms.map((term) => `(${printExpression(term)})`).join(' && ')).toBe(vector.expression);
    }
    const priority = (BigInt(high) << 32n) | BigInt(low);
    // From four fields on, Kong's own result depends on the processor: ours is the layout it documents.
    expect(priority).toBe(terms.length >= 4 ? (4n << 61n) | (1n << 60n) | (1n << 52n) | 4n : BigInt(vector.priority));
  });
});
