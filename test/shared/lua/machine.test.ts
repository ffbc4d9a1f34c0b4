import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { luaModules } from '../../../cp/lua/modules.ts';
import { LuaMachine } from '../../../shared/lua/machine.ts';
import { LuaEnd, LuaFault, LuaNative, type LuaValue, NULL, results } from '../../../shared/lua/value.ts';
import { LuaMachineLost } from '../../../shared/lua/wasm.ts';

const modules = luaModules();

/** Has `s` be two megabytes of that, which costs a run no more than their bytes; it is looked at before it goes on. */
const long = (text: string): string => `local s = '${text}' for i = 1, 21 do s = s .. s end for i = 1, 100 do end`;

/** Scripts without an end, or with a late one. */
const HOSTILE = [
  `${long('x')} while true do s:upper() end`,
  `${long('x')} local n = 0 while true do local t = s .. n n = n + 1 end`,
  `${long('x')} while true do local t = s <= s end`,
  `${long('1')} while true do local t = -s end`,
  `${long('1')} local co = coroutine.wrap(function(s) while true do s = coroutine.yield(-s) end end) co(1) while true do co(s) end`,
  `local co = coroutine.wrap(function() local s = coroutine.yield() while true do local t = -s end end) co() ${long('1')} co(s)`,
  `${long('1')} while true do for i = s, s do end end`,
  `${long('x')} local t = {} while true do t[s .. #t] = 1 end`,
  'while true do end',
  'while true do pcall(error) end',
  'while true do pcall(function() while true do end end) end',
  'local co = coroutine.wrap(function() while true do end end) while true do pcall(co) end',
  'local function f() return pcall(f) or f() end return f()',
  'while true do coroutine.wrap(function() coroutine.yield() end)() end',
  'local function f() coroutine.wrap(f)() end f()',
  'return ("a"):rep(700):find(".-.-.-b")',
  'return ("a"):rep(30):match(("a?"):rep(30) .. ("a"):rep(30))',
  'return ("a"):rep(2000):gsub(".-b", "")',
  'for _ in ("a"):rep(5000):gmatch(".-.-b") do end',
  'local s = ("a"):rep(1e6) return s:gsub("a", ("b"):rep(40))',
  'local s = ("a"):rep(1e5) return s:gsub(".+", ("%0"):rep(1e5))',
  'local s = ("a"):rep(1e5) return s:gsub(".+", ("%0"):rep(1000))',
  'local s = ("a"):rep(1e5) while true do s:gsub("a", function() return "b" end) end',
  'local s = ("a"):rep(1e5) while true do s:match("[" .. ("b"):rep(1e5) .. "]") end',
  'local s = ("a"):rep(1e5) while true do s:find(("a"):rep(5e4) .. "b", 1, true) end',
  'local t = {} local i = 1 while true do t[i] = {} i = i + 1 end',
  'local t, i = {}, 0 while true do i = i + 1 t["k" .. i] = i end',
  'local t = {} while true do table.insert(t, 1, 1) end',
  'local t = {} for i = 1, 1e5 do t[i] = i end while true do table.remove(t, 1) end',
  'local t = {} for i = 1, 1e4 do t[i] = "x" end while true do table.concat(t) end',
  'local s = ("x"):rep(1e6) while true do table.concat { s, s, s, s, s, s, s } end',
  'local t = {} for i = 1, 1e5 do t[i] = i end while true do table.maxn(t) end',
  'local t = {} for i = 1, 7000 do t[i] = i end while true do unpack(t) end',
  'local s = ("x"):rep(4e6) while true do s:upper() end',
  'local s = ("x"):rep(4e6) local n = 0 while true do local t = s .. n n = n + 1 end',
  'local s = ("x"):rep(1e6) while true do local a = s .. s .. s .. s .. s .. s end',
  'local s = "a" while true do s = s .. s end',
  'while true do ("x"):rep(1e6) end',
  'return ("a"):rep(1e9)',
  'while true do (""):rep(1e9) end',
  'while true do (""):rep(math.huge) end',
  'return ("a"):rep("20000000")',
  'table.insert({}, 1e300, 1)',
  'table.insert({}, 0 / 0, 1)',
  'table.insert({}, "-1e9", 1)',
  'return ("a"):rep(1e9 / 4):rep(1e3)',
  'local function f() return 1 + f() end return f()',
  'local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t, function(a, b) return a > b end) end',
  'local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t, function() return true end) end',
  'local t = {} for i = 1, 1e5 do t[i] = i * 7919 % 100003 end while true do table.sort(t) end',
  'return string.format("%s", ("a"):rep(8e6)):rep(100)',
  'local s = ("x"):rep(1e6) while true do string.format("%q", s) end',
  'local f = loadstring while true do f("return 1") end',
  'local s = ("a=1 "):rep(1e5) while true do loadstring(s) end',
  'while true do string.format("%99.99f%99.99f%99.99f", 1, 2, 3) end',
  'local s = ("1"):rep(1e6) while true do tonumber(s) end',
  'local s = ("x"):rep(8e6) local t = {} while true do t[s .. #t] = 1 end',
  'local t = {} for i = 1, 3e5 do t[i] = {} end while true do collectgarbage() end',
  'local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x',
  'local t = setmetatable({}, { __tostring = function() return ("x"):rep(1e6) end }) while true do tostring(t) end',
  'local a = {} for i = 1, 99 do a = setmetatable({}, { __index = a }) end while true do local x = a.y end',
  'local s = ("1"):rep(1e6) while true do local t = s + 1 end',
  'local a, b = ("x"):rep(1e6) .. 1, ("x"):rep(1e6) .. 2 while true do local t = a < b end',
  'local t = {} for i = 1, 1e5 do t[i] = i end for i = 1, 1e5 do t[i] = nil end while true do next(t) end',
  'local a, b = ("x"):rep(4e6) .. 1, ("x"):rep(4e6) .. 2 while true do local t = a <= b end',
  'local s = ("1"):rep(1e6) while true do local t = -s end',
  'local s = ("1"):rep(3e6) while true do local t = -s end',
  'local s = ("x"):rep(3e6) while true do local t = s <= s end',
  'local s = ("x"):rep(1e6) local t = s .. s .. s .. s .. s .. s while true do local u = t <= t end',
  'local co = coroutine.wrap(function(s) while true do s = coroutine.yield(-s) end end) co(1) local s = ("1"):rep(3e6) while true do co(s) end',
  'local co = coroutine.wrap(function() local s = coroutine.yield() while true do local t = -s end end) co() co(("1"):rep(3e6))',
  'local s = ("1"):rep(1e6) while true do for i = s, s do end end',
  'local s = ("1"):rep(1e6) .. "e" while true do pcall(math.floor, s) end',
  'local t = {} for i = 1, 1e4 do t[i * 2^32] = i end while true do local x = t[2^33] end',
  'local t = {} for i = 1, 1e5 do t["k" .. i] = i end for k in pairs(t) do t[k] = nil end while true do for k in pairs(t) do end end',
  'local t = {} for i = 1, 2e5 do t[i] = {} end local x = setmetatable({}, { __mode = "k" }) while true do x[{}] = {} end',
  'local t = {} for i = 1, 7000 do t[i] = i end local function f(...) return select("#", ...) end while true do f(unpack(t)) end',
  'local t = {} for i = 1, 7000 do t[i] = i end local function f(...) while true do local t = { ... } end end f(unpack(t))',
  'local t = {} for i = 1, 1e5 do t[i] = i end while true do local n = #t end',
  'while true do setmetatable({}, {}) end',
  'while true do local f = function() end end',
  'while true do local s = tostring({}) .. 1.5 end',
  'local t = { 1, 2, 3, 4, 5, 6, 7, 8, 9 } while true do for i, v in ipairs(t) do end end',
  'while true do ("x"):find("x") end',
  'while true do os.date("%c") end',
  'while true do os.time() end',
  'while true do math.fmod(1e308, 3e-308) end',
  'local s = "" for i = 1, 190 do s = s .. "local a" .. i .. " " end s = s .. ("function f() "):rep(50) .. ("b=c "):rep(1e4) .. ("end "):rep(50) while true do loadstring(s) end',
];

/** How many things it keeps, and were ever kept at once. */
function places(lua: LuaMachine): number {
  const more = Array.from({ length: 50 }, () => lua.table());
  for (const table of more) lua.release(table);
  return Math.max(...more.map(({ reference }) => reference));
}

describe('the Lua machine', () => {
  let lua: LuaMachine;
  beforeAll(() => {
    lua = new LuaMachine(modules);
    lua.define('host', new LuaNative('host', (call) => call.host as LuaValue));
    lua.define(
      'double',
      new LuaNative(
        'double',
        async (call) => {
          await new Promise((resolve) => setTimeout(resolve, 1));
          if (call.number(1) < 0) throw new Error('negative');
          return results(call.number(1) * 2, 'doubled');
        },
        true,
      ),
    );
    lua.define(
      'leave',
      new LuaNative('leave', () => {
        throw new LuaEnd('left');
      }),
    );
  });
  const run = async (source: string, ...given: LuaValue[]) => lua.run(lua.load(source), given, null);
  const fault = async (source: string): Promise<LuaFault> => {
    const thrown: unknown = await run(source).then(
      () => null,
      (error: unknown) => error,
    );
    if (!(thrown instanceof LuaFault)) throw new Error(`${source} did not fail, or otherwise: ${thrown}`);
    return thrown;
  };

  test('takes values in and out: texts in any alphabet, bytes, lists, records, nulls', async () => {
    expect(await run('return ...', 'größe €', 1.5, true, undefined)).toEqual(['größe €', 1.5, true, undefined]);
    expect(await run('return ...', new Uint8Array([255, 0, 1]))).toEqual([new Uint8Array([255, 0, 1])]);
    expect(
      await run('local t = ... return #t.list, t.list[2], t.of.name', { list: [1, 'b'], of: { name: 'x' } }),
    ).toEqual([2, 'b', 'x']);
    expect(await run('return { 1, 2, { a = 1 } }, {}, { [2] = "two" }')).toEqual([
      [1, 2, new Map([['a', 1]])],
      new Map(),
      new Map([[2, 'two']]),
    ]);
    expect(await run('return ...', NULL)).toEqual([NULL]);
    expect(await run('return #...', 'x'.repeat(100_000))).toEqual([100_000]);
    expect(await run(`return '${'ü'.repeat(5000)}' == ...`, 'ü'.repeat(5000))).toEqual([true]);
  });

  test('has the language of LuaJIT as far as 5.1 can say it', async () => {
    expect(await run('return "\\x41\\z\n   b\\u{20ac}", "\\065"')).toEqual(['Ab€', 'A']);
    expect(await run('local größe = 3\nreturn größe')).toEqual([3]);
    expect((await fault('local s = "a\\z\n  b"\nerror(s)')).message).toBe('[string "local s = "a\\z..."]:3: ab');
  });

  test('has nothing that reaches outside, and no way around the budget', async () => {
    expect(
      await run(
        'return io, package, require, dofile, loadfile, newproxy, os.execute, os.remove, string.dump, debug.sethook',
      ),
    ).toEqual(Array(10).fill(undefined));
    expect(await run('return loadstring("\\27Lua")')).toEqual([undefined, expect.stringContaining('compiled Lua')]);
  });

  /** Milliseconds of processor time that a script takes: the best of five, for the process does other things too. */
  const cost = async (source: string, limit: number): Promise<number> => {
    let best = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 5 && best >= limit; tries++) {
      const before = process.threadCpuUsage();
      await run(source).catch(() => undefined);
      const { user, system } = process.threadCpuUsage(before);
      best = Math.min(best, (user + system) / 1000);
    }
    return best;
  };

  afterEach(() => vi.restoreAllMocks());
  /** What a script finds that asks, and what the machine would find. */
  const clock = (now: () => number) => {
    vi.spyOn(performance, 'now').mockImplementation(now);
    vi.spyOn(Date, 'now').mockImplementation(now);
  };

  test.each(HOSTILE)('ends %s, also where the clock stands still, and lives on', async (source) => {
    // As while a Worker on Cloudflare computes.
    clock(() => 0);
    const { kind, message } = await fault(source);
    expect([kind, message]).toEqual([
      expect.stringMatching(/budget|memory|error/),
      expect.not.stringContaining('prelude'),
    ]);
    expect(lua.lost).toBeNull();
    expect(await run('return 1 + 1')).toEqual([2]);
    expect(await cost(source, 50)).toBeLessThan(50);
  });

  const often = (statement: string) => Array(95).fill(statement).join(' ');
  /** A text of two megabytes that no call has made. */
  const DOUBLED = `local s = "1" ${Array(21).fill('s = s .. s').join(' ')}`;

  test.each([
    ['of four megabytes in its source', '', `local t, s = 0, "${'1'.repeat(4e6)}" ${often('t = -s')}`],
    ['of a quarter of a megabyte in its source', '', `local t, s = 0, "${'1'.repeat(25e4)}" ${often('t = -s')}`],
    ['that another run has kept', `${DOUBLED} S = s`, `local t, s = 0, S ${often('t = -s')}`],
    [
      'that another run has kept, in a coroutine',
      `${DOUBLED} S = s`,
      `coroutine.wrap(function() local t, s = 0, S ${often('t = -s')} end)()`,
    ],
  ])(
    'ends a script that works on a text %s, within the first instructions, and lives on',
    async (_, before, source) => {
      await run(before);
      const fn = lua.load(source, '=long');
      const used: number[] = [];
      for (let tries = 0; tries < 5; tries++) {
        const start = process.threadCpuUsage();
        expect(() => lua.run(fn, [], null)).toThrow('instruction budget used up');
        const { user, system } = process.threadCpuUsage(start);
        used.push((user + system) / 1000);
      }
      expect(Math.min(...used)).toBeLessThan(50);
      expect(lua.lost).toBeNull();
      lua.release(fn);
      await run('S = nil');
    },
  );

  test('looks no more often for long texts that are gone', async () => {
    const sum = 'local n = 0 for i = 1, 2e5 do n = n + 1 end return n';
    await run(`${DOUBLED} S = s`);
    await expect(run(sum)).rejects.toThrow('instruction budget used up');
    await run('S = nil');
    await run(DOUBLED);
    expect(await run(sum)).toEqual([2e5]);
  });

  test.each([
    ['', `${DOUBLED} local t ${often('t = -s')}`],
    ['in a coroutine', `coroutine.wrap(function() ${DOUBLED} local t ${often('t = -s')} end)()`],
    ['within pcall', `pcall(function() ${DOUBLED} local t ${often('t = -s')} end)`],
    ['behind a coroutine that has ended', `coroutine.wrap(function() end)() ${DOUBLED} local t ${often('t = -s')}`],
    [
      'behind a coroutine that waits',
      `local co = coroutine.wrap(coroutine.yield) co() ${DOUBLED} local t ${often('t = -s')}`,
    ],
    [
      'in a coroutine that goes on after another',
      `coroutine.wrap(function() pcall(error) ${DOUBLED} local t ${often('t = -s')} end)()`,
    ],
    ['after a wait', `double(1) ${DOUBLED} local t ${often('t = -s')}`],
    ['in a coroutine after a wait', `coroutine.wrap(function() double(1) ${DOUBLED} local t ${often('t = -s')} end)()`],
    ['within pcall after a wait', `pcall(function() double(1) ${DOUBLED} local t ${often('t = -s')} end)`],
  ])(
    'ends a script that makes a long text and works on it within the instructions of one look %s, and lives on',
    async (_, source) => {
      const other = new LuaMachine(modules);
      other.define('double', new LuaNative('double', async () => 1, true));
      // Wherever its looks fall.
      for (let before = 0; before < 100; before += 9) {
        const fn = other.load(`local n = 0 ${'n = 0 '.repeat(before)} ${source}`, '=long');
        await expect((async () => other.run(fn, [], null))()).rejects.toThrow('instruction budget used up');
        expect(other.lost).toBeNull();
        other.release(fn);
      }
    },
  );

  test('is lost to a single instruction that is longer than a run may be, and says why', () => {
    const other = new LuaMachine(modules);
    const parts = Array(28).fill('s').join(' .. ');
    const fn = other.load(`local s = '1' ${'s = s .. s '.repeat(18)} s = ${parts} return -s`, '=long');
    expect(() => other.run(fn, [], null)).toThrow(
      new LuaMachineLost('Lua broke down: instruction budget used up between two looks at it'),
    );
    expect(() => other.run(fn, [], null)).toThrow(LuaMachineLost);
  });

  test('ends no script that waits for its processor, however long, and leaves each what it may use', async () => {
    let at = 0;
    clock(() => (at += 1000));
    const sum = 'local n = 0 for i = 1, 3e5 do n = n + 1 end return n';
    expect(await run(sum)).toEqual([3e5]);
    const words =
      'local t = {} for i = 1, 2000 do t[i] = ("%d:%s"):format(i, ("x"):rep(20)) end return #table.concat(t, ",")';
    expect(await run(words)).toEqual([2000 * 21 + 1999 + 9 + 180 + 2700 + 4004]);
    const caught = 'for i = 1, 1000 do pcall(error, "x") end return select("#", ("a b c"):rep(100):gsub("%w", "%0%0"))';
    expect(await run(caught)).toEqual([2]);
  });

  test('counts calls of native functions and what is passed to them, not only instructions', async () => {
    const passed = (size: number) => lua.run(lua.load('for i = 1, 100 do host(...) end'), [{}, 'x'.repeat(size)], null);
    expect(passed(10)).toEqual([]);
    const calls = (count: number) => run(`for i = 1, ${count} do host() end return true`);
    expect(await calls(10_000)).toEqual([true]);
    await expect(calls(100_000)).rejects.toThrow('instruction budget used up');
    lua.define('length', new LuaNative('length', (call) => call.bytes(1).length));
    const lengths = (size: number) => run(`local s = ("x"):rep(${size}) for i = 1, 300 do length(s) end return true`);
    expect(await lengths(1000)).toEqual([true]);
    await expect(lengths(1e6)).rejects.toThrow('instruction budget used up');
    const resumed = (count: number) =>
      run(
        `local co = coroutine.wrap(function() while true do coroutine.yield() end end) for i = 1, ${count} do co() end return true`,
      );
    expect(await resumed(4000)).toEqual([true]);
    await expect(resumed(12_000)).rejects.toThrow('instruction budget used up');
    lua.define('list', new LuaNative('list', () => Array.from({ length: 1000 }, () => 1)));
    const lists = (count: number) => run(`for i = 1, ${count} do list() end return true`);
    expect(await lists(50)).toEqual([true]);
    await expect(lists(1000)).rejects.toThrow('instruction budget used up');
  });

  test('gives each run turns of its own, is lost where they are used up between two looks, and counts none outside of runs', async () => {
    const counters: { value: number }[] = [];
    const { Instance } = WebAssembly;
    class Watched extends Instance {
      constructor(module: WebAssembly.Module, imports?: object) {
        super(module, imports);
        if ('work' in this.exports) counters.push(this.exports.work as { value: number });
      }
    }
    vi.spyOn(WebAssembly, 'Instance', 'get').mockReturnValue(Watched);
    const other = new LuaMachine(modules);
    const [work] = counters;
    if (work === undefined) throw new Error('nothing is counted');
    other.define(
      'use_up',
      new LuaNative('use_up', () => {
        work.value = 0;
        return undefined;
      }),
    );
    // As if as much had been compiled as its counter has room for.
    work.value = 10;
    const fn = other.load('local n = 0 for i = 1, 100 do n = n + 1 end return n');
    work.value = 10;
    other.release(other.table());
    work.value = 10;
    expect(await other.run(fn, [], null)).toEqual([100]);
    expect(() => other.run(other.load('use_up() while true do end'), [], null)).toThrow(LuaMachineLost);
    expect(other.lost).toBeInstanceOf(LuaMachineLost);
  });

  test('gives a machine lost to what cannot be caught as such, and runs nothing on it', () => {
    const small = new LuaMachine(modules, { instructions: 1000, memory: 2 * 1024 * 1024 });
    const huge = 'x'.repeat(20 * 1024 * 1024);
    expect(() => small.load(`return '${huge}'`)).toThrow(/memory/);
    if (small.lost !== null) expect(() => small.load('return 1')).toThrow();
  });

  test('tells a script that there is no room for a source, and lives on', async () => {
    const other = new LuaMachine(modules, { instructions: 5e7, memory: 32 * 1024 * 1024 });
    const fill = 'local t = {} for i = 1, 26 * 16 do t[i] = ("y"):rep(65000) .. i end';
    const source = `local s = ("x=1 "):rep(3e5) ${fill} return pcall(loadstring, s)`;
    expect(await other.run(other.load(source), [], null)).toEqual([true, undefined, 'not enough memory']);
    expect(other.lost).toBeNull();
    expect(await other.run(other.load('return 1'), [], null)).toEqual([1]);
  });

  test('says that there is no room for what comes after a wait, as often as that is so, and lives on', async () => {
    const other = new LuaMachine(modules, { instructions: 5e7, memory: 32 * 1024 * 1024 });
    other.define('long', new LuaNative('long', async () => 'x'.repeat(2 * 1024 * 1024), true));
    other.define('many', new LuaNative('many', async () => Array(3e5).fill('x'), true));
    for (const waits of ['long()', 'many()']) {
      const fn = other.load(`local t = {} for i = 1, 26 * 16 do t[i] = ("y"):rep(65000) .. i end pcall(${waits})`);
      for (let times = 0; times < 5; times++) {
        await expect((async () => other.run(fn, [], null))()).rejects.toMatchObject({ kind: 'memory' });
      }
    }
    expect(other.lost).toBeNull();
    expect(await other.run(other.load('return #long()'), [], null)).toEqual([2 * 1024 * 1024]);
  });

  test('waits in a native function, also within pcall, coroutines and iterators', async () => {
    expect(await run('return double(4)')).toEqual([8, 'doubled']);
    expect(await run('return pcall(function() return double(double(1)) end)')).toEqual([true, 4, 'doubled']);
    expect(await run('return pcall(double, -1)')).toEqual([false, 'negative']);
    expect((await fault('local a = double(-1)')).message).toContain('negative');
    expect(
      await run(`
        local co = coroutine.wrap(function()
          local first = double(1)
          coroutine.yield(first)
          for i = 1, 2 do coroutine.yield((double(i * 10))) end
          error("done")
        end)
        return co(), co(), co(), pcall(co)`),
    ).toEqual([2, 20, 40, false, expect.stringContaining('done')]);
    expect(await run('return xpcall(function() double(-1) end, function(e) return "handled: " .. e end)')).toEqual([
      false,
      expect.stringMatching(/^handled: .*negative/),
    ]);
    expect(
      await run('local t = { 3, 1, 2 } table.sort(t, function(a, b) return double(a) < double(b) end) return t'),
    ).toEqual([[1, 2, 3]]);
    expect((await fault('return setmetatable({}, { __index = double }).x')).message).toContain(
      'attempt to yield across',
    );
    expect((await fault('coroutine.yield(1)')).message).toContain('outside a coroutine');
  });

  test('never mixes runs that wait: each native call sees its own host', async () => {
    const fn = lua.load(`
      local mine = host()
      for i = 1, 3 do
        local seen = pcall(double, i) and host()
        if seen ~= mine then error('saw ' .. tostring(seen) .. ' in ' .. mine) end
      end
      return mine`);
    const hosts = Array.from({ length: 100 }, (_, i) => `request ${i}`);
    expect(await Promise.all(hosts.map(async (host) => (await lua.run(fn, [], host))[0]))).toEqual(hosts);
  });

  test('gives no run the thread of another, which it could go on with in place of who waits', async () => {
    await run('kept = coroutine.running()');
    let answer = (_: string) => {};
    lua.define('wait', new LuaNative('wait', () => new Promise<string>((resolve) => (answer = resolve)), true));
    const waiting = lua.run(lua.load('return wait(), host()'), [], 'of one');
    const other = lua.run(lua.load('return pcall(coroutine.resume, kept, true, "forged")'), [], 'of another');
    answer('real');
    expect(await waiting).toEqual(['real', 'of one']);
    expect(await other).toMatchObject([false, expect.stringContaining('coroutine expected')]);
    expect(
      await run(`local co co = coroutine.create(function() return coroutine.running() == co end)
        return coroutine.running(), select(2, coroutine.resume(co)), type(select(2, pcall(coroutine.running)))`),
    ).toEqual([undefined, true, 'thread']);
  });

  test('ends a run past every pcall where a native function says so', async () => {
    await expect(run('pcall(function() leave() end) return "went on"')).rejects.toThrow(LuaEnd);
    await expect(run('pcall(function() double(1) leave() end) return "went on"')).rejects.toThrow(LuaEnd);
    await expect(run('coroutine.wrap(leave)() return "went on"')).rejects.toThrow(LuaEnd);
    expect(await run('return "the next"')).toEqual(['the next']);
  });

  test("says errors in Lua's words, with the place in the script", async () => {
    expect((await fault('error("boom")')).message).toBe('[string "error("boom")"]:1: boom');
    expect((await fault('local x\n\nx.y = 1')).message).toBe(
      '[string "local x..."]:3: attempt to index local \'x\' (a nil value)',
    );
    expect((await fault('double()')).message).toContain("bad argument #1 to 'double' (number expected, got no value)");
    expect((await fault('error({ code = 3 })')).value).toEqual(new Map([['code', 3]]));
  });

  test('catches what fails in the handler of an error, too', async () => {
    expect(await run('return xpcall(error, function() error("again", 0) end, "first")')).toEqual([false, 'again']);
    expect(await run('return xpcall(error, function(m) return m, double(2) end, "first", 0)')).toEqual([
      false,
      'first',
      4,
      'doubled',
    ]);
    await expect(run('xpcall(error, function() while true do end end)')).rejects.toThrow('budget used up');
    expect(await run('return xpcall(error, nil, "first", 0)')).toEqual([false, 'first']);
    expect(await run('return xpcall(error, 5, "first")')).toMatchObject([false, expect.stringContaining('call')]);
  });

  test('keeps memory flat over many runs', async () => {
    const fn = lua.load('local t = {} for i = 1, 100 do t[i] = { i, tostring(i) } end return pcall(error, t)');
    const many = async () => {
      for (let i = 0; i < 2000; i++) await lua.run(fn, [], null);
      return lua.memory.total;
    };
    const before = await many();
    // Where its collector stands is not always the same.
    expect(await many()).toBeLessThan(before + 100_000);
  });

  test.each([
    'local t = {} t.t = t return t',
    'local t = {} t.t = t error(t)',
    'error({ f = function() end })',
    'take({ f = function() end })',
    'take(function() end)',
    'take_and_wait({ f = function() end })',
    'local f = function() end local t = {} for i = 1, 2e4 do t[i] = f end return t',
  ])('keeps nothing of %s', async (source) => {
    lua.define('take', new LuaNative('take', (call) => void call.value(1)));
    lua.define('take_and_wait', new LuaNative('take_and_wait', async (call) => void call.value(1), true));
    const fn = lua.load(source);
    const many = async () => {
      for (let i = 0; i < 100; i++) await (async () => lua.run(fn, [], null))().catch(() => {});
      return places(lua);
    };
    const before = await many();
    expect(await many()).toBe(before);
  });

  test.each(['return t', 'error(t)', 'take(t)', 'take_and_wait(t, t)', 'pcall(take, t) pcall(take, t) error(t)'])(
    'is not held up by few tables that hold each other many times over: %s',
    async (end) => {
      lua.define('take', new LuaNative('take', (call) => void call.value(1)));
      lua.define('take_and_wait', new LuaNative('take_and_wait', async (call) => void call.value(1), true));
      const start = performance.now();
      await fault(`local t = {} for i = 1, 60 do t = { t, t } end ${end}`);
      expect(performance.now() - start).toBeLessThan(2000);
      expect(await run('return 1')).toEqual([1]);
    },
  );

  test.each(['return unpack(t)', 'take_and_wait(unpack(t))'])(
    'is not held up by one long text, many times over: %s',
    async (end) => {
      lua.define('take_and_wait', new LuaNative('take_and_wait', async () => undefined, true));
      const before = process.memoryUsage().rss;
      await fault(`local s, t = ("x"):rep(2e5), {} for i = 1, 3000 do t[i] = s end ${end}`);
      expect(process.memoryUsage().rss - before).toBeLessThan(250e6);
    },
  );

  test('the trampolines are what they are said to be: two imports handed on, and an allocator that counts and tells', () => {
    const name = (text: string) => [text.length, ...Buffer.from(text)];
    const section = (id: number, ...bytes: number[]) => [id, bytes.length, ...bytes];
    const imported = (text: string, type: number) => [...name('env'), ...name(text), 0, type];
    const [i32, func, none] = [0x7f, 0x60, 0x40];
    const [block, end, leave, call] = [0x04, 0x0b, 0x0f, 0x10];
    const [get, keep, getAllowance, setAllowance] = [0x20, 0x22, [0x23, 0], [0x24, 0]];
    const [getLarge, setLarge, size64k] = [
      [0x23, 1],
      [0x24, 1],
      [0x41, 0x80, 0x80, 0x04],
    ];
    const [zero, isZero, less, more, plus, minus, select] = [[0x41, 0], 0x45, 0x49, 0x4b, 0x6a, 0x6b, 0x1b];
    const [pointer, before, size, result] = [1, 2, 3, 4];
    const ifLarge = (bytes: number) => [get, bytes, ...zero, get, bytes, ...size64k, more, select];
    const alloc = [
      // Nothing wanted: freed.
      ...[get, size, isZero, block, none, ...getLarge, ...ifLarge(before), minus, ...setLarge],
      ...[get, pointer, call, 3, ...zero, leave, end],
      // More wanted than before: within the allowance, or not at all.
      ...[get, size, get, before, more, block, none],
      ...[...getAllowance, get, size, less, block, none, ...zero, leave, end],
      ...[...getAllowance, get, size, minus, ...setAllowance, end],
      ...[get, pointer, get, size, call, 2, keep, result, block, none],
      ...[...getLarge, ...ifLarge(before), minus, ...ifLarge(size), plus, ...setLarge],
      ...[get, size, ...size64k, more, block, none, call, 4, end, end, get, result, end],
    ];
    const types = [
      [func, 1, i32, 1, i32],
      [func, 2, i32, i32, 0],
      [func, 2, i32, i32, 1, i32],
      [func, 1, i32, 0],
      [func, 4, i32, i32, i32, i32, 1, i32],
      [func, 0, 0],
    ];
    const imports = [
      ...[imported('call', 0), imported('hook', 1), imported('realloc', 2), imported('free', 3)],
      imported('large', 5),
    ];
    const exports = [
      [...name('call'), 0, 0],
      [...name('hook'), 0, 1],
      [...name('alloc'), 0, 5],
      [...name('allowance'), 3, 0],
      [...name('large'), 3, 1],
    ];
    const locals = [1, 1, i32];
    const wasm = [
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, types.length, ...types.flat()),
      ...section(2, imports.length, ...imports.flat()),
      ...section(3, 1, 4),
      ...section(6, 2, i32, 1, 0x41, 0xff, 0xff, 0xff, 0xff, 0x07, end, i32, 1, ...zero, end),
      ...section(7, exports.length, ...exports.flat()),
      ...section(10, 1, locals.length + alloc.length, ...locals, ...alloc),
    ];
    expect(wasm.every((byte) => byte < 0x100)).toBe(true);
    expect([...readFileSync('shared/lua/trampolines.wasm')]).toEqual(wasm);
  });
});
