import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processorTime } from '../../proc.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from '../proxy/gateway.ts';

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
  ['texts', 'local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end', BOUND],
];

/** Milliseconds: 50 on a quiet machine. */
const MOST = 100;

describe.each(GATEWAY_HOSTS)('scripts without end, on %s', (host) => {
  let gateway: RunningGateway;

  const waits = `
    local own = kong.request.get_header('x-own')
    for i = 1, 5 do
      ngx.sleep(0.002)
      kong.ctx.shared.seen = (kong.ctx.shared.seen or '') .. kong.request.get_header('x-own')
      ngx.ctx.seen = (ngx.ctx.seen or 0) + 1
    end
    kong.response.exit(200, own .. ' ' .. kong.ctx.shared.seen .. ' ' .. ngx.ctx.seen)`;

  beforeAll(async () => {
    const scripts = [...HOSTILE.map(([name, source]) => [name, source] as const), ['waits', waits] as const];
    gateway = await startGateway({
      host,
      tables: {
        routes: scripts.map(([name], n) => ({ id: id(n), name, protocols: ['http'], paths: [`/${name}`] })),
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
  afterAll(() => gateway?.stop());

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
    // The runtime's, for everything it does about a request: the best of three rounds, since it does other things too.
    const used = () => processorTime(process.pid) - (process.cpuUsage().user + process.cpuUsage().system) / 1000;
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 3 && best > MOST; round++) {
      const before = used();
      for (let n = 0; n < 4; n++) await get(name);
      best = Math.min(best, (used() - before) / 4);
    }
    expect(best).toBeLessThan(MOST);
  });

  it('and a hundred requests that wait never see each other', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => get('waits', `<${n}>`)));
    expect(answers.map((answer) => answer.split('\r\n\r\n')[1])).toEqual(
      Array.from({ length: 100 }, (_, n) => `<${n}> ${`<${n}>`.repeat(5)} 5`),
    );
  });
});
