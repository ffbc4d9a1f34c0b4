import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import '../../plugin-lua.ts';
import { admin as api } from '../../e2e/processes.ts';
import { STAMP } from '../../lua-plugins/stamp.ts';
import { hosts } from '../hosts.ts';
import { type RedisTestServer, startRedisServer } from '../redis/redis-server.ts';
import { exchange } from './case-runner/exchange.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';
import { type CaseUpstream, startCaseUpstream } from './case-runner/upstream.ts';

const SCHEMA = `return { name = "NAME", fields = { { config = { type = "record", fields = {
  { mode = { type = "string", default = "ok" } }, { url = { type = "string" } } } } } } }`;

/** A plugin named `name` of a handler whose parts are these functions. */
const plugin = (name: string, parts: string, more: object = {}) => ({
  name,
  schema: SCHEMA.replace('NAME', name.split('@')[0] ?? name),
  handler: `local H = { PRIORITY = 900, VERSION = "1.0.0" } ${parts} return H`,
  ...more,
});

const PLUGINS = [
  STAMP,
  plugin(
    'hostile',
    `local kept = "whole"
    function H:access(conf)
      if conf.mode == "loop" then while true do end end
      if conf.mode == "caught" then pcall(function() while true do end end) end
      if conf.mode == "rep" then return ("a"):rep(1e9) end
      if conf.mode == "pattern" then return ("a"):rep(300):find(".-.-.-.-b") end
      if conf.mode == "deep" then local function f(n) return 1 + f(n + 1) end return f(1) end
      if conf.mode == "table" then local t = {} for i = 1, 1e9 do t[i] = { i } end end
      if conf.mode == "error" then error("as told") end
      kong.service.request.set_header("X-Kept", kept)
    end`,
  ),
  plugin(
    'parts',
    `local words = require "kong.plugins.parts.words"
    function H:access(conf) kong.service.request.set_header("X-Words", words.greet(conf.mode)) end`,
    {
      modules: {
        'kong.plugins.parts.words':
          'local up = require("lib.up") return { greet = function(who) return up("hello " .. who) end }',
        'lib.up': 'return string.upper',
      },
    },
  ),
  plugin(
    'calls',
    `local http = require "resty.http"
    function H:access(conf)
      local answer = assert(http.new():request_uri(conf.url, { headers = { ["X-Ask"] = kong.request.get_header("x-ask") } }))
      kong.service.request.set_header("X-Answer", kong.request.get_header("x-ask") .. " " .. answer.status)
    end
    function H:log() end`,
  ),
  plugin(
    'tokens',
    `local parser = require "kong.plugins.jwt.jwt_parser"
    local constants = require "kong.constants"
    local function load_key() return "secret" end
    function H:access(conf)
      local token = ngx.re.match(kong.request.get_header("authorization") or "", "^[Bb]earer\\\\s+(.+)$", "jo")
      if not token then return kong.response.exit(401, { message = "no token" }) end
      local jwt, message = parser:new(token[1])
      if message then return kong.response.exit(401, { message = message }) end
      local key, _, level = kong.cache:get("key", { ttl = 60 }, load_key)
      if not jwt:verify_signature(key) then return kong.response.exit(403, { message = "bad signature" }) end
      local ok, errors = jwt:verify_registered_claims({ "exp" })
      if not ok then return kong.response.exit(403, errors) end
      kong.client.authenticate({ id = "5d3b2a8a-7a39-4d8b-9d7f-3b8c6f5a0a11", username = jwt.claims.sub }, { key = jwt.claims.sub })
      kong.service.request.set_header("X-Level", tostring(level))
      kong.service.request.set_header("X-Header", constants.HEADERS.CONSUMER_USERNAME)
    end`,
  ),
  plugin(
    'limits',
    `function H:header_filter()
      if tonumber(ngx.var.upstream_http_content_length) > 10 then
        ngx.ctx.too_long, ngx.status = true, 413
      end
    end
    function H:body_filter()
      if ngx.ctx.too_long then ngx.arg[1], ngx.arg[2] = "too long", true end
    end`,
  ),
  plugin(
    'says',
    `function H:access(conf)
      ngx.status = 203
      ngx.header["Content-Type"] = "text/x-said"
      ngx.print("said ", { "in ", "parts" })
      return ngx.exit(200)
    end`,
  ),
  plugin(
    'buffers',
    `function H:response() local body = kong.service.response.get_raw_body() return kong.response.exit(201, { length = #body }) end`,
  ),
  plugin(
    'compares',
    `function H:access() kong.response.set_header("X-Early", "1") end
    function H:header_filter()
      local service = kong.service.response
      kong.response.set_status(203)
      kong.response.set_header("X-Own", "1")
      kong.response.set_header("Content-Type", "text/x-changed")
      kong.response.clear_header("Content-Length")
      ngx.ctx.said = table.concat({ service.get_status(), kong.response.get_status(), service.get_header("Content-Type"),
        tostring(service.get_header("X-Own")), tostring(service.get_headers()["x-early"]), tostring(select(2, pcall(service.get_header))) }, " ")
    end
    function H:body_filter()
      if kong.ctx.plugin.done then return end
      kong.ctx.plugin.done = true
      kong.response.set_raw_body(ngx.ctx.said)
    end
    function H:log() assert(kong.service.response.get_status() == 200) end`,
  ),
  plugin('empties', `function H:body_filter() kong.response.set_raw_body("") end`),
  // As those that rewrite URLs by what the route captured, from what Kong keeps in ngx.ctx.
  plugin(
    'rewrites',
    `function H:access(conf)
      local args = ngx.req.get_uri_args()
      args.who = ngx.ctx.router_matches.uri_captures.who
      ngx.req.set_uri_args(args)
      ngx.var.upstream_uri = (ngx.ctx.service.path or "") .. "/of/" .. ngx.ctx.router_matches.uri_captures[1]
      assert(ngx.ctx.route.strip_path == true and ngx.ctx.nothing == nil)
    end`,
  ),
  // As those that keep something in a Redis.
  plugin(
    'remembers',
    `local redis = require "resty.redis"
    function H:access(conf)
      local dead = redis:new()
      dead:set_timeout(5000)
      local none, refused = dead:connect("127.0.0.1", 1)
      local red = redis:new()
      red:set_timeouts(5000, 5000, 5000)
      local early, why = red:get("a")
      assert(red:connect("127.0.0.1", tonumber(conf.url)))
      assert(red:auth("secret"))
      assert(red:select(1))
      local name = kong.request.get_header("x-own")
      local before = red:get(name)
      assert(red:set(name, "größe " .. name))
      local wrong, message = red:incrby(name, 1)
      red:init_pipeline()
      red:incrby("n" .. name, 2)
      red:get(name)
      red:nothing()
      local all = red:commit_pipeline()
      local scripted = red:eval("return redis.call('get', KEYS[1])", 1, name)
      red:set_keepalive(1000, 10)
      local gone, after = red:get(name)
      kong.response.exit(200, { before == ngx.null, none == nil and refused ~= nil, early == nil and why, wrong, message, all[1], all[2],
        all[3][1], scripted, gone == nil and after })
    end`,
  ),
  // As those that leave a connection open, in the middle of their work or by an error.
  plugin(
    'forgets',
    `local redis = require "resty.redis"
    local function opened(conf)
      local red = redis:new()
      assert(red:connect("127.0.0.1", tonumber(conf.url)))
      assert(red:auth("secret"))
      return red
    end
    function H:rewrite(conf) end
    function H:access(conf)
      local red = opened(conf)
      kong.ctx.plugin.red = red
      ngx.timer.at(0.2, function() assert(opened(conf):set("late", kong.request.get_header("x-own"))) end)
      if kong.request.get_header("x-fails") then error("oops") end
    end
    function H:header_filter(conf) ngx.header["X-Same"] = kong.ctx.plugin.red and kong.ctx.plugin.red:set("before", "1") end
    function H:log(conf) assert(opened(conf):set("logged", kong.request.get_header("x-own"))) end`,
  ),
  // As those that change JSON on its way back.
  plugin(
    'reshapes',
    `local cjson = require("cjson.safe").new()
    cjson.decode_array_with_array_mt(true)
    cjson.encode_escape_forward_slash(false)
    local plain = require "cjson"
    function H:access() kong.service.request.set_raw_body(plain.encode({ list = plain.empty_array, none = {} })) end
    function H:header_filter() kong.response.clear_header("Content-Length") end
    function H:body_filter()
      local body = kong.response.get_raw_body()
      if body == nil then return end
      local sent = cjson.decode(cjson.decode(body).body)
      sent.kind, sent.path = ngx.resp.get_headers()["Content-Type"], "/a/b"
      kong.response.set_raw_body(cjson.encode(sent))
    end`,
  ),
  plugin(
    'splits',
    `local evil = "a\\r\\nX-Evil: 1"
    function H:access(conf)
      if conf.mode == "upstream" then kong.service.request.set_header("X-A", evil) end
      if conf.mode == "added" then kong.service.request.add_header("X-A", evil) end
      if conf.mode == "name" then kong.service.request.set_header("X-A: 1\\r\\nX-Evil", "1") end
      if conf.mode == "var" then ngx.req.set_header("X-A", evil) end
      if conf.mode == "identity" then kong.client.authenticate({ id = evil, username = evil, custom_id = evil }, { id = evil }) end
      if conf.mode == "path" then kong.service.request.set_path("/a HTTP/1.1\\r\\nX-Evil: 1\\r\\n") end
      if conf.mode == "query" then kong.service.request.set_raw_query("a HTTP/1.1\\r\\nX-Evil: 1") end
      if conf.mode == "args" then ngx.var.args = "a HTTP/1.1\\r\\nX-Evil: 1" end
      if conf.mode == "uri_args" then ngx.req.set_uri_args("a HTTP/1.1\\r\\nX-Evil: 1") end
      if conf.mode == "uri" then ngx.var.upstream_uri = "/a HTTP/1.1\\r\\nX-Evil: 1\\r\\n" end
      if conf.mode == "host" then kong.service.request.set_header("Host", "a\\r\\nX-Evil: 1") end
      if conf.mode == "reply" then kong.response.set_header("X-A", evil) end
      if conf.mode == "exit" then return kong.response.exit(200, "x", { ["X-A"] = evil }) end
      if conf.mode == "redirect" then return ngx.redirect("http://a.test/\\r\\nX-Evil: 1") end
    end`,
  ),
  plugin('versions', `function H:access() kong.response.set_header("X-Version", "one") end`),
  plugin('versions@2', `function H:access() kong.response.set_header("X-Version", "two") end`),
];

/** Where Lua tries to end a line. */
const SPLITS = [
  'upstream',
  'added',
  'name',
  'var',
  'identity',
  'path',
  'query',
  'args',
  'uri_args',
  'uri',
  'host',
  'reply',
  'exit',
  'redirect',
];

const ESCAPED: ReadonlySet<string> = new Set(['path', 'query', 'args', 'uri_args', 'uri']);

/** Tells the upstream what a plugin gets to see of a credential. */
const SHOWS = `
  local c = kong.client.get_credential()
  local mine = c.consumer.id == kong.client.get_consumer().id
  kong.service.request.set_header('X-Credential',
    table.concat({ c.key, c.tags[1], tostring(mine), tostring(c.ttl > 9000 and c.ttl <= 10000), #c.id, type(c.created_at) }, ' '))
`;

describe.each(hosts)('plugins in Lua sent to the control plane of %s', (_, start) => {
  let gateway: CaseGateway;
  let upstream: CaseUpstream;
  let store: RedisTestServer;

  const get = (host: string, headers: [string, string][] = [], path = '/some?a=b') =>
    exchange(
      {
        method: 'GET',
        path,
        headers: [['Host', `${host}.test`], ['Connection', 'close'], ...headers],
        body: null,
        tls: false,
      },
      gateway.ports.plain,
    );
  /** A route of that host, and its plugins. */
  const route = async (host: string, ...plugins: object[]) => {
    await api(`${gateway.admin}/services/s/routes`, 'POST', { name: host, hosts: [`${host}.test`] });
    for (const each of plugins) await api(`${gateway.admin}/routes/${host}/plugins`, 'POST', each);
  };

  beforeAll(async () => {
    upstream = await startCaseUpstream();
    store = await startRedisServer({ password: 'secret' });
    gateway = await startCaseGateway(start, { tls: false });
    for (const each of PLUGINS) await api(`${gateway.admin}/custom-plugins`, 'POST', each);
    const url = `http://${upstream.host}:${upstream.port}/ask`;
    await api(`${gateway.admin}/services`, 'POST', { name: 's', url: `http://${upstream.host}:${upstream.port}` });
    await route('marked', { name: 'stamp', config: { text: 'ab' } });
    await route('refused', {
      name: 'stamp',
      config: { text: 'ab', mode: 'refuse', refusal: { status: 418 }, weights: { x: 1.5 } },
    });
    await route(
      'shared',
      { name: 'stamp', config: { text: 'ab' } },
      {
        name: 'post-function',
        config: {
          access: [
            `kong.service.request.set_header('x-by', kong.ctx.shared.stamp.by[1]) kong.ctx.shared.stamp.by[2] = 'post'`,
          ],
        },
      },
    );
    for (const mode of ['loop', 'caught', 'rep', 'pattern', 'deep', 'table', 'error', 'ok']) {
      await route(`hostile-${mode}`, { name: 'hostile', config: { mode } });
    }
    for (const mode of SPLITS) await route(`splits-${mode}`, { name: 'splits', config: { mode } });
    await route('remembers', { name: 'remembers', config: { url: String(store.port) } });
    await route('forgets', { name: 'forgets', config: { url: String(store.port) } });
    await route('parts', { name: 'parts', config: { mode: 'you' } });
    await route('calls', { name: 'calls', config: { url } });
    for (const name of ['buffers', 'compares', 'empties', 'tokens', 'limits', 'says', 'reshapes'])
      await route(name, { name });
    await api(`${gateway.admin}/services/s/routes`, 'POST', {
      name: 'rewrites',
      hosts: ['rewrites.test'],
      paths: ['~/(?<who>some)'],
    });
    await api(`${gateway.admin}/routes/rewrites/plugins`, 'POST', { name: 'rewrites' });
    await api(`${gateway.admin}/consumers`, 'POST', { username: 'ada' });
    await api(`${gateway.admin}/consumers/ada/key-auth`, 'POST', { key: 'a-key', tags: ['first'], ttl: 10_000 });
    await route('credential', { name: 'key-auth' }, { name: 'post-function', config: { access: [SHOWS] } });
    await api(`${gateway.admin}/plugins`, 'POST', { name: 'versions' });
    await route('second', { name: 'versions@2' });
    await route('guarded', { name: 'buffers' }, { name: 'key-auth' });
    await gateway.applied();
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
    await store?.kill();
  });

  it('run their phases with their configuration', async () => {
    const answer = await get('marked');
    expect(answer).toMatchObject({ status: 200, headers: { 'x-stamped': 'ab', 'x-seen': 'true' } });
    expect(JSON.parse(answer.text).headers).toMatchObject({ 'x-stamp': 'abab' });
    expect(await get('refused')).toMatchObject({ status: 418, text: '{"message":"no","weights":{"x":1.5}}' });
  });

  it('share kong.ctx.shared with Lua in other machines, both ways', async () => {
    const answer = await get('shared');
    expect(JSON.parse(answer.text).headers).toMatchObject({ 'x-by': 'ab' });
    expect(answer.headers).toMatchObject({ 'x-shared': '{"by":["ab","post"]}' });
  });

  it.each(['loop', 'caught', 'rep', 'pattern', 'deep', 'table', 'error'])(
    'end within their budget: %s',
    async (mode) => {
      for (const _twice of [1, 2]) {
        const answer = await get(`hostile-${mode}`);
        expect(answer.status).toBe(500);
        expect(JSON.parse(answer.text)).toMatchObject({
          message: 'An unexpected error occurred',
          request_id: expect.any(String),
        });
      }
      expect(JSON.parse((await get('hostile-ok')).text).headers).toMatchObject({ 'x-kept': 'whole' });
    },
  );

  it('see the credential that was found', async () => {
    const answer = await get('credential', [['apikey', 'a-key']]);
    expect(JSON.parse(answer.text).headers).toMatchObject({ 'x-credential': 'a-key first true true 36 number' });
  });

  it.each(SPLITS)('end no line of a head from within: %s', async (mode) => {
    const answer = await get(`splits-${mode}`);
    expect(answer.headers).not.toHaveProperty('x-evil');
    // A path or query is escaped; a field that cannot be sent is the plugin's fault.
    expect(answer.status).toBe(ESCAPED.has(mode) ? 200 : 500);
    if (!ESCAPED.has(mode)) return;
    const seen = JSON.parse(answer.text);
    expect(seen.headers).not.toHaveProperty('x-evil');
    expect(seen.path).toMatch(/%0D%0AX-Evil:%201/);
  });

  it('bring modules of their own', async () => {
    expect(JSON.parse((await get('parts')).text).headers).toMatchObject({ 'x-words': 'HELLO YOU' });
  });

  it('wait for others without mixing requests', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => get('calls', [['X-Ask', `n${n}`]])));
    expect(answers.map(({ text }) => JSON.parse(text).headers['x-answer'])).toEqual(answers.map((_, n) => `n${n} 200`));
  });

  it('see the whole answer in the phase response', async () => {
    const answer = await get('buffers');
    expect(answer.status).toBe(201);
    expect(JSON.parse(answer.text).length).toBeGreaterThan(20);
    expect((await get('guarded')).status).toBe(401);
  });

  it('tell what the service said from what was made of it, and put a body in its place at once', async () => {
    expect(await get('compares')).toMatchObject({
      status: 203,
      headers: { 'content-type': 'text/x-changed', 'x-own': '1', 'x-early': '1' },
      text: '200 203 application/json nil nil name must be a string',
    });
    expect(await get('empties')).toMatchObject({ status: 200, text: '\n' });
  });

  it('find out who it is, with a token that a key must verify and a cache', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = (claims: object, key = 'secret') => {
      const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
      return `Bearer ${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
    };
    const exp = Math.floor(Date.now() / 1000) + 60;
    const asked = (authorization: string) => get('tokens', [['Authorization', authorization]]);
    expect(await get('tokens')).toMatchObject({ status: 401, text: '{"message":"no token"}' });
    expect(await asked('Bearer a.b.c')).toMatchObject({ status: 401, text: '{"message":"invalid JSON"}' });
    expect(await asked(token({ sub: 'ada', exp }, 'other'))).toMatchObject({ status: 403 });
    expect(await asked(token({ sub: 'ada', exp: 1 }))).toMatchObject({ status: 403, text: '{"exp":"token expired"}' });
    const answer = await asked(token({ sub: 'ada', exp }));
    expect(JSON.parse(answer.text).headers).toMatchObject({
      'x-consumer-username': 'ada',
      'x-level': '1',
      'x-header': 'X-Consumer-Username',
    });
  });

  it('answer as OpenResty does, and end bodies early', async () => {
    expect(await get('says')).toMatchObject({
      status: 203,
      headers: { 'content-type': 'text/x-said' },
      text: 'said in parts',
    });
    expect(await get('limits')).toMatchObject({ status: 413, text: 'too long' });
  });

  it('see every answer, one in a coding that cannot be undone as it is', async () => {
    expect((await get('buffers', [], '/headers?content-encoding=br')).text).toMatch(/^{"length":\d+}$/);
    const coded = await get('limits', [], '/headers?content-encoding=br');
    expect(coded).toMatchObject({ status: 413, headers: { 'content-encoding': 'br' }, text: 'too long' });
  });

  it('find in ngx.ctx what Kong keeps there, and tell empty arrays from empty objects', async () => {
    const { path } = JSON.parse((await get('rewrites')).text);
    expect(path).toBe('/of/some?a=b&who=some');
    const answer = await get('reshapes');
    expect(JSON.parse(answer.text)).toEqual({ list: [], none: {}, kind: 'application/json', path: '/a/b' });
    expect(answer.text).toContain('"/a/b"');
  });

  it('speak to a Redis, each request over a connection of its own', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => get('remembers', [['X-Own', `own${n}`]])));
    expect(answers.map(({ text }) => JSON.parse(text))).toEqual(
      answers.map((_, n) => [
        true,
        true,
        'not initialized',
        false,
        'ERR value is not an integer or out of range',
        2,
        `größe own${n}`,
        false,
        `größe own${n}`,
        'not initialized',
      ]),
    );
    await expect.poll(() => store.connections, { timeout: 60_000 }).toBe(0);
  });

  it('leave no connection to a Redis behind, which ends with its request', async () => {
    const own: [string, string] = ['X-Own', crypto.randomUUID()];
    expect((await get('forgets', [own])).headers).toMatchObject({ 'x-same': 'OK' });
    await expect.poll(() => store.kept()).toMatchObject({ late: [own[1], null], logged: [own[1], null] });
    const failed = await Promise.all([1, 2, 3].map(() => get('forgets', [own, ['X-Fails', 'yes']])));
    expect(failed.map(({ status }) => status)).toEqual([500, 500, 500]);
    await expect.poll(() => store.connections).toBe(0);
  });

  it('have one version in use, the one closest to the request', async () => {
    expect((await get('marked')).headers).toMatchObject({ 'x-version': 'one' });
    expect((await get('second')).headers).toMatchObject({ 'x-version': 'two' });
  });

  it('take another handler for all rows at once, and go when nothing is of them', async () => {
    const handler = PLUGINS.find(({ name }) => name === 'versions@2')?.handler.replace('two', 'three');
    await api(`${gateway.admin}/custom-plugins/versions@2`, 'PATCH', { handler });
    await gateway.applied();
    await expect.poll(async () => (await get('second')).headers['x-version']).toBe('three');
    const [row] = (await api(`${gateway.admin}/routes/second/plugins`)).data as { id: string }[];
    await api(`${gateway.admin}/plugins/${row?.id}`, 'DELETE');
    await api(`${gateway.admin}/custom-plugins/versions@2`, 'DELETE');
    await gateway.applied();
    await expect.poll(async () => (await get('second')).headers['x-version']).toBe('one');
  });
});
