import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RouterRequest } from '../../../edge-dp/router/request.ts';
import type { RouteRow } from '../../../edge-dp/router/route-row.ts';
import { createRouter, type Router } from '../../../edge-dp/router/router.ts';
import { type RequestSketch, request, route } from './request.ts';

const ID = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

function compat(...routes: RouteRow[]): Router {
  return createRouter('traditional_compatible').update({ upserts: routes, deletes: [] });
}

function expressions(...sources: string[]): Router {
  const upserts = sources.map((expression, i) => route(ID(i), { expression, priority: 0 }));
  return createRouter('expressions').update({ upserts, deletes: [] });
}

const winner = (router: Router, sketch: RequestSketch): string | undefined => router.match(request(sketch))?.route.id;

describe('update', () => {
  it('has of a route that is told twice what was told last, be that nothing', () => {
    const [http, raw] = [route('a', { paths: ['/a'] }), route('a', { paths: ['/a'], protocols: ['tcp'] })];
    expect([compat(http, raw), compat(raw, http)].map((router) => winner(router, { target: '/a' }))).toEqual([
      undefined,
      'a',
    ]);
  });

  it('leaves the router it was made from as it was', () => {
    const first = compat(route('a', { paths: ['/a'] }), route('b', { paths: ['/a/b'] }));
    const second = first.update({ upserts: [route('c', { paths: ['/a/b/c'] })], deletes: ['b'] });
    const third = first.update({ upserts: [route('b', { hosts: ['b.test'] })], deletes: [] });
    const target = '/a/b/c';
    expect([first, second, third].map((router) => winner(router, { target }))).toEqual(['b', 'c', 'a']);
    expect(winner(third, { target, host: 'b.test' })).toBe('b');
  });

  it('names the route whose regex or expression does not compile, and changes nothing', () => {
    const router = compat(route('a', { paths: ['/a'] }));
    const bad = route('b', { name: 'orders', paths: ['/a/b', '~/(?=x)'] });
    expect(() => router.update({ upserts: [route('c', { paths: ['/a/b'] }), bad], deletes: ['a'] })).toThrow(
      /route b \("orders"\): invalid regex/,
    );
    expect(winner(router, { target: '/a/b' })).toBe('a');
    expect(() => expressions('http.path == 1')).toThrow(/route 0+-.*: invalid expression:\n.*--> 1:1/);
  });

  it('ends where it began when everything is taken out again', () => {
    const routes = [
      route('a', { hosts: ['*.test', 'a.test', 'a.*'], paths: ['/a', '/é', '~/x/[^/]+/y$'] }),
      route('b', { headers: { x: ['1'] } }),
      route('c', { hosts: ['a.test'], methods: ['GET'] }),
    ];
    const emptied = compat(...routes).update({ upserts: [], deletes: ['a', 'b', 'c', 'unknown'] });
    expect(JSON.stringify(emptied.explain(request({ host: 'a.test' })))).toBe(
      '{"winner":null,"losers":[],"omitted":0}',
    );
    expect(emptied.match(request({ host: 'a.test', target: '/a', headers: { x: '1' } }))).toBeNull();
  });
});

describe('a matcher that cannot be run', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('is refused with the config it is in, by the name of its route', () => {
    const large = route('b', { name: 'orders', paths: [`~/${'\\w+/'.repeat(5300)}`] });
    const update = () => compat(route('a', { paths: ['/a'] })).update({ upserts: [large], deletes: [] });
    expect(update).toThrow(/^route b \("orders"\): invalid regex: pattern is too large/);
    expect(() => expressions(`http.headers.x ~ r#"${'(a|b)?'.repeat(5000)}"#`)).toThrow(/pattern is too large/);
  });

  /** From now on the platform's engine runs out of stack on patterns that contain this. */
  function exhausting(method: 'test' | 'exec', part: string): void {
    const original: (this: RegExp, text: string) => unknown = RegExp.prototype[method];
    vi.spyOn(RegExp.prototype, method).mockImplementation(function (this: RegExp, text: string) {
      if (this.source.includes(part)) throw new RangeError('Maximum call stack size exceeded');
      return original.call(this, text) as never;
    });
  }

  it('is refused when the platform finds out only at its first run', () => {
    exhausting('test', 'users');
    expect(() => compat(route('u', { paths: ['~/users/\\d+$'] }))).toThrow(/route u: invalid regex: .*call stack/);
  });

  it('is no match for its own rule when it throws later, and is told of once', () => {
    const router = compat(
      route('bad', { name: 'users', paths: ['~/users/\\d+$'], headers: { x: ['1'] } }),
      route('worse', { paths: ['~/users/(?<id>\\d+)'] }),
      route('plain', { paths: ['/users'] }),
    );
    const told = vi.spyOn(console, 'error').mockReturnValue();
    const sketch = { target: '/users/7', headers: { x: '1' } };
    expect(winner(router, sketch)).toBe('bad');
    exhausting('test', 'users\\x2f[0-9]+$');
    expect(winner(router, sketch)).toBe('worse');
    // It matches, but cannot say what it captured.
    exhausting('exec', '(?<id>');
    expect([1, 2, 3].map(() => winner(router, sketch))).toEqual(['plain', 'plain', 'plain']);
    expect(told.mock.calls.map(([line]) => line)).toEqual([
      'route bad ("users") matches nothing while its matcher fails: Maximum call stack size exceeded',
      'route worse matches nothing while its matcher fails: Maximum call stack size exceeded',
    ]);
  });
});

describe('hosts', () => {
  it('are compared without regard to case, IPv6 literals by their value', () => {
    const router = compat(
      route('v6', { hosts: ['[2001:DB8::1]'] }),
      route('port', { hosts: ['[::1]:321'] }),
      route('name', { hosts: ['Api.Test'] }),
    );
    expect(winner(router, { host: 'API.test:9' })).toBe('name');
    expect(winner(router, { host: '[2001:db8:0:0::1]' })).toBe('v6');
    expect(winner(router, { host: '[2001:db8::1]:8000' })).toBe('v6');
    expect(winner(router, { host: '[::1]:321' })).toBe('port');
    expect(winner(router, { host: '[::1]:322' })).toBeUndefined();
  });

  it('that are missing or no hosts match no route with hosts', () => {
    const router = compat(route('a', { hosts: ['*.test'] }));
    for (const host of [null, '', ':', '[', ']:1', 'x:y:z']) expect(winner(router, { host })).toBeUndefined();
  });
});

describe('paths', () => {
  it('keep escaped bytes that are no text, and slashes that were escaped', () => {
    const match = compat(route('a', { paths: ['/'] })).match(request({ target: '/%ff%2fx/%C3%A9%e2%82/../%zz' }));
    expect(match?.path).toBe('/%FF%2Fx/%zz');
  });

  it('count in bytes for precedence', () => {
    expect(
      winner(compat(route(ID(1), { paths: ['/é'] }), route(ID(2), { paths: ['/é/'] })), { target: '/%C3%A9/' }),
    ).toBe(ID(2));
  });
});

describe('captures', () => {
  it('leave out groups that took no part', () => {
    const router = compat(route('a', { paths: ['~/(?<lang>de|en)?/?(?<page>[a-z]{3,})$'] }));
    expect(router.match(request({ target: '/home' }))?.captures).toEqual({
      positional: [null, 'home'],
      named: { page: 'home' },
    });
  });

  it('of a condition that failed do not leak into the match', () => {
    const router = compat(route(ID(2), { paths: ['~/(a)x'] }), route(ID(1), { paths: ['~/(.)'] }));
    expect(router.match(request({ target: '/ay' }))?.captures.positional).toEqual(['a']);
  });
});

describe('expressions', () => {
  it.each<[string, RequestSketch, boolean]>([
    ['http.path.segments.len == 3 && http.path.segments.0_1 == "a/b"', { target: '/a/b/c/' }, true],
    ['http.path.segments.2 != "x"', { target: '/a/b' }, false],
    ['http.queries.a == ""', { target: '/?a' }, true],
    ['any(http.queries.a) == "x y"', { target: '/?a=1&a=x+%79' }, true],
    ['http.queries.a == "1"', { target: '/?a=1&a=2' }, false],
    ['http.queries.a != "1"', { target: '/' }, false],
    ['http.headers.x_y contains "b"', { headers: { 'x-y': ['abc', 'b'] } }, true],
    ['net.src.ip in 2001:db8::/33', { sourceIp: '2001:db8:7fff::1' }, true],
    ['net.src.ip not in 10.0.0.0/9', { sourceIp: '10.128.0.1' }, true],
    ['net.src.ip == 10.0.0.1', { sourceIp: '::ffff:10.0.0.1' }, false],
    ['net.dst.port >= 8000 && net.port < 8001', {}, true],
    ['net.dst.port == 99', { host: 'a.test:99' }, true],
    ['edge.country == "DE" && edge.asn == 64512', { edge: { country: 'DE', asn: 64512 } }, true],
    ['edge.country != "DE"', {}, false],
    ['http.host ~ "^api[0-9]\\\\.Test$"', { host: 'API7.test' }, true],
    ['!(http.method == "GET")', { method: 'PURGE' }, true],
    ['tls.sni == "A.test"', { scheme: 'https', sni: 'a.TEST' }, true],
  ])('%s', (source, sketch, expected) => {
    expect(winner(expressions(source), sketch) !== undefined).toBe(expected);
  });

  it('strip what their last path condition matched', () => {
    const stripped = (source: string, target: string) => expressions(source).match(request({ target }))?.matchedPrefix;
    expect(stripped('http.path ^= "/a" || http.path ^= "/a/b"', '/a/b/c')).toBe('/a');
    expect(stripped('http.path ^= "/a" && http.path ~ "^/a/[a-z]+"', '/a/b/c')).toBe('/a/b');
    expect(stripped('http.path == "/a/b"', '/a/b')).toBe('/a/b');
    expect(stripped('http.method == "GET"', '/a/b')).toBeNull();
  });

  it('come before routes of classic fields, and take http routes only over http', () => {
    const router = createRouter('expressions').update({
      upserts: [
        route('e', { expression: 'http.method == "GET"', priority: 0 }),
        route('c', { hosts: ['a.test'], paths: ['/a'], methods: ['GET'], headers: { x: ['1'] } }),
        { ...route('p', { expression: 'http.path ^= "/p"', priority: 1 }), protocols: ['http'] },
      ],
      deletes: [],
    });
    expect(winner(router, { host: 'a.test', target: '/a', headers: { x: '1' } })).toBe('e');
    expect(winner(router, { target: '/p' })).toBe('p');
    expect(winner(router, { target: '/p', scheme: 'https' })).toBe('e');
  });
});

describe('headers whose lines the runtime joins', () => {
  /** As the proxy asks: one text, or the items of what may be a list. */
  const joined = (agent: string): RouterRequest => ({
    ...request({}),
    header: (name) => (name === 'user-agent' ? agent.split(', ') : null),
    wholeHeader: (name) => (name === 'user-agent' ? agent : null),
  });
  const agent = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0';

  it.each([
    ['~*^mozilla/.*chrome/[0-9]+', true],
    [agent, true],
    ['like Gecko) Chrome/120.0', true],
    ['~*^chrome', false],
  ])('match %j as a whole and by its parts: %s', (value, expected) => {
    const router = compat(route('a', { headers: { 'user-agent': [value] } }));
    expect(router.match(joined(agent)) !== null).toBe(expected);
    const old = createRouter('traditional').update({
      upserts: [route('a', { headers: { 'User-Agent': [value] } })],
      deletes: [],
    });
    expect(old.match(joined(agent)) !== null).toBe(expected);
  });

  it('are one value to a predicate without any()', () => {
    const matches = (source: string) => expressions(source).match(joined(agent)) !== null;
    expect(matches('http.headers.user_agent ~ "^Mozilla.*Chrome"')).toBe(true);
    expect(matches(`http.headers.user_agent == r#"${agent}"#`)).toBe(true);
    expect(matches('http.headers.user_agent == "like Gecko) Chrome/120.0"')).toBe(false);
    expect(matches('!(http.headers.user_agent contains "KHTML, like")')).toBe(false);
  });
});

describe('flavour traditional', () => {
  const traditional = (...routes: RouteRow[]): Router =>
    createRouter('traditional').update({ upserts: routes, deletes: [] });

  it('takes the end of an IPv6 address without brackets for no port', () => {
    const router = traditional(
      route('z-address', { hosts: ['::21', 'other.test'] }),
      route('a-port', { hosts: ['[::21]:80'] }),
    );
    expect(winner(router, { host: '[::21]:80' })).toBe('a-port');
    expect(winner(router, { host: '[::21]:81' })).toBe('z-address');
    expect(winner(router, { host: '[::21]' })).toBe('z-address');
    expect(winner(router, { host: 'other.test' })).toBe('z-address');
  });

  it("matches a host with the scheme's own port only when the client names it, a wildcard in any case", () => {
    const router = traditional(route('plain', { hosts: ['a.test:80'] }), route('wild', { hosts: ['*.b.test:80'] }));
    expect(winner(router, { host: 'a.test:80' })).toBe('plain');
    expect(winner(router, { host: 'a.test' })).toBeUndefined();
    expect(winner(router, { host: 'x.b.test:80' })).toBe('wild');
    expect(winner(router, { host: 'x.b.test' })).toBe('wild');
    expect(winner(router, { host: 'x.b.test:81' })).toBeUndefined();
  });

  it('gives the precedence of a regex to the regexes of a route alone', () => {
    const router = traditional(
      route('mixed', { paths: ['/a', '~/x$'], regex_priority: 9, created_at: 2 }),
      route('longer', { paths: ['/a/b'], created_at: 3 }),
    );
    expect(winner(router, { target: '/a/b' })).toBe('longer');
    expect(winner(router, { target: '/x' })).toBe('mixed');
  });

  it('prefers the older of two routes that are equal in all else', () => {
    const router = traditional(
      route('b', { paths: ['/a'], created_at: 2 }),
      route('a', { paths: ['/a'], created_at: 1 }),
      route('c', { paths: ['/a'], created_at: 3 }),
    );
    expect(winner(router, { target: '/a' })).toBe('a');
  });
});

it('ignores routes of raw streams', () => {
  expect(winner(compat({ id: 'a', protocols: ['tcp'], sources: [{ port: 50000 }] }), {})).toBeUndefined();
});

it('reads of a request only what some route asks for', () => {
  const unread = {
    ...request({ target: '/a/b' }),
    get host(): never {
      throw new Error('read host');
    },
    get query(): never {
      throw new Error('read query');
    },
    header(): never {
      throw new Error('read a header');
    },
  };
  expect(compat(route('a', { paths: ['/a'] })).match(unread)?.route.id).toBe('a');
});

it('explains who wins and why the others lose', () => {
  const router = compat(
    route(ID(1), { hosts: ['a.test'], paths: ['/a'] }),
    route(ID(2), { hosts: ['a.test'], paths: ['/a'], methods: ['POST'] }),
    route(ID(3), { paths: ['/a/b'] }),
    route(ID(4), { paths: ['/nothing'], hosts: ['in.common'] }),
    route(ID(0), { hosts: ['a.test'], paths: ['/'], regex_priority: 1 }),
  );
  const { winner: first, losers } = router.explain(request({ host: 'a.test', target: '/a/b' }));
  expect(first?.route.id).toBe(ID(1));
  expect(first?.expression).toBe('http.host == r#"a.test"# && http.path ^= r#"/a"#');
  expect(losers.map(({ route: { id }, reason }) => [id, reason])).toEqual([
    [ID(2), { kind: 'condition', condition: 'http.method == r#"POST"#' }],
    [ID(0), { kind: 'priority', message: 'lower priority' }],
    [ID(3), { kind: 'priority', message: 'lower priority' }],
  ]);
});
