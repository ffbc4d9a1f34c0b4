import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processorTimeBelow } from '../../proc.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** Which of the bounds it meets first is a matter of the machine it runs on. */
const BOUND = /instruction budget used up|not enough memory|stack overflow/;

const HOSTILE: readonly (readonly [name: string, source: string, ends: RegExp])[] = [
  ['loop', 'while true do end', BOUND],
  ['caught-loop', 'while true do pcall(function() while true do end end) end', BOUND],
  ['long-text', 'local s = ("a"):rep(1e9)', /resulting string too large/],
  ['pattern', 'local a = ("a"):rep(700):find(".-.-.-b")', BOUND],
  ['recursion', 'local function f() return 1 + f() end f()', BOUND],
  ['table', 'local t = {} local i = 1 while true do t[i] = {} i = i + 1 end', BOUND],
  ['caught-errors', 'while true do pcall(error) end', BOUND],
  ['caught-exits', 'while true do pcall(function() error({}) end) end', BOUND],
  ['coroutines', 'while true do coroutine.wrap(function() coroutine.yield() end)() end', BOUND],
  ['metamethods', 'local t = {} setmetatable(t, { __index = function(t, k) return t[k] end }) return t.x', BOUND],
  ['index-loop', 'local t = {} setmetatable(t, { __index = t }) return t.x', /loop in gettable/],
  ['sort', 'local t = {} for i = 1, 1e5 do t[i] = i end table.sort(t, function() return true end)', BOUND],
  ['concat', 'local s, t = ("x"):rep(1e6), {} for i = 1, 1e3 do t[i] = s end table.concat(t)', BOUND],
  ['format', 'string.format("%999999d", 1)', /invalid format/],
  ['gsub', 'local s = ("a"):rep(1e5) while true do s:gsub("a", function() return s end) end', BOUND],
  ['set', 'return ("a"):rep(1e6):match("[" .. ("b"):rep(1e6) .. "]")', BOUND],
  ['sums', 'local s = ("1"):rep(1e6) while true do local n = s + 1 end', BOUND],
  ['short-sums', 'local s = ("1"):rep(1e4) while true do local n = s + 1 end', BOUND],
  ['files', 'return io.open("/etc/passwd")', /global 'io'/],
  ['commands', 'return os.execute("id")', /field 'execute'/],
  ['digests', 'local s = ("x"):rep(1e4) while true do ngx.sha1_bin(s) end', BOUND],
  ['short-digests', 'while true do ngx.md5("x") end', BOUND],
  ['escapes', 'local s = ("ü"):rep(1e4) while true do ngx.escape_uri(s) end', BOUND],
  ['headers', 'while true do kong.request.get_headers() end', BOUND],
  ['header', 'while true do kong.request.get_header("x-own") end', BOUND],
  ['set-headers', 'while true do kong.service.request.set_header("x-own", "a") end', BOUND],
  [
    'arguments',
    'kong.service.request.set_raw_query(("a=1&"):rep(1e4)) while true do kong.request.get_query_arg("b") end',
    BOUND,
  ],
  [
    'variables',
    'kong.service.request.set_raw_query(("a=1&"):rep(1e4)) while true do local x = ngx.var.arg_b end',
    BOUND,
  ],
  ['context', 'while true do kong.ctx.shared.x = (kong.ctx.shared.x or 0) + 1 end', BOUND],
  [
    'json',
    'kong.service.request.set_raw_body("[" .. ("1,"):rep(1e4) .. "1]") while true do kong.request.get_body("application/json") end',
    BOUND,
  ],
  [
    'json-texts',
    'local t = {} for i = 1, 1e3 do t[i] = "x" end while true do kong.service.request.set_body({ t = t }, "application/json") end',
    BOUND,
  ],
  ['bodies', 'while true do kong.request.get_raw_body() end', BOUND],
  ['lines', 'while true do kong.log.notice("x") end', BOUND],
  ['routes', 'while true do kong.router.get_route() end', BOUND],
  ['expressions', 'local s = ("ax"):rep(2500) while true do ngx.re.match(s, "(.*)x(.*)a(.*)x") end', BOUND],
  ['large-expressions', 'ngx.re.match(("ax"):rep(2500), "(?:a?x?){1,300}(?:[xy]|a){300}[bc]")', BOUND],
  ['many-expressions', 'local i = 0 while true do i = i + 1 ngx.re.match("x", "[a-z]+(x|y)*" .. i) end', BOUND],
  ['replacements', 'local s = ("ax"):rep(2500) ngx.re.gsub(s, "(?:a.*b)?", "")', BOUND],
  ['added-headers', 'while true do kong.service.request.add_header("x-own", "a") end', BOUND],
  ['other-headers', 'local i = 0 while true do i = i + 1 kong.service.request.set_header("x" .. i, "a") end', BOUND],
  [
    'many-headers',
    'for i = 1, 300 do kong.service.request.set_header("x" .. i, "a") end while true do kong.request.get_headers(1) end',
    BOUND,
  ],
  [
    'answer-headers',
    'for i = 1, 300 do kong.response.set_header("x" .. i, "a") end while true do local a = ngx.header.b end',
    BOUND,
  ],
  [
    'cookies',
    'kong.service.request.set_header("Cookie", ("a=b;"):rep(2e4)) while true do local a = ngx.var.cookie_x end',
    BOUND,
  ],
  ['addresses', 'local s = ("?a"):rep(1e5) while true do ngx.var.upstream_uri = s end', BOUND],
  [
    'references',
    'local r = "{vault://env/x?" .. ("a=b&"):rep(1e5) .. "}" while true do kong.vault.parse_reference(r) end',
    BOUND,
  ],
  ['texts', 'local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end', BOUND],
];

/** Milliseconds on the processor; how long it waits for one does not count. */
const MOST = 50;

describe.each(GATEWAY_HOSTS)('scripts without end, on %s', (host) => {
  let gateway: RunningGateway;
  let upstream: Upstream;

  const waits = `
    local own = kong.request.get_header('x-own')
    for i = 1, 5 do
      ngx.sleep(0.002)
      kong.ctx.shared.seen = (kong.ctx.shared.seen or '') .. kong.request.get_header('x-own')
      ngx.ctx.seen = (ngx.ctx.seen or 0) + 1
    end
    kong.response.exit(200, own .. ' ' .. kong.ctx.shared.seen .. ' ' .. ngx.ctx.seen)`;

  // Makes a long text and works on it, all of it between two looks at what is counted, wherever those would fall.
  const rash = Array.from({ length: 10 }, (_, n) => [
    `rash-${n}`,
    `local t, s = 0, '1' ${'t = 0 '.repeat(10 * n)} ${'s = s .. s '.repeat(21)} ${'t = -s '.repeat(95)}`,
  ]);
  // A single instruction that is longer than a run may be: seven megabytes are read as a number.
  const loses = `local s = '1' ${'s = s .. s '.repeat(18)} s = ${Array(28).fill('s').join(' .. ')} return -s`;
  const bodied = `kong.service.request.set_raw_body('of a script')`;
  const exits = `kong.response.exit(200, 'of a script')`;
  const claims = `kong.response.exit(200, 'of a script', { ['Content-Length'] = '1' })`;

  beforeAll(async () => {
    const hostile = HOSTILE.map(([name, source]) => [name, source] as const);
    const others = [...Object.entries({ waits, loses, bodied, exits, claims }), ...rash];
    const scripts = [...hostile, ...others];
    upstream = await startUpstream(() => 'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n');
    gateway = await startGateway({
      host,
      tables: {
        services: [{ id: id(999), name: 'up', protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: scripts.map(([name], n) => ({
          id: id(n),
          name,
          protocols: ['http'],
          paths: [`/${name}`],
          ...(name === 'bodied' && { service: { id: id(999) } }),
        })),
        plugins: scripts.map(([, source], n) => ({
          id: id(100 + n),
          name: 'pre-function',
          protocols: ['http'],
          route: { id: id(n) },
          config: { certificate: [], rewrite: [], access: [source], header_filter: [], body_filter: [], log: [] },
        })),
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const get = (path: string, own = 'x') =>
    gateway.raw(`GET /${path} HTTP/1.1\r\nHost: a\r\nX-Own: ${own}\r\nAccept: application/json\r\n\r\n`);

  it.each(HOSTILE)(
    '%s: the client gets 500, the log names plugin and route, the next request runs',
    async (name, _, ends) => {
      const before = gateway.log.length;
      const answer = await get(name);
      expect(answer).toMatch(/^HTTP\/1\.1 500 /);
      const { message, request_id } = JSON.parse(answer.split('\r\n\r\n')[1] ?? '');
      expect(message).toBe('An unexpected error occurred');
      const line = `request ${request_id}: plugin pre-function (${id(100 + HOSTILE.findIndex(([own]) => own === name))}) of route ${name} failed in access: `;
      await expect
        .poll(() => gateway.log.slice(before).find((each) => each.includes(line)), { message: 'the line of the log' })
        .toMatch(ends);
      expect(await get('waits', 'a')).toMatch(/\r\n\r\na aaaaa 5$/);
    },
  );

  it.each(HOSTILE)('%s: takes no more processor time than a script may, again and again', async (name) => {
    // The runtime's, for everything it does about a request. Now and then it does other things too, as compiling and collecting.
    const used: number[] = [];
    for (let n = 0; n < 5; n++) {
      const before = processorTimeBelow(process.pid);
      await get(name);
      used.push(processorTimeBelow(process.pid) - before);
    }
    const [, , middle] = used.toSorted((a, b) => a - b);
    expect(middle, used.join(' ')).toBeLessThan(MOST);
  });

  it.each([
    [
      'those that would be done before they are looked at',
      rash.map(([name = '']) => name),
      /: instruction budget used up /,
    ],
    [
      'one that a machine does not outlive, which is told as the others, and the next request finds another',
      ['loses', 'loses'],
      /failed in access: Lua broke down: instruction budget used up between two looks at it /,
    ],
  ])('and %s', async (_, names, why) => {
    const before = gateway.log.length;
    for (const name of names) {
      const answer = await get(name);
      expect(answer).toMatch(/^HTTP\/1\.1 500 /);
      expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '').message).toBe('An unexpected error occurred');
      expect(await get('waits', 'a')).toMatch(/\r\n\r\na aaaaa 5$/);
    }
    const told = () => gateway.log.slice(before).filter((line) => /of route (rash|loses)/.test(line));
    await expect.poll(() => told().length).toBe(names.length);
    expect(told().filter((line) => !why.test(line))).toEqual([]);
  });

  it('and the body that a script gives a HEAD arrives upstream, whose length the client is told', async () => {
    const answer = await gateway.raw('HEAD /bodied HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(upstream.seen.map(({ line, body }) => [line, body])).toEqual([['HEAD / HTTP/1.1', 'of a script']]);
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nContent-Length: 11\r\n/i);
    // Neither does it need one to be answered with a script's own, of which it gets the head.
    for (const framing of [
      '',
      'Content-Length: 3\r\n\r\nabc',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ]) {
      const own = await gateway.raw(
        `HEAD /exits HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${framing === '' ? '\r\n' : framing}`,
      );
      expect(own, framing).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nContent-Length: 11\r\n(.+\r\n)*\r\n$/i);
    }
  });

  it('and the length of a script that ends the request is that of its body, whatever it says', async () => {
    expect(await get('claims')).toMatch(
      /^HTTP\/1\.1 200 [\s\S]*\r\nContent-Length: 11\r\n(?:.+\r\n)*\r\nof a script$/i,
    );
  });

  it('and a hundred requests that wait never see each other', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => get('waits', `<${n}>`)));
    expect(answers.map((answer) => answer.split('\r\n\r\n')[1])).toEqual(
      Array.from({ length: 100 }, (_, n) => `<${n}> ${`<${n}>`.repeat(5)} 5`),
    );
  });
});
