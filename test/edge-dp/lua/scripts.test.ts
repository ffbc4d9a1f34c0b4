import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import { luaPlugin } from '../../../edge-dp/lua/lua-plugin.ts';
import { current } from '../../../edge-dp/lua/scripts.ts';
import type { PhaseFunctionsConfig } from '../../../edge-dp/plugins/phase-functions.ts';
import preFunction from '../../../edge-dp/plugins/pre-function.ts';
import requestTransformer from '../../../edge-dp/plugins/request-transformer.ts';
import { qualified } from '../../../edge-dp/plugins/runtime/plugin.ts';
import { ResponseReply } from '../../../edge-dp/plugins/runtime/reply.ts';
import { DEFAULT_LUA } from '../../../edge-dp/settings.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from '../plugins/fakes.ts';
import '../../plugin-lua.ts';

const config = (phases: Partial<PhaseFunctionsConfig>): PhaseFunctionsConfig => ({
  certificate: [],
  rewrite: [],
  access: [],
  header_filter: [],
  body_filter: [],
  log: [],
  ...phases,
});

/** Runs access; gives the request afterwards and the answer. */
async function access(source: string, given: Parameters<typeof fakeRequest>[0] = {}, lua = DEFAULT_LUA) {
  const hooks = preFunction.compile(config({ access: [source] }), EVERYWHERE, { ...fakeServices(), lua });
  const request = fakeRequest(given);
  const answer = await hooks.access?.(request);
  return { request, answer: answer && qualified(answer).response };
}

/** What a script told in the header X-Told. */
async function told(
  source: string,
  given?: Parameters<typeof fakeRequest>[0],
  lua = DEFAULT_LUA,
): Promise<string | null> {
  const script = `local function tell(...) local t = {...} for i = 1, select('#', ...) do t[i] = tostring(t[i]) end
    kong.service.request.set_header('x-told', table.concat(t, ' ')) end ${source}`;
  return (await access(script, given, lua)).request.headers.get('x-told');
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** The public functions of the development kit of Kong 3.9.3. */
const KIT: Readonly<Record<string, string>> = {
  client:
    'authenticate get_consumer get_credential get_forwarded_ip get_forwarded_port get_ip get_port get_protocol load_consumer',
  'client.tls':
    'disable_http2_alpn disable_session_reuse get_full_client_certificate_chain request_client_certificate set_client_verify',
  cluster: 'get_id',
  ip: 'is_trusted',
  log: 'alert crit debug deprecation emerg err info new notice serialize set_format set_serialize_value warn',
  'log.inspect': 'off on',
  nginx: 'get_statistics get_subsystem',
  node: 'get_hostname get_id get_memory_stats',
  plugin: 'get_id',
  request:
    'get_body get_forwarded_host get_forwarded_path get_forwarded_port get_forwarded_prefix get_forwarded_scheme get_header get_headers get_host get_http_version get_method get_path get_path_with_query get_port get_query get_query_arg get_raw_body get_raw_path get_raw_query get_scheme get_start_time get_uri_captures',
  response:
    'add_header clear_header error exit get_header get_headers get_raw_body get_source get_status set_header set_headers set_raw_body set_status',
  router: 'get_route get_service',
  service:
    'set_retries set_target set_target_retry_callback set_timeouts set_tls_cert_key set_tls_verify set_tls_verify_depth set_tls_verify_store set_upstream',
  'service.request':
    'add_header clear_header clear_query_arg disable_tls enable_buffering set_body set_header set_headers set_method set_path set_query set_raw_body set_raw_query set_scheme',
  'service.response': 'get_body get_header get_headers get_raw_body get_status',
  table: 'clear merge new',
  telemetry: 'log',
  tracing: 'active_span get_sampling_decision process_span set_active_span set_should_sample start_span',
  vault: 'flush get is_reference parse_reference try update',
};

it('makes no part of what stands in another, wherever that begins', async () => {
  for (const before of ['', 'a\\r\\n']) {
    const { request } = await access(
      `kong.service.request.set_body({ a = '${before}--b\\r\\nContent-Disposition: form-data; name="admin"\\r\\n\\r\\n1', z = '2' })`,
      { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: 'x' },
    );
    const body = await request.body.arguments(1 << 20);
    expect([body?.values('admin'), body?.values('z')]).toEqual([[], ['2']]);
  }
});

describe('what Lua remembers', () => {
  /** Runs a script so often; each goes on counting where the one before left off. */
  const many = async (runs: number, source: string) => {
    const script = `count = count or 0 ${source}`;
    const hooks = preFunction.compile(config({ access: [script] }), EVERYWHERE, {
      ...fakeServices(),
      lua: { ...DEFAULT_LUA, untrusted: 'on' },
    });
    for (let run = 0; run < runs; run++) await hooks.access?.(fakeRequest());
    hooks.close?.();
  };

  it('sends no request to an upstream for the URL of another host', async () => {
    expect((await access(`ngx.var.upstream_uri = '/a b?c'`)).request.upstream.path).toBe('/a%20b');
    for (const uri of ['http://other.test/', 'x', '*']) {
      await expect(access(`ngx.var.upstream_uri = '${uri}'`), uri).rejects.toThrow(/upstream_uri must start with \//);
    }
  });

  it('in a dictionary, of as many keys as clients make up, leaves room for scripts', async () => {
    await many(
      520,
      `ngx.shared.clients:set('kept', count)
      for i = 1, 250 do count = count + 1 ngx.shared.clients:incr('client ' .. count, 1, 0, 3600) end
      assert(ngx.shared.clients:get('kept') == count - 250 and ngx.shared.clients:get('client ' .. count) == 1)`,
    );
    const dict = 'local d = ngx.shared.clients';
    expect(await told(`${dict} tell(d:get('client 130000'), d:get('client 1'), (d:get('kept')))`)).toBe('1 nil 129750');
    expect(
      await told(`${dict} d:flush_all() d:set('a', 1) d:set('b', 2, 1e-9) tell(d:flush_expired(), #d:get_keys())`),
    ).toBe('1 1');
  });

  it('in kong.cache, however long it is, leaves room for scripts', async () => {
    await many(
      1500,
      `for i = 1, 5 do
        count = count + 1
        local function load() return ('v'):rep(5000) .. count end
        assert(kong.cache:get('token ' .. count, { ttl = 3600 }, load) == load())
      end`,
    );
    expect(await told(`tell(kong.cache:probe('token 1') == nil) kong.cache:purge()`)).toBe('true');
  });
});

describe('Lua of a plugin', () => {
  it('has each function of the development kit, but those that the documents say are not there', async () => {
    const calls = Object.entries(KIT).map(([of, functions]) => {
      const [first = '', second = ''] = of.split('.');
      const found = second === '' ? `kong.${first}` : `kong.${first}.${second}`;
      return `look('kong.${of}', ${found}, '${functions.split(' ').join("', '")}')`;
    });
    const script = `local missing = {}
      local function look(of, functions, ...)
        for _, name in ipairs { ... } do
          if functions == nil or functions[name] == nil then missing[#missing + 1] = of .. '.' .. name end
        end
      end
      ${calls.join('\n')}
      tell(unpack(missing))`;
    const missing = (await told(script))?.split(' ') ?? [];
    expect(missing.length).toBeGreaterThan(0);
    const documents = readFileSync(new URL('../../../docs/kong-differences.md', import.meta.url), 'utf8');
    expect(missing.filter((name) => !documents.includes(`\`${name}\``))).toEqual([]);
  });

  it.each([
    ["tell(ngx.re.match('hello 42', [[(\\d+)]])[1], ngx.re.find('xxab', 'ab'))", '42 3 4'],
    [
      "tell((select(2, pcall(ngx.re.match, 'a', ('(?:a|b)?'):rep(3000))):match('pattern is too large')))",
      'pattern is too large',
    ],
    ["tell((ngx.re.gsub('a1b22', '[0-9]+', '<$0>')))", 'a<1>b<22>'],
    [
      "local r = {} for m in ngx.re.gmatch('k=v;x=y', [[(\\w)=(\\w)]]) do r[#r + 1] = m[1] .. m[2] end tell(unpack(r))",
      'kv xy',
    ],
    [
      "tell(ngx.encode_base64('hällo'), ngx.decode_base64('aGVsbG8='), ngx.md5('a'), ngx.crc32_short('abc'))",
      'aMOkbGxv hello 0cc175b9c0f1b6a831c399e269772661 891568578',
    ],
    [
      "tell(ngx.encode_args({ b = { 1, 2 }, a = 'x y' }), ngx.escape_uri('a/b ü'), ngx.unescape_uri('a%2Fb+c'))",
      'a=x%20y&b=1&b=2 a%2Fb%20%C3%BC a/b c',
    ],
    [
      'tell(ngx.http_time(0), ngx.cookie_time(0), ngx.parse_http_time("Thu, 01 Jan 1970 00:00:00 GMT"))',
      'Thu, 01 Jan 1970 00:00:00 GMT Thu, 01-Jan-70 00:00:00 GMT 0',
    ],
    [
      'tell(ngx.var.request_uri, ngx.var.http_x_a, ngx.var.arg_q, ngx.var.cookie_c, ngx.var.nothing, ngx.var.constructor)',
      '/p?q=1 one 1 d nil nil',
    ],
    ["local h = kong.request.get_headers() tell(h['X-A'], h.x_a, h['x-a'])", 'one one one'],
    [
      "kong.service.request.set_query({ z = 1, a = { 'x', 'y' }, t = true }) tell(kong.request.get_raw_query())",
      'a=x&a=y&t&z=1',
    ],
    [
      "tell(kong.service.set_upstream('nobody')) kong.service.request.clear_query_arg('q')",
      "nil could not find an Upstream named 'nobody'",
    ],
    ["kong.service.request.clear_query_arg('q') tell('<' .. kong.request.get_raw_query() .. '>')", '<>'],
    [
      "local m = kong.node.get_memory_stats() local k = kong.node.get_memory_stats('K', 1) tell(type(m.workers_lua_vms[1].http_allocated_gc), k.workers_lua_vms[1].http_allocated_gc:match('^%d+%.%d KiB$') ~= nil, pcall(kong.node.get_memory_stats, 'x'))",
      "number true false invalid unit 'x' (expected 'k/K', 'm/M', or 'g/G')",
    ],
    [
      'tell(pcall(kong.service.request.disable_tls)) ',
      "false function 'kong.service.request.disable_tls' cannot be called in access phase (only in: preread)",
    ],
    [
      "tell(kong.nginx.get_subsystem(), pcall(kong.service.set_tls_verify_depth, 'x'))",
      'http false argument must be a number',
    ],
    ['tell(ngx.get_phase(), kong.node.get_hostname(), kong.version_num > 3000000)', 'access node.test true'],
    [
      "kong.ctx.shared.t = { n = 1 } kong.ctx.shared.t.n = kong.ctx.shared.t.n + 1 ngx.ctx.x = 'y' tell(kong.ctx.shared.t.n, ngx.ctx.x)",
      '2 y',
    ],
  ])('%s tells %s', async (source, expected) => {
    expect(await told(source, { target: '/p?q=1', headers: { 'x-a': 'one', cookie: 'b=a; c=d' } })).toBe(expected);
  });

  it('asks vaults of the node for secrets', async () => {
    const vaults = {
      secret: async (reference: string) =>
        reference === '{vault://env/there}'
          ? { value: 's3cret', missing: null }
          : { value: null, missing: 'this node has no variable' },
    };
    const source = `
      local there = kong.vault.get('{vault://env/there}')
      local absent, why = kong.vault.get('{vault://env/absent}')
      local _, bad = kong.vault.get('{vault://env}')
      local r = kong.vault.parse_reference('{vault://app/cert/key?prefix=SSL_#2}')
      local updated = kong.vault.update({ a = 'old', b = { c = 1 }, ['$refs'] = { a = '{vault://env/there}', d = '{vault://env/absent}' } })
      kong.service.request.set_header('x-told', table.concat({ there, tostring(absent), why, bad, r.name, r.resource, r.key,
        r.config.prefix, tostring(r.version), updated.a, '<' .. updated.d .. '>', tostring(kong.vault.is_reference('{vault://x/y}')) }, ' '))`;
    const hooks = preFunction.compile(config({ access: [source] }), EVERYWHERE, fakeServices({ vaults }));
    const request = fakeRequest();
    await hooks.access?.(request);
    expect(request.headers.get('x-told')).toBe(
      's3cret nil could not get value from external vault (this node has no variable) ' +
        'reference url is missing path [{vault://env}] app cert key SSL_ 2 s3cret <> true',
    );
  });

  it.each([
    [
      "local c = require('resty.lrucache').new(4) for i = 1, 9 do c:set(i, i) c:get(1) end c:set('t', 1, 0) tell(c:get(1), c:get(2), c:get(9), (c:get('t')), c:count() <= 4)",
      '1 nil 9 nil true',
    ],
    [
      "local u = require('socket.url') local p = u.parse('https://a:b@[::1]:8443/x/y?q=1#f') tell(p.host, p.port, p.user, p.path, p.query, u.build(p))",
      '::1 8443 a /x/y q=1 https://a:b@[::1]:8443/x/y?q=1#f',
    ],
    [
      "local s = require('pl.stringx') tell(s.endswith('a.lua', '.lua'), s.startswith('abc', { 'x', 'ab' }), s.strip(' a '), #s.split('a,b,c', ',', 2), s.replace('a.a.a', '.', '%1', 1), s.count('aaa', 'a'), s.rstrip('a]]', ']'))",
      'true true a 2 a%1a.a 3 a',
    ],
    [
      "local t = require('pl.tablex') local r = t.readonly({ 1 }) tell(r[1], pcall(function() r[2] = 2 end), t.find({ 'a', 'b' }, 'b'), t.deepcompare({ a = { 1 } }, t.deepcopy({ a = { 1 } })), t.size({ a = 1, 2 }))",
      '1 false 2 true 2',
    ],
    [
      "local u = require('kong.tools.utils') local id = u.uuid() tell(u.is_valid_uuid(id), u.uuid() == id, u.table_contains({ 1, 2 }, 2), #u.split('a,b', ','), u.is_valid_uuid('x'))",
      'true false true 2 false',
    ],
    [
      "local h = require('resty.hmac') local o = require('resty.openssl.hmac').new('k', 'sha256') o:update('a') local d = require('resty.openssl.digest').new('sha256') tell(h:new('k', h.ALGOS.SHA256):final('a', true), ngx.encode_base64(o:final()), ngx.encode_base64(d:final('')))",
      '78da91511e675587f5b9df78bedebaf5560da2abb88162ee875dcdf744951d9e eNqRUR5nVYf1ud94vt669VYNoqu4gWLuh13N90SVHZ4= 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
    ],
    [
      "local d = ngx.shared.mine d:set('a', 1, 60) tell(d:get('a'), d:add('a', 2), d:incr('a', 2), d:incr('n', 1, 5), d:ttl('a') > 0, ngx.shared.other:get('a'), d:set('gone', 1, 1e-9), d:get('gone'))",
      '1 false 3 6 true nil true nil',
    ],
    [
      "local n = 0 local function load(x) n = n + 1 return x end local a = kong.cache:get('k', nil, load, 7) local b = kong.cache:get('k', nil, load, 8) kong.cache:invalidate('k') local c = kong.cache:get('k', { ttl = 1 }, load, 9) tell(a, b, c, n, (select(2, kong.cache:get('bad', nil, function() return nil, 'why' end))))",
      '7 7 9 2 why',
    ],
    [
      "local i, t = require('inspect'), {} tell((i({ 1, 'a\"b', true, { x = 1, ['y z'] = {}, [2.5] = 'c', ['end'] = 0 } }):gsub('%s+', ' ')), i({ t, t, print }), i('a\\n'), i.inspect({ a = { b = {} } }, { depth = 1, newline = '', indent = '' }))",
      `{ 1, 'a"b', true, { [2.5] = "c", ["end"] = 0, x = 1, ["y z"] = {} } } { <1>{}, <table 1>, <function 1> } "a\\n" {a = {...}}`,
    ],
    ["tell(require('kong.meta')._VERSION, require('kong.constants').HEADERS.ANONYMOUS)", '3.9.3 X-Anonymous-Consumer'],
  ])('has modules and memories that plugins expect: %s', async (script, words) => {
    expect(await told(script, {}, { ...DEFAULT_LUA, untrusted: 'on' })).toBe(words);
  });

  it('shows scripts what they may know of the settings', async () => {
    const script =
      'local c = kong.configuration tell(c.role, c.database, #c.plugins, c.plugins[1], c.untrusted_lua, c.pg_password)';
    expect(await told(script)).toBe('data_plane off 1 bundled sandbox nil');
    expect(await told(script, {}, { ...DEFAULT_LUA, plugins: ['acl', 'mine'] })).toBe(
      'data_plane off 2 acl sandbox nil',
    );
  });

  it('has a number for the process, the same as long as it runs', async () => {
    const pid = Number(await told('tell(ngx.worker.pid())'));
    expect(pid).toBeGreaterThan(1);
    expect(Number(await told('tell(ngx.worker.pid())'))).toBe(pid);
  });

  it('knows of several processes which one it is in', async () => {
    const script = 'tell(ngx.worker.id(), ngx.worker.count())';
    expect(await told(script)).toBe('0 1');
    expect(await told(script, {}, { ...DEFAULT_LUA, process: { place: 2, count: 3 } })).toBe('2 3');
  });

  it('has modules where untrusted_lua is on, and those that are listed in the sandbox', async () => {
    const json =
      "local c = require('cjson.safe') tell(c.encode({ a = { 1, 2 } }), c.decode('{'), require('bit').bxor(5, 1))";
    expect(await told(json, {}, { ...DEFAULT_LUA, untrusted: 'on' })).toBe('{"a":[1,2]} nil 4');
    expect(await told(json, {}, { ...DEFAULT_LUA, requires: ['cjson.safe', 'bit'] })).toBe('{"a":[1,2]} nil 4');
    const lines = "tell(require('cjson.safe').decode('\"a\\n\\1b\"') == 'a\\n\\1b')";
    expect(await told(lines, {}, { ...DEFAULT_LUA, requires: ['cjson.safe'] })).toBe('true');
    await expect(told(json)).rejects.toThrow("require 'cjson.safe' not allowed within sandbox");
    await expect(told("require('ffi')", {}, { ...DEFAULT_LUA, untrusted: 'on' })).rejects.toThrow(
      "module 'ffi' is not there",
    );
    expect(() =>
      preFunction.compile(config({ access: [''] }), EVERYWHERE, {
        ...fakeServices(),
        lua: { ...DEFAULT_LUA, untrusted: 'off' },
      }),
    ).toThrow("disabled because 'untrusted_lua' config option is set to 'off'");
  });

  it('sends requests by way of a proxy, as lua-resty-http is told to', async () => {
    const proxies: unknown[] = [];
    const services = fakeServices({
      async fetch({ url, proxy }) {
        proxies.push([url, proxy]);
        return new OwnResponse(200, '');
      },
    });
    const lua = { ...DEFAULT_LUA, requires: ['resty.http'] };
    const source = `
      local http = require('resty.http').new()
      local proxies = { http_proxy = 'http://p:3128', https_proxy = 'http://s:3129', no_proxy = 'a.test, .b.test',
        https_proxy_authorization = 'Basic ' .. ngx.encode_base64('us er:p@ss:w') }
      http:set_proxy_options(proxies)
      for _, url in ipairs { 'http://x.test/', 'https://x.test/', 'http://a.test/', 'https://c.b.test/' } do
        assert(http:request_uri(url, { method = 'POST' }))
      end
      assert(require('resty.http').new():request_uri('http://x.test/', { proxy_opts = proxies }))
      assert(require('resty.http').new():request_uri('http://x.test/'))`;
    await preFunction.compile(config({ access: [source] }), EVERYWHERE, { ...services, lua }).access?.(fakeRequest());
    expect(proxies).toEqual([
      ['http://x.test/', 'http://p:3128/'],
      ['https://x.test/', 'http://us%20er:p%40ss%3Aw@s:3129/'],
      ['http://a.test/', null],
      ['https://c.b.test/', null],
      ['http://x.test/', 'http://p:3128/'],
      ['http://x.test/', null],
    ]);
  });

  it('waits for answers to its requests as long as lua-resty-http is told to', async () => {
    const timeouts: unknown[] = [];
    const services = fakeServices({
      async fetch({ timeout }) {
        timeouts.push(timeout);
        return new OwnResponse(200, '');
      },
    });
    const source = `
      local http = require('resty.http').new()
      assert(http:request_uri('http://x.test/'))
      http:set_timeout(7)
      assert(http:request_uri('http://x.test/'))
      http:set_timeouts(1, nil, 3)
      assert(http:request_uri('http://x.test/'))`;
    const lua = { ...DEFAULT_LUA, requires: ['resty.http'] };
    await preFunction.compile(config({ access: [source] }), EVERYWHERE, { ...services, lua }).access?.(fakeRequest());
    expect(timeouts).toEqual([60_000, 7, { connect: 1, write: 60_000, read: 3 }]);
  });

  it('can put nothing into tables that all scripts have, by table.insert neither', async () => {
    for (const table of ['ngx.arg', 'ngx.var', 'string', 'kong.ctx', 'ngx.shared.any', 'kong.tracing.start_span()']) {
      await expect(access(`table.insert(${table}, 'x')`), table).rejects.toThrow('attempt to modify a read-only table');
      await expect(access(`table.insert(${table}, 1, 'x')`), table).rejects.toThrow('read-only');
    }
    expect(await told("local t = { 'a' } table.insert(t, 'b') table.insert(t, 1, 'c') tell(unpack(t))")).toBe('c a b');
  });

  it('can change nothing of what other scripts use, in the sandbox', async () => {
    for (const source of [
      'string.format = nil',
      'kong.request.get_header = nil',
      'ngx.re.match = nil',
      "getmetatable('').__index = {}",
      'setmetatable(string, {})',
    ]) {
      await expect(access(source), source).rejects.toThrow();
    }
    await access('leaked = 1 _G.leaked = 2');
    expect(await told("tell(leaked, string.format('%d', 1), ('x'):upper(), _G.leaked)")).toBe('nil 1 X nil');
  });

  it('is not called with what another script, or request, is given', async () => {
    const evil = "function() return 'evil' end";
    for (const [change, use, expected] of [
      [`getmetatable(kong.request.get_headers()).__index = ${evil}`, "kong.request.get_headers()['Accept']", 'nil'],
      ['getmetatable(kong.ctx.shared).__newindex = function() end', 'rawget(kong.ctx.shared, "a")', '1'],
      [
        `getmetatable(kong.request.get_uri_captures().unnamed).__index = ${evil}`,
        'kong.request.get_uri_captures().unnamed[1]',
        'nil',
      ],
      [`ngx.shared.words.get = ${evil}`, "ngx.shared.words:get('a')", 'nil'],
      [`getmetatable(ngx.shared.words).__index = ${evil}`, "ngx.shared.words:get('a')", 'nil'],
      [
        `getmetatable(kong.tracing.active_span()).__index = ${evil}`,
        'type(kong.tracing.active_span():finish())',
        'table',
      ],
    ] as const) {
      await expect(access(change), change).rejects.toThrow();
      expect(await told(`kong.ctx.shared.a = 1 tell(${use})`), change).toBe(expected);
    }
    await access(`kong.tracing.start_span('a').finish = ${evil}`);
    expect(await told('tell(type(kong.tracing.active_span():finish()))')).toBe('table');
    expect(await told("tell(getmetatable(setmetatable({}, { __metatable = 'own' })), getmetatable({}))")).toBe(
      'own nil',
    );
  });

  it.each([
    ["kong.response.exit('200')", 'code must be a number'],
    ['kong.response.exit(600)', 'code must be a number between 100 and 599'],
    ['kong.response.exit(200, 5)', 'body must be a nil, string or table'],
    ["kong.response.exit(200, 'x', 'y')", 'headers must be a nil or table'],
    ["kong.response.exit(200, 'x', { y = print })", 'invalid header value for "y": got function'],
    ['kong.response.error(399)', 'code must be a number between 400 and 599'],
    ['kong.response.error(400, true)', 'message must be a nil, a string or a table'],
    ["kong.response.set_header(1, 'x')", 'invalid header name "1": got number, expected string'],
    ["kong.service.request.set_header('x')", 'invalid header value for "x": got nil'],
    ['kong.service.request.set_headers({ x = { true } })', 'invalid header value in array "x": got boolean'],
    ["kong.service.request.set_method('BREW')", 'invalid method: BREW'],
    ['kong.service.request.set_query(1)', 'args must be a table'],
    ['kong.service.request.set_body(1)', 'args must be a table'],
    ['kong.service.request.set_raw_body(1)', 'body must be a string'],
    ["kong.service.set_target('x', 1.5)", 'port must be an integer'],
    ["kong.service.set_target('x', 65536)", 'port must be an integer between 0 and 65535: given 65536'],
    ["kong.service.set_timeouts(1, 0, 'x')", 'write_timeout must be an integer between 1 and 2147483646: given 0'],
    ["kong.service.set_retries('x')", 'retries must be an integer'],
    ["kong.service.set_tls_verify('on')", 'argument must be a boolean'],
    ['kong.request.get_query_arg(1)', 'query argument name must be a string'],
    ["kong.request.get_query('x')", 'max_args must be a number'],
    ['kong.client.load_consumer(1)', 'consumer_id must be a string'],
    [
      'kong.service.request.set_headers({ x = print })',
      'invalid header value for "x": got function, expected string, number, boolean or array of strings',
    ],
    ["kong.service.request.set_header('x', ngx.null)", 'invalid header value for "x": got userdata'],
    ['kong.service.request.set_query({ a = print })', 'attempt to use function as query arg value'],
    ["kong.service.request.set_query({ [true] = 'a' })", 'arg keys must be strings'],
    ["kong.service.request.set_body({ 'a' }, 'application/x-www-form-urlencoded')", 'arg keys must be strings'],
    [
      "kong.service.request.set_body({ [true] = 'a' }, 'application/json')",
      'Cannot serialise boolean: table key must be a number or string',
    ],
    [
      'kong.service.request.set_body({ a = { 1 } }, "multipart/form-data")',
      'invalid value "a": got table, expected string, number or boolean',
    ],
    ["kong.service.request.set_body({}, 'text/plain')", 'unsupported content type text/plain'],
    ["kong.request.get_body('application/x-www-form-urlencoded', 'x')", 'max_args must be a number'],
    ["kong.request.get_body('application/x-www-form-urlencoded', 1001)", 'max_args must be <= 1000'],
    ['kong.log.set_serialize_value(1)', 'key must be a string'],
    ["kong.log.set_serialize_value('a', 1, { mode = 'b' })", "mode must be 'set', 'add' or 'replace'"],
    ['kong.log.new()', 'namespace must be a string'],
    ["kong.log.new('')", 'namespace cannot be an empty string'],
    ["kong.log.new('a', '')", 'format cannot be an empty string if specified'],
    [
      "kong.response.exit(200, {}, { ['Content-Type'] = 'application/grpc' })",
      'table body encoding with gRPC is not supported',
    ],
  ])("refuses what Kong's functions do not take, in its words: %s", async (call, words) => {
    const caught = `local ok, e = pcall(function() ${call} end) kong.service.request.set_header('x-told', tostring(e))`;
    const { request, answer } = await access(caught);
    expect(answer).toBeUndefined();
    expect(request.headers.get('x-told')).toContain(words);
  });

  it('tells paths as Kong normalizes them, and sends bytes as they are', async () => {
    const target = '/a/%7Ex%2Fy//z/../%61?q=1';
    expect(
      await told('tell(kong.request.get_path(), kong.request.get_forwarded_path(), ngx.var.uri)', { target }),
    ).toBe('/a/~x%2Fy/a /a/~x%2Fy/a /a/~x/y/a');
    const odd = '/root/../%2e/root///././%2F.subdir/../.subdir/./%28%29%2541%FF';
    expect(await told('tell(ngx.var.uri)', { target: odd })).toBe('/root/.subdir/()%41%FF');
    const { answer } = await access("kong.response.exit(200, '\\255\\0\\1')");
    expect(answer).toMatchObject({ status: 200, content: Uint8Array.of(255, 0, 1) });
    expect(
      await told('local body, e = kong.request.get_body() tell(body, e)', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '"text"',
      }),
    ).toBe('nil invalid json body');
    const ada = { id: '00000000-0000-4000-8000-000000000001', username: 'ada' };
    const rows = { 'consumers.username': { ada: [ada] }, consumers: { [ada.id]: [ada] } };
    expect(await told("tell(kong.client.load_consumer('ada', true).id)", { rows })).toBe(ada.id);
  });

  it('tells where requests came in, and what proxies say of that only where they are believed', async () => {
    const script = `tell(kong.request.get_host(), kong.request.get_port(), kong.request.get_forwarded_scheme(),
      kong.request.get_forwarded_host(), kong.request.get_forwarded_port(), kong.request.get_forwarded_path(),
      kong.client.get_port(), kong.client.get_forwarded_port(), ngx.var.server_port)`;
    const headers = {
      host: 'Gateway.Test.:80',
      'x-forwarded-proto': ['HTTPS', 'http'],
      'x-forwarded-host': 'user@Shop.Test:8443',
      'x-forwarded-path': ['/a', '/b'],
    };
    expect(await told(script, { headers })).toBe('gateway.test 8000 http gateway.test 8000 / 40000 40000 8000');
    const client = { ip: '10.0.0.1', port: 1234, trusted: true };
    expect(await told(script, { headers, client })).toBe('gateway.test 8000 https shop.test 8443 /a 40000 1234 8000');
    const port = { ...headers, 'x-forwarded-port': ['444', '555'] };
    expect(await told('tell(kong.request.get_forwarded_port())', { headers: port, client })).toBe('444');
    expect(await told("tell(kong.ip.is_trusted('10.1.1.1'), kong.ip.is_trusted('11.1.1.1'))")).toBe('true false');
  });

  it('names the protocol of a route that has one, else what the client speaks', async () => {
    const protocol = async (
      protocols: string[] | null,
      given: Parameters<typeof fakeRequest>[0],
      terminated: string,
    ) => {
      const row = { id: 'r', protocols };
      const route = { id: 'r', name: null, row } as unknown as ReturnType<typeof fakeRequest>['route'];
      const script = `local found, message = kong.client.get_protocol(${terminated})
        kong.service.request.set_header('x-told', tostring(found) .. ' ' .. tostring(message))`;
      const hooks = preFunction.compile(config({ access: [script] }), EVERYWHERE, fakeServices());
      const request = fakeRequest(given);
      request.route = protocols === null ? null : route;
      await hooks.access?.(request);
      return request.headers.get('x-told');
    };
    const client = { trusted: true };
    const told = (...lines: string[]) => ({ client, headers: { 'x-forwarded-proto': lines } });
    expect(await protocol(null, {}, '')).toBe('nil No active route found');
    expect(await protocol(['grpc'], {}, '')).toBe('grpc nil');
    const both = ['http', 'https'];
    expect(await protocol(both, told('https'), '')).toBe('http nil');
    expect(await protocol(both, told('https'), 'true')).toBe('https nil');
    expect(await protocol(both, told('wss'), 'true')).toBe('http nil');
    expect(await protocol(both, { headers: { 'x-forwarded-proto': 'https' } }, 'true')).toBe('http nil');
    expect(await protocol(both, told('https', 'http'), 'true')).toBe('nil Only one X-Forwarded-Proto header allowed');
  });

  it('shows the target as it came, whatever was made of the query since', async () => {
    const script = `kong.service.request.set_raw_query('b=2') tell(kong.request.get_path_with_query(), kong.request.get_raw_query())`;
    expect(await told(script, { target: '/a%20b?a=1' })).toBe('/a%20b?a=1 b=2');
    expect(await told('tell(kong.request.get_path_with_query())', { target: '/a?' })).toBe('/a?');
  });

  it('finds nobody where there is no such consumer, which is no error', async () => {
    const script = `local found, message = kong.client.load_consumer('00000000-0000-4000-8000-000000000009') tell(found, message)`;
    expect(await told(script)).toBe('nil nil');
  });

  it('writes lines in a form and under a name of its own', async () => {
    const lines: string[] = [];
    const source = `
      local log = kong.log.new('mine')
      log('a', 1, nil)
      log.set_format('%namespace %%message %message (%file_src:%line_src)')
      log.warn('b')
      kong.log.deprecation('old', { after = '1.0', removal = '2.0' })
      kong.log.deprecation('old', { after = '1.0' })
      kong.log.inspect.off()
      kong.log.inspect('hidden')
      kong.log.inspect.on()
      kong.log.inspect({ a = 1 }, 2)`;
    const services = fakeServices({ log: (level, message) => lines.push(`${level} ${message}`) });
    await preFunction.compile(config({ access: [source] }), EVERYWHERE, services).access?.(fakeRequest());
    expect(lines).toEqual([
      'notice pre-function: [mine] a1nil',
      'warn pre-function: mine %%message b (?:?)',
      'warn pre-function: old (deprecated after 1.0, scheduled for removal in 2.0)',
      'warn pre-function: old (deprecated after 1.0)',
      'notice pre-function: {\n  a = 1\n} 2',
    ]);
  });

  it('answers with an exit, past pcall, and with a redirect', async () => {
    const { answer } = await access(
      "pcall(function() kong.response.exit(201, { a = 1 }, { ['x-b'] = 'c' }) end) error('on')",
    );
    expect(answer).toMatchObject({ status: 201, content: bytes('{"a":1}') });
    expect((await access("ngx.redirect('/else', 301)")).answer).toMatchObject({ status: 301 });
    expect((await access("ngx.say('a', { 'b' }) ngx.exit(200)")).answer).toMatchObject({
      status: 200,
      content: bytes('ab\n'),
    });
  });

  it('never mixes requests that wait', async () => {
    const source = `
      for i = 1, 3 do
        ngx.sleep(0.001)
        kong.ctx.shared.seen = (kong.ctx.shared.seen or '') .. kong.request.get_header('x-a')
      end
      kong.service.request.set_header('x-told', kong.ctx.shared.seen)`;
    const hooks = preFunction.compile(config({ access: [source] }), EVERYWHERE, fakeServices());
    const all = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const request = fakeRequest({ headers: { 'x-a': String(i % 10) } });
        await hooks.access?.(request);
        return request.headers.get('x-told') === String(i % 10).repeat(3);
      }),
    );
    expect(all).not.toContain(false);
  });

  it('reads bodies: JSON, forms, multipart, others raw', async () => {
    const tell = 'local b, e, m = kong.request.get_body() tell(b and b.a, e, m)';
    const body = (type: string, body: string) => ({ method: 'POST', headers: { 'content-type': type }, body });
    expect(await told(tell, body('application/json', '{"a":"ü"}'))).toBe('ü nil application/json');
    expect(await told(tell, body('application/json', '{'))).toBe('nil invalid json body application/json');
    expect(await told(tell, body('application/x-www-form-urlencoded', 'a=1+2'))).toBe(
      '1 2 nil application/x-www-form-urlencoded',
    );
    const parts = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nz\r\n--x--\r\n';
    expect(await told(tell, body('multipart/form-data; boundary=x', parts))).toBe('z nil multipart/form-data');
    expect(await told('tell(#kong.request.get_raw_body())', body('text/plain', 'äb'))).toBe('3');
    const several = `--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n${parts}`;
    expect(
      await told(
        'local b = kong.request.get_body() tell(b.a[1], b.a[2])',
        body('multipart/form-data; boundary=x', several),
      ),
    ).toBe('1 z');
    expect(await told(tell, body('application/json-patch+json; x=y', '{"a":1}'))).toBe('1 nil application/json');
    expect(await told(tell, body('Text/Plain; x=y', '{"a":1}'))).toBe(
      "nil unsupported content type 'Text/Plain; x=y' text/plain",
    );
  });

  it('reads no body that is longer than it is told to, unless it is a short one', async () => {
    const long = { method: 'POST', headers: { 'content-type': 'application/json' }, body: `"${'a'.repeat(9998)}"` };
    const script = (most: string) => `local b, e = kong.request.get_raw_body(${most}) tell(b and #b, e)`;
    expect(await told(script('9999'), long)).toBe('nil request body file too big: 10000 > 9999');
    expect(await told(script('10000'), long)).toBe('10000 nil');
    expect(await told(script('0'), long)).toBe('10000 nil');
    expect(await told(script('1'), { ...long, body: 'short' })).toBe('5 nil');
    const table = `local b, e = kong.request.get_body(nil, nil, 9999) tell(b, e)`;
    expect(await told(table, long)).toBe('nil request body file too big: 10000 > 9999');
  });

  it('tells empty lists of JSON bodies from empty objects', async () => {
    const given = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":[ ],"b":{},"c":[[]]}',
    };
    const { answer } = await access('kong.response.exit(200, kong.request.get_body())', given);
    expect(JSON.parse(new TextDecoder().decode(answer?.content as Uint8Array))).toEqual({ a: [], b: {}, c: [[]] });
    const top = await access('kong.response.exit(200, kong.request.get_body())', { ...given, body: '[]' });
    expect(top.answer).toMatchObject({ content: bytes('[]') });
  });

  it('writes bodies: fields in order, a boundary that was there, the type of the request', async () => {
    const written = async (table: string, type: string | null, given = '') => {
      const headers = type === null ? {} : { 'content-type': type };
      const script = `local ok, e = kong.service.request.set_body(${table}${given}) kong.service.request.set_header('x-told', tostring(ok) .. ' ' .. tostring(e))`;
      const { request } = await access(script, { method: 'POST', headers, body: 'before' });
      const sent = new TextDecoder().decode((await request.body.read(1000)) ?? new Uint8Array());
      return { sent, told: request.headers.get('x-told'), type: request.headers.get('content-type') };
    };
    const form = 'multipart/form-data; boundary="x y"';
    expect(await written("{ b = 'two', a = 1, c = true }", form)).toMatchObject({
      sent: ['a', 'b', 'c']
        .map(
          (name, i) => `--x y\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${['1', 'two', 'true'][i]}\r\n`,
        )
        .concat('--x y--\r\n')
        .join(''),
      told: 'true nil',
    });
    expect((await written("{ a = 'x\\n--taken' }", 'multipart/form-data; boundary=taken')).sent).not.toContain(
      '--taken--',
    );
    expect(
      await written("{ ['a-b'] = 2, a = 1, ab = { 'y', 'x' } }", 'application/x-www-form-urlencoded'),
    ).toMatchObject({
      sent: 'a-b=2&a=1&ab=y&ab=x',
    });
    expect(await written('{}', null)).toMatchObject({
      sent: 'before',
      told: 'nil content type was neither explicitly given as an argument or received as a header',
    });
  });

  it('takes the items of a table with other fields for lines of a header, and leaves framing alone', async () => {
    const lines: string[] = [];
    const services = fakeServices({ log: (level, message) => lines.push(`${level} ${message}`) });
    const source = `
      kong.service.request.set_headers({ ['X-A'] = { 'one', 'two', other = 'three' }, ['X-B'] = {} })
      kong.response.set_header('Transfer-Encoding', 'gzip')
      kong.response.set_headers({ transfer_encoding = 'gzip', ['X-C'] = 1 })`;
    const request = fakeRequest({ headers: { 'x-b': 'there' } });
    await preFunction.compile(config({ access: [source] }), EVERYWHERE, services).access?.(request);
    expect([request.headers.get('x-a'), request.headers.has('x-b')]).toEqual(['one, two', false]);
    expect([...request.replyHeaders]).toEqual([['x-c', '1']]);
    const warning = 'warn pre-function: manually setting Transfer-Encoding. Ignored.';
    expect(lines).toEqual([warning, warning]);
  });

  it('leaves what cannot be logged out of the entry, and lets the request go on', async () => {
    const lines: string[] = [];
    const services = fakeServices({ log: (_, message) => lines.push(message) });
    const source = `kong.log.set_serialize_value('a.b', { f = function() end })
      local t = {} t.t = t kong.log.set_serialize_value('c', t)`;
    const hooks = preFunction.compile(config({ access: [source] }), EVERYWHERE, services);
    expect(await hooks.access?.(fakeRequest())).toBeUndefined();
    expect(lines).toEqual([
      expect.stringContaining('a.b is left out of the log entry: value must be nil, a number'),
      expect.stringContaining('c is left out of the log entry'),
    ]);
  });

  it('answers errors in the form that is asked for, and gRPC as it says itself', async () => {
    const xml = await access("kong.response.error(503, 'a < b', { ['Content-Type'] = 'application/xml' })", {
      headers: { accept: 'application/json' },
    });
    expect(xml.answer?.headers.get('content-type')).toBe('application/xml');
    expect(xml.answer).toMatchObject({ status: 503, content: expect.stringContaining('<message>a &lt; b</message>') });
    const grpc = await access(
      "kong.response.set_header('Content-Type', 'application/grpc') kong.response.exit(401, 'no')",
    );
    expect(Object.fromEntries(grpc.answer?.headers ?? [])).toMatchObject({
      'content-type': 'application/grpc',
      'grpc-status': '16',
      'grpc-message': 'Unauthenticated',
    });
    expect(grpc.answer).toMatchObject({ status: 401, content: 'no' });
    const own = `kong.response.exit(200, nil, { ['content-type'] = 'application/grpc', ['grpc-message'] = 'mine' })`;
    expect(Object.fromEntries((await access(own)).answer?.headers ?? [])).toMatchObject({
      'grpc-status': '0',
      'grpc-message': 'mine',
    });
  });

  it.each([
    'return function() return function() end, { function() end } end',
    'return nil, function() end',
    "return function() pcall(require('cjson').encode, { print }) end",
  ])('leaves nothing behind in the machine: %s', async (source) => {
    const services = { ...fakeServices(), lua: { ...DEFAULT_LUA, requires: ['cjson'] } };
    const hooks = preFunction.compile(config({ access: [source] }), EVERYWHERE, services);
    const { machine } = current();
    /** The highest place of what is kept. */
    const many = async () => {
      for (let i = 0; i < 200; i++) await hooks.access?.(fakeRequest());
      const more = Array.from({ length: 1000 }, () => machine.table());
      for (const table of more) machine.release(table);
      return Math.max(...more.map(({ reference }) => reference));
    };
    const before = await many();
    // Tables of requests go when they are collected.
    expect((await many()) - before).toBeLessThan(100);
  });

  it.each(["ngx.re.gsub(('a'):rep(1e5), 'a+', ('$0'):rep(1000))", "ngx.re.gsub(('a'):rep(300), 'a', ('b'):rep(3e5))"])(
    'pays for what is put in the place of a match before it is there: %s',
    async (source) => {
      const start = performance.now();
      await expect(access(source)).rejects.toThrow('instruction budget used up');
      expect(performance.now() - start).toBeLessThan(1000);
    },
  );

  it('does not run a timer at once that is far away', async () => {
    await access("ngx.timer.at(1e9, function() ngx.shared.timers:set('far', true) end)");
    await access("ngx.timer.at(0, function() ngx.shared.timers:set('near', true) end)");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await told("tell(ngx.shared.timers:get('far'), (ngx.shared.timers:get('near')))")).toBe('nil true');
  });

  it('is stopped by its budget, and the next request runs', async () => {
    await expect(access('while true do end')).rejects.toThrow('instruction budget used up');
    expect(await told("tell('alive')")).toBe('alive');
  });

  it('fails requests, and not the config, that it is too long for among all others, until there is room', async () => {
    const texts = (nth: number) => Array.from({ length: 9000 }, (_, n) => `"t${nth} ${n}"`).join();
    const source = (nth: number) => `local all = {${texts(nth)}} kong.service.request.set_header('x-told', #all)`;
    const many = Array.from({ length: 60 }, (_, nth) =>
      preFunction.compile(config({ access: [source(nth)] }), EVERYWHERE, fakeServices()),
    );
    const outcome = async (hooks: (typeof many)[number] | undefined) => {
      const request = fakeRequest();
      try {
        await hooks?.access?.(request);
        return request.headers.get('x-told');
      } catch (error) {
        return String(error);
      }
    };
    try {
      expect(await outcome(many.at(-1))).toMatch(/not enough memory/);
      for (const hooks of many.splice(0, 50)) hooks.close?.();
      expect(await outcome(many.at(-1))).toBe('9000');
    } finally {
      for (const hooks of many) hooks.close?.();
    }
    expect(await told("tell('alive')")).toBe('alive');
  });

  describe('of a configuration that is gone', () => {
    /** Scripts that are compiled now, each of which says which it is. */
    const others = (count: number) => {
      const all = Array.from({ length: count }, (_, n) =>
        preFunction.compile(
          config({ access: [`kong.service.request.set_header('x-told', 'other ${n}')`] }),
          EVERYWHERE,
          fakeServices(),
        ),
      );
      return {
        async tell() {
          const request = fakeRequest();
          const heard: (string | null)[] = [];
          for (const hooks of all) {
            await hooks.access?.(request);
            heard.push(request.headers.get('x-told'));
          }
          return heard;
        },
        close: () => all.forEach((hooks) => void hooks.close?.()),
      };
    };
    const each = (count: number) => Array.from({ length: count }, (_, n) => `other ${n}`);

    it('is what requests that began before go on with, and nothing else', async () => {
      const lines: string[] = [];
      const services = fakeServices({ log: (_, line) => void lines.push(line) });
      const hooks = preFunction.compile(
        config({
          access: ["ngx.sleep(0.01) kong.log.err('access')"],
          header_filter: ["kong.log.err('header') return function() kong.log.err('again') end"],
        }),
        EVERYWHERE,
        services,
      );
      const request = fakeRequest();
      const begun = hooks.access?.(request);
      hooks.close?.();
      const now = others(5);
      await begun;
      const reply = () => new ResponseReply(new OwnResponse(200, 'x'), 'service', () => undefined);
      await hooks.response?.(request, reply());
      await hooks.response?.(request, reply());
      const own = ['access', 'header', 'again', 'header', 'again'];
      expect(lines).toEqual(own.map((line) => `pre-function: ${line}`));
      expect(await now.tell()).toEqual(each(5));
      now.close();
    });

    it('leaves its place to one other script, however many requests it prepared itself for at once', async () => {
      const source = `ngx.sleep(0.01)
        return function() kong.service.request.set_header('x-told', 'prepared') end`;
      const hooks = preFunction.compile(config({ access: [source] }), EVERYWHERE, fakeServices());
      const requests = Array.from({ length: 3 }, () => fakeRequest());
      await Promise.all(requests.map((request) => hooks.access?.(request)));
      expect(requests.map(({ headers }) => headers.get('x-told'))).toEqual(Array(3).fill('prepared'));
      const now = others(5);
      expect(await now.tell()).toEqual(each(5));
      hooks.close?.();
      now.close();
    });

    it('fills in templates of requests that began before', async () => {
      const transformer = (value: string) => {
        const none = { headers: [], querystring: [], body: [] };
        const add = { ...none, headers: [`x-told:$(${value})`] };
        const append = none;
        const replace = { ...none, uri: null };
        return requestTransformer.compile(
          { http_method: null, remove: none, rename: none, replace, add, append },
          EVERYWHERE,
          fakeServices(),
        );
      };
      const before = transformer("'a' .. 'b'");
      before.close?.();
      const now = others(5);
      const request = fakeRequest();
      await before.access?.(request);
      expect(request.headers.get('x-told')).toBe('ab');
      expect(await now.tell()).toEqual(each(5));
      now.close();
    });

    it('is what a plugin in Lua goes on with', async () => {
      const handler = `local H = { PRIORITY = 1, VERSION = "1.0.0" }
        function H:access(conf) ngx.sleep(0.01) kong.service.request.set_header('x-told', conf.words) end
        return H`;
      const plugin = luaPlugin({ name: 'teller', handler, modules: null }, DEFAULT_LUA);
      const hooks = plugin.compile({ words: 'as before' }, EVERYWHERE, fakeServices());
      const [first, second] = [fakeRequest(), fakeRequest()];
      const begun = hooks.access?.(first);
      hooks.close?.();
      await begun;
      await hooks.access?.(second);
      expect([first, second].map(({ headers }) => headers.get('x-told'))).toEqual(['as before', 'as before']);
    });
  });

  it('has no more dictionaries than there is room for, and gives up what they hold where there is none', async () => {
    const plugin = luaPlugin(
      {
        name: 'hoarder',
        handler: `local H = { PRIORITY = 1, VERSION = "1.0.0" }
          function H:access(conf)
            if conf.does == 'name' then for i = 1, 1e5 do local d = ngx.shared['n' .. i .. kong.request.get_header('x')] end end
            if conf.does == 'fill' then
              for i = 1, 10 do
                local d = ngx.shared['d' .. kong.request.get_header('x')]
                if d then d:set(i, i .. ('x'):rep(1.5e5)) end
              end
            end
            kong.service.request.set_header('x-told', #('x'):rep(2e5))
          end
          return H`,
        modules: null,
      },
      DEFAULT_LUA,
    );
    const run = async (does: string, n: number) => {
      const request = fakeRequest({ headers: { x: String(n) } });
      const hooks = plugin.compile({ does }, EVERYWHERE, fakeServices());
      await hooks.access?.(request);
      hooks.close?.();
      return request.headers.get('x-told');
    };
    for (let n = 0; n < 40; n++) {
      await run('fill', n).catch(() => {});
      expect(await run('nothing', n), String(n)).toBe('200000');
    }
    for (let n = 0; n < 10; n++) await run('name', n).catch(() => {});
    expect(await run('nothing', 0)).toBe('200000');
    expect(await told("tell(ngx.shared[1], ngx.shared[('x'):rep(257)], type(ngx.shared.words))")).toBe('nil nil table');
  });

  it('sets no more timers for a request than there is time for, those of its timers among them', async () => {
    const set =
      'local set, why = 0 for i = 1, 100 do local ok, m = ngx.timer.at(0, function() end) if ok then set = set + 1 else why = m end end';
    expect(await told(`${set} tell(set, why)`)).toBe('64 too many pending timers');
    // Of another request they are other ones.
    const waited: Promise<unknown>[] = [];
    const request = fakeRequest({}, (work) => waited.push(work));
    const bomb = `local function f() kong.ctx.shared.n = (kong.ctx.shared.n or 0) + 1 ngx.timer.at(0, f) ngx.timer.at(0, f) end f()`;
    const hooks = preFunction.compile(config({ access: [bomb] }), EVERYWHERE, fakeServices());
    await hooks.access?.(request);
    for (let n = 0; n < waited.length; n++) await waited[n];
    expect(waited.length).toBeGreaterThan(60);
    expect(waited.length).toBeLessThan(70);
  });

  it('changes modules that the sandbox allows for itself alone', async () => {
    const requires = [
      'resty.lrucache',
      'cjson',
      'cjson.safe',
      'kong.constants',
      'resty.hmac',
      'bit',
      'resty.openssl.digest',
      'inspect',
    ];
    const lua = { ...DEFAULT_LUA, requires };
    for (const change of [
      "require('resty.lrucache').new = nil require('resty.lrucache').get = function() return 'evil' end",
      "local i = require('resty.lrucache').new(9).__index i.get = function() return 'evil' end",
      "getmetatable(require('resty.lrucache').new(9)).__index = {}",
      "require('cjson').encode = nil require('cjson').array_mt.__index = function() return 'evil' end",
      "require('cjson').encode_empty_table_as_object(false)",
      "require('kong.constants').HEADERS.VIA = 'evil'",
      "require('bit').bxor = nil",
      "getmetatable(require('inspect')).__call = nil",
      "local h = require('resty.hmac') h.new = nil h.final = nil",
    ]) {
      await access(change, {}, lua).catch(() => {});
      expect(
        await told(
          `local c = require('resty.lrucache').new(9) c:set('a', 1)
          kong.cache:get('a', nil, function() return 2 end)
          tell(c:get('a'), require('cjson').encode({}), require('cjson').decode('{"a":[]}').a[1], require('kong.constants').HEADERS.VIA,
            require('bit').bxor(5, 1), require('inspect')(1), (kong.cache:get('a')), #require('resty.hmac'):new('a', 'sha1'):final('b'))`,
          {},
          lua,
        ),
        change,
      ).toBe('1 {} nil Via 4 1 2 20');
    }
    // And pairs goes through them.
    expect(await told("local n = 0 for _ in pairs(require('bit')) do n = n + 1 end tell(n)", {}, lua)).toBe('12');
  });

  it('says in what form its own lines are logged, and no other script of the sandbox', async () => {
    const lines: string[] = [];
    const services = { ...fakeServices(), log: (_: string, line: string) => void lines.push(line) };
    for (const source of [
      "kong.log.set_format('hidden') kong.log.inspect.off() kong.log.notice('a')",
      "kong.log.notice('b') kong.log.inspect('c') kong.log('d') kong.log.new('e').warn('f')",
    ]) {
      await preFunction.compile(config({ access: [source] }), EVERYWHERE, services).access?.(fakeRequest());
    }
    expect(lines).toEqual(['hidden', 'b', '"c"', 'd', '[e] f'].map((line) => `pre-function: ${line}`));
    await expect(access('kong.log.notice = nil')).rejects.toThrow('read-only');
  });

  it('refuses a status that no answer can have', async () => {
    for (const status of ['9999', '600', '199.9', '101', '0', '-1', '0/0', '1/0']) {
      await expect(access(`ngx.status = ${status}`), status).rejects.toThrow('status must be that of a final answer');
      const filter = preFunction.compile(
        config({ header_filter: [`ngx.status = ${status}`] }),
        EVERYWHERE,
        fakeServices(),
      );
      const reply = new ResponseReply(new OwnResponse(200, 'x'), 'service', () => undefined);
      expect(() => filter.response?.(fakeRequest(), reply), status).toThrow('status must be that of a final answer');
      expect(reply.status).toBe(200);
    }
    for (const status of ['600', '1e9', '0/0']) {
      await expect(access(`ngx.exit(${status})`), status).rejects.toThrow('status must be that of a final answer');
    }
    expect((await access('ngx.exit(403.7)')).answer?.status).toBe(403);
  });

  it('refuses to write what would end a header line', async () => {
    await expect(access("kong.service.request.set_header('x-a', 'b\\r\\nx-c: d')")).rejects.toThrow();
    await expect(access("kong.response.set_header('x a', 'b')")).rejects.toThrow();
  });

  it('says in which phases a function may be called', async () => {
    await expect(access('kong.response.get_source()')).rejects.toThrow(
      "function 'kong.response.get_source' cannot be called in access phase (only in: response, header_filter, body_filter, log)",
    );
  });
});
