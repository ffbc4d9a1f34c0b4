import { describe, expect, it } from 'vitest';
import requestTransformer from '../../../edge-dp/plugins/request-transformer.ts';
import { DEFAULT_LUA, type LuaSettings } from '../../../edge-dp/settings.ts';
import type { RequestTransformerConfig } from '../../../shared/plugins/request-transformer.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

type Place = 'headers' | 'querystring' | 'body';
type Lists = Partial<Record<Place, readonly string[]>>;

interface Rules {
  readonly remove?: Lists;
  readonly rename?: Lists;
  readonly replace?: Lists & { readonly uri?: string };
  readonly add?: Lists;
  readonly append?: Lists;
  readonly http_method?: string;
}

function config(rules: Rules): RequestTransformerConfig {
  const lists = (given: Lists = {}) => ({
    headers: [...(given.headers ?? [])],
    querystring: [...(given.querystring ?? [])],
    body: [...(given.body ?? [])],
  });
  return {
    http_method: rules.http_method ?? null,
    remove: lists(rules.remove),
    rename: lists(rules.rename),
    replace: { ...lists(rules.replace), uri: rules.replace?.uri ?? null },
    add: lists(rules.add),
    append: lists(rules.append),
  };
}

/** The request after the plugin, its body as text, and the answer where it gave one. */
async function transform(rules: Rules, given: Parameters<typeof fakeRequest>[0] = {}, lua: LuaSettings = DEFAULT_LUA) {
  const hooks = requestTransformer.compile(config(rules), EVERYWHERE, { ...fakeServices(), lua });
  const request = fakeRequest(given);
  const answer = await hooks.access?.(request);
  const body = await request.body.read(100_000_000);
  hooks.close?.();
  return { request, answer, body: new TextDecoder().decode(body ?? undefined) };
}

describe('request-transformer', () => {
  it('does to headers, query, form and JSON what a naive reading of its rules does', async () => {
    const random = seeded(20_250);
    for (let round = 0; round < 400; round++) {
      const rules = randomRules(random);
      const before = fields(random);
      const seed = `round ${round}: ${JSON.stringify({ rules, before })}`;
      const everywhere = (list: readonly string[]): Lists => ({ headers: list, querystring: list, body: list });
      const configured = {
        remove: everywhere(rules.remove),
        rename: everywhere(rules.rename),
        replace: everywhere(rules.replace),
        add: everywhere(rules.add),
        append: everywhere(rules.append),
      };
      const query = before.flatMap(([name, values]) => values.map((value) => `${name}=${value}`)).join('&');
      const headers = Object.fromEntries(before);
      const json = JSON.stringify(Object.fromEntries(before.map(([n, v]) => [n, v.length === 1 ? v[0] : v])));
      const form = await transform(configured, {
        method: 'POST',
        target: `/?${query}`,
        headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        body: query,
      });
      const asJson = await transform(configured, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: json,
      });

      const expected = naive(rules, before);
      expect(pairsOf(form.request.query), seed).toEqual(grouped(expected));
      expect(pairsOf(form.body), seed).toEqual(query === '' ? grouped(naive(none(rules), [])) : grouped(expected));
      // Of one name the order of the values is their meaning (RFC 9110 section 5.3); among names there is none.
      const own = [...form.request.headers].filter(([name]) => NAMES.includes(name));
      const values = own.map(([name, value]) => [name, value.split(', ')]);
      expect(Object.fromEntries(values), seed).toEqual(grouped(expected));
      const members: Record<string, unknown> = JSON.parse(asJson.body);
      const flat = Object.entries(members).map(([name, value]) => [name, [value].flat()]);
      expect(Object.fromEntries(flat), seed).toEqual(Object.fromEntries(expected));
    }
  });

  it('keeps every byte of a JSON body that no rule names', async () => {
    const { body } = await transform(
      { remove: { body: ['b'] }, rename: { body: ['id:key'] }, append: { body: ['list:x', 'o:y'] } },
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{ "id": 9007199254740993, "b": [1], "u": "\\u00e9/", "n": 1.0e2, "list": [ 12345678901234567890 ], "o": {"a":1} }',
      },
    );
    expect(body).toBe(
      '{"u":"\\u00e9/","n":1.0e2,"list":[ 12345678901234567890 ,"x"],"o":{"a":1,"1":"y"},"key":9007199254740993}',
    );
  });

  it.each([
    ['{"a":1,"n":NaN}', '{"n":NaN}'],
    ['{"n":[-Infinity,+inf],"a":1}', '{"n":[-Infinity,+inf]}'],
    ['{"a":1,"n":2}\0{"a":3}', '{"n":2}'],
    ['{"n":0x1F,"a":1,"m":{"o":007,"p":1.}}', '{"n":0x1F,"m":{"o":007,"p":1.}}'],
    ['{"t\n":"x\ty","a":1}', '{"t\\n":"x\ty"}'],
    ['{"t":"NaN \\" 01","a":1,"n":nan,"u":"\n"}', '{"t":"NaN \\" 01","n":nan,"u":"\n"}'],
  ])('changes what Kong takes for JSON, too, so that it cannot evade the rules: %j', async (text, rest) => {
    const { body } = await transform(
      { remove: { body: ['a'] } },
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: text },
    );
    expect(body).toBe(rest);
  });

  it.each([
    ['an array', 'application/json', '[1,2]'],
    ['words that are no numbers', 'application/json', '{"a":1,"b":nano}'],
    ['a text', 'application/json', '"a"'],
    ['null', 'application/json', 'null'],
    ['no JSON', 'application/json', '{"a":'],
    ['no multipart', 'multipart/form-data; boundary=b', 'a=1'],
    ['multipart that names no boundary', 'multipart/form-data', '--b\r\n\r\n\r\n--b--\r\n'],
    ['another type', 'text/plain', 'a=1'],
  ])('passes %s on unchanged, whatever its Content-Type says', async (_, type, text) => {
    const { body, answer } = await transform(
      { remove: { body: ['a'] }, rename: { body: ['a:c'] }, add: { body: ['b:1'] } },
      { method: 'POST', headers: { 'content-type': type }, body: text },
    );
    expect({ body, answer }).toEqual({ body: text, answer: undefined });
  });

  it('leaves a body in a content coding alone, and refuses one that is too long to be changed', async () => {
    const rules = { remove: { body: ['a'] } };
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const coded = await transform(rules, {
      method: 'POST',
      headers: { ...type, 'content-encoding': 'gzip' },
      body: 'a=1',
    });
    expect(coded.body).toBe('a=1');
    const long = await transform(rules, { method: 'POST', headers: type, body: `a=1&b=${'x'.repeat(11_000_000)}` });
    expect(long.answer).toMatchObject({ status: 413 });
  });

  it('changes the parts of multipart bodies and keeps files what they are', async () => {
    const part = (head: string, value: string) =>
      `--b"1\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`;
    const file = 'Content-Disposition: form-data; name="up"; filename="a.txt"\r\nContent-Type: text/plain';
    const { body, request } = await transform(
      {
        remove: { body: ['gone'] },
        rename: { body: ['up:upload', 'none:some'] },
        replace: { body: ['twice:new', 'absent:x'] },
        add: { body: ['more:é', 'upload:no'] },
        append: { body: ['more:never'] },
      },
      {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary="b\\"1"' },
        body: `--b"1\r\n${file}\r\n\r\nhello\r\n${part('name="gone"', '1')}${part('name=twice', '1')}${part('name="twice"', '2')}--b"1--\r\n`,
      },
    );
    expect(body).toBe(
      `--b"1\r\n${file.replace('up', 'upload')}\r\n\r\nhello\r\n${part('name="twice"', 'new')}${part('name="more"', 'é')}--b"1--\r\n`,
    );
    expect(request.headers.get('content-length')).toBe(String(new TextEncoder().encode(body).length));
  });

  it.each([
    ['with line feeds alone', (body: string) => body.replaceAll('\r\n', '\n'), '\n'],
    ['without an end', (body: string) => body.slice(0, -'\r\n--b--\r\n'.length), '\r\n'],
    ['in parts of another kind', (body: string) => body.replaceAll(': form-data;', ' : attachment; x;'), '\r\n'],
    ['behind a part that has no end of its fields', (body: string) => `--b\r\nX-Y: 1\r\n${body}`, '\r\n'],
  ])('changes multipart bodies that servers take, too, so that they cannot evade the rules: %s', async (_, of, end) => {
    const part = (name: string, value: string) =>
      `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const { body } = await transform(
      { remove: { body: ['admin'] }, rename: { body: ['a:c'] }, add: { body: ['more:1'] } },
      {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
        body: of(`${part('admin', '1')}${part('a', '2')}--b--\r\n`),
      },
    );
    const rest = `${part('c', '2')}${part('more', '1')}--b--\r\n`.replaceAll('\r\n', end);
    expect(body.replace('--b\r\nX-Y: 1\r\n', '').replaceAll(' : attachment; x;', ': form-data;')).toBe(rest);
  });

  it('leaves the length of the body to the gateway', async () => {
    const list = { headers: ['Content-Length:3'] };
    const { request } = await transform(
      {
        remove: { headers: ['content-length'] },
        rename: { headers: ['x-a:content-length'] },
        replace: list,
        append: list,
      },
      { method: 'POST', headers: { 'x-a': '1' }, body: 'hello' },
    );
    expect(request.headers.get('content-length')).toBe('5');
  });

  it('lets no value out of its line, its part or its argument', async () => {
    const target = `/?v=${encodeURIComponent('a\r\nx-evil: 1\0é&b=2\r\n--b\r\n')}`;
    const { request } = await transform(
      { add: { headers: ['x-a:$(query_params.v)', 'x-b:$((query_params.v))'], querystring: ['q:$(query_params.v)'] } },
      { target },
    );
    const sent = 'a%0D%0Ax-evil: 1%00é&b=2%0D%0A--b%0D%0A';
    expect([request.headers.get('x-a'), request.headers.get('x-b')]).toEqual([sent, sent]);
    expect(request.query).toBe(
      'q=a%0D%0Ax-evil%3A%201%00%C3%A9%26b%3D2%0D%0A--b%0D%0A&v=a%0D%0Ax-evil%3A%201%00%C3%A9%26b%3D2%0D%0A--b%0D%0A',
    );
    const refused = await transform(
      { add: { body: ['f:$(query_params.v)'] } },
      { target, method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: '' },
    );
    expect(refused.answer).toMatchObject({ status: 400 });
  });

  it('keeps arguments of the query that are no UTF-8, and those beyond the first hundred', async () => {
    const many = Array.from({ length: 150 }, (_, i) => `n${i}=${i}`);
    const { request } = await transform(
      { remove: { querystring: ['n3'] }, append: { querystring: ['a:1'] } },
      { target: `/?b=%ff%FE&flag&${many.join('&')}` },
    );
    const kept = request.query.split('&');
    expect(kept).toHaveLength(152);
    expect(kept).toEqual(expect.arrayContaining(['b=%FF%FE', 'flag', 'n149=149', 'a=1']));
  });

  it('fills in the same with Lua and without', async () => {
    const expressions = [
      'headers.host',
      'headers["X-Some"]',
      "headers['x_some']",
      'query_params.a',
      'query_params["b c"]',
      'query_params.flag',
      'uri_captures.constructor',
      'uri_captures[1]',
      'headers.absent',
    ];
    const rendered = async (wrap: (expression: string) => string) => {
      const add = expressions.map((expression, i) => `x-${i}:<$(${wrap(expression)})|$(${wrap(expression)})>`);
      const { request } = await transform(
        { add: { headers: add } },
        { target: '/?a=1&b+c=2&flag', headers: { 'x-some': 'v' } },
      );
      return expressions.map((_, i) => request.headers.get(`x-${i}`));
    };
    const plain = await rendered((expression) => expression);
    expect(plain).toEqual([
      '<gateway.test|gateway.test>',
      '<v|v>',
      '<v|v>',
      '<1|1>',
      '<2|2>',
      '<true|true>',
      '<|>',
      '<|>',
      '<|>',
    ]);
    expect(await rendered((expression) => `(${expression}) -- in Lua`)).toEqual(plain);
  });

  it('shows templates the headers as they were when one first looked', async () => {
    const replace = { headers: ['x-a:new'], querystring: ['q:$(headers["x-a"])$((headers["x-a"]))'] };
    const given = { target: '/?q=1', headers: { 'x-a': 'old' } };
    expect((await transform({ replace }, given)).request.query).toBe('q=newnew');
    for (const look of ['$(headers.host)', '$(headers.host .. "")']) {
      const { request } = await transform({ replace, add: { headers: [`x-b:${look}`] } }, given);
      expect(request.query, look).toBe('q=oldold');
    }
  });

  it('gives Lua in templates what untrusted_lua allows, and nothing of another request', async () => {
    const shout = { add: { headers: ['x-a:$(string.upper(query_params.a))'] } };
    const given = { target: '/?a=b' };
    await expect(transform(shout, given)).rejects.toThrow(/string/);
    const open = await transform(shout, given, { ...DEFAULT_LUA, untrusted: 'on' });
    const added = await transform(shout, given, { ...DEFAULT_LUA, environment: ['string.upper'] });
    expect([open, added].map(({ request }) => request.headers.get('x-a'))).toEqual(['B', 'B']);
    await expect(transform(shout, given, { ...DEFAULT_LUA, untrusted: 'off' })).rejects.toThrow(/untrusted_lua/);
    await expect(transform({ add: { headers: ['x-a:$((function() seen = 1 return 1 end)())'] } })).rejects.toThrow(
      'This environment is read-only.',
    );

    const shown = { add: { headers: ['x-a:$(require("inspect")({ query_params.a, query_params.b }))'] } };
    const two = { target: '/?a=x&b=y' };
    await expect(transform(shown, two)).rejects.toThrow("require 'inspect' not allowed within sandbox");
    const listed = await transform(shown, two, { ...DEFAULT_LUA, requires: ['inspect'] });
    expect(listed.request.headers.get('x-a')).toBe('{ "x", "y" }');

    const hooks = requestTransformer.compile(
      config({ add: { headers: ['x-a:$(query_params.a .. "!")'] } }),
      EVERYWHERE,
      fakeServices(),
    );
    const requests = Array.from({ length: 20 }, (_, i) => fakeRequest({ target: `/?a=${i}` }));
    await Promise.all(requests.map((request) => hooks.access?.(request)));
    expect(requests.map((request) => request.headers.get('x-a'))).toEqual(requests.map((_, i) => `${i}!`));
  });

  it.each([
    'while true do end',
    'local t = {} while true do t[#t + 1] = query_params.a .. #t end',
    `local s = query_params.a for i = 1, 21 do s = s .. s end for i = 1, 100 do end while true do local n = s <= s end`,
  ])('ends a template that does not end itself, and fills in the next request: %s', async (endless) => {
    const hooks = requestTransformer.compile(
      config({ add: { headers: [`x-a:$(query_params.b or (function() ${endless} end)())`] } }),
      EVERYWHERE,
      fakeServices(),
    );
    const access = async (target: string) => {
      const request = fakeRequest({ target });
      await hooks.access?.(request);
      return request.headers.get('x-a');
    };
    for (const _again of [1, 2]) {
      await expect(access('/?a=x')).rejects.toThrow(/instruction budget used up|not enough memory/);
      expect(await access('/?a=x&b=y')).toBe('y');
    }
  });

  it('shows Lua the lines of a header as a list, where the host tells them apart', async () => {
    const first = 'type(headers["X-Foo"]) == "table" and headers["X-Foo"][1] .. "-first" or headers["X-Foo"]';
    const hooks = requestTransformer.compile(
      config({ add: { headers: [`x-a:$(${first})`] }, replace: { headers: ['x-bar:b'] } }),
      EVERYWHERE,
      fakeServices(),
    );
    for (const [lines, expected] of [
      [['a', 'b'], 'a-first'],
      [['a, b'], 'a, b'],
    ] as const) {
      const request = fakeRequest();
      for (const line of lines) request.headers.append('X-Foo', line);
      await hooks.access?.(request);
      expect(request.headers.get('x-a')).toBe(expected);
    }
  });

  it('fails the requests, not the config, where a template cannot be compiled', async () => {
    for (const rules of [
      { add: { headers: ['x-a:$(shared.written = true)'] } },
      { replace: { uri: '/x/$((1 +))' } },
      { add: { body: ['a:$(1 +)'] } },
    ])
      await expect(
        transform(rules, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
      ).rejects.toThrow(/cannot be filled in: .*(expected|unexpected)/);
    const untouched = await transform({ add: { body: ['a:$(1 +)'] } });
    expect(untouched.answer).toBeUndefined();
  });

  it('refuses a path that a template leaves without its slash', async () => {
    await expect(transform({ replace: { uri: '$(query_params.to)' } }, { target: '/?to=x' })).rejects.toThrow(
      'path must start with /',
    );
    const { request } = await transform(
      { replace: { uri: '$(query_params.to)' } },
      { target: '/?to=/a%20b%25/%C3%A9%0D' },
    );
    expect(request.upstream.path).toBe('/a%20b%/%C3%A9%0D');
  });
});

type Fields = readonly (readonly [string, readonly string[]])[];
type Lines = Readonly<Record<'remove' | 'rename' | 'replace' | 'add' | 'append', readonly string[]>>;

const NAMES = ['a', 'b', 'c', 'd'];

/** Small numbers from a seed (a linear congruential generator). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

function randomRules(random: (below: number) => number): Lines {
  const name = () => NAMES[random(NAMES.length)] ?? 'a';
  const some = (item: () => string) => Array.from({ length: random(3) }, item);
  const pair = () => `${name()}:v${random(10)}`;
  return {
    remove: some(name),
    rename: some(() => `${name()}:${name()}`),
    replace: some(pair),
    add: some(pair),
    append: some(pair),
  };
}

function fields(random: (below: number) => number): Fields {
  const chosen = NAMES.filter(() => random(2) === 0);
  return chosen.map((name) => [name, Array.from({ length: 1 + random(2) }, () => `w${random(10)}`)] as const);
}

/** What the rules say, one list after the other. */
function naive(rules: Lines, before: Fields): Fields {
  const now: Record<string, readonly string[]> = Object.fromEntries(before);
  const split = (list: readonly string[]) => list.map((item) => item.split(':'));
  for (const name of rules.remove) delete now[name];
  for (const [from = '', to = ''] of split(rules.rename)) {
    const values = now[from];
    if (values === undefined || from === to) continue;
    delete now[from];
    now[to] = values;
  }
  for (const [name = '', value = ''] of split(rules.replace)) if (now[name] !== undefined) now[name] = [value];
  for (const [name = '', value = ''] of split(rules.add)) now[name] ??= [value];
  for (const [name = '', value = ''] of split(rules.append)) now[name] = [...(now[name] ?? []), value];
  return Object.entries(now);
}

/** An empty body has nothing to remove, rename or replace. */
function none({ add, append }: Lines): Lines {
  return { remove: [], rename: [], replace: [], add, append };
}

function pairsOf(encoded: string): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [name, value] of new URLSearchParams(encoded)) all[name] = [...(all[name] ?? []), value];
  return all;
}

function grouped(fields: Fields): Record<string, readonly string[]> {
  return Object.fromEntries(fields);
}
