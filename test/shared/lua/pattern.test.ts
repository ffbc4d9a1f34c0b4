import fc from 'fast-check';
import { expect, test } from 'vitest';
import { luaModules } from '../../../cp/lua/modules.ts';
import { LuaMachine } from '../../../shared/lua/machine.ts';
import { instantiate } from '../../../shared/lua/wasm.ts';

const modules = luaModules();

/** Lua as it comes, with the string library in C: evaluates `source` and gives its one result. */
function pristine(): (source: string) => string {
  const { lua } = instantiate(modules, { call: () => 0, hook: () => {}, large: () => {}, mayGrow: () => true });
  const state = lua.luaL_newstate();
  lua.luaL_openlibs(state);
  const bytes = () => new Uint8Array(lua.memory.buffer);
  return (source) => {
    const text = new TextEncoder().encode(`${source}\0`);
    const at = lua.malloc(text.length);
    bytes().set(text, at);
    const status = lua.luaL_loadbuffer(state, at, text.length - 1, at) || lua.lua_pcall(state, 0, 1, 0);
    lua.free(at);
    const size = lua.malloc(4);
    const from = lua.lua_tolstring(state, -1, size);
    const length = new Uint32Array(lua.memory.buffer)[size >> 2] ?? 0;
    const result = new TextDecoder('latin1').decode(bytes().slice(from, from + length));
    lua.free(size);
    lua.lua_settop(state, 0);
    return status === 0 ? result : `error: ${result.replace(/^.*?:\d+: /s, '')}`;
  };
}

/** Everything a call gives, or its error, as one text. */
const SHOWN = (call: string) => `
  local r = { pcall(function() return ${call} end) }
  if not r[1] then return 'error: ' .. tostring(r[2]):gsub('^.-:%d+: ', '') end
  for i = 1, 12 do r[i] = tostring(r[i]) end
  return table.concat(r, '|')`;

const piece = fc.constantFrom(
  'a',
  'b',
  '.',
  '%a',
  '%d',
  '%s',
  '%w',
  '%A',
  '%x',
  '[ab]',
  '[^a]',
  '[a-c]',
  '[%d-]',
  '[]]',
  '%%',
  '()',
  '(',
  ')',
  '(a)',
  '(.-)',
  '%1',
  '%b()',
  '%f[%w]',
  '^',
  '$',
  '-',
  '%.',
  '1',
  'x',
);
const suffix = fc.constantFrom('', '', '', '*', '+', '-', '?');
const pattern = fc
  .array(
    fc.tuple(piece, suffix).map((parts) => parts.join('')),
    { maxLength: 5 },
  )
  .map((all) => all.join(''));
const subject = fc
  .array(fc.constantFrom('a', 'b', 'c', '1', ' ', '(', ')', '-', '.', 'x'), { maxLength: 12 })
  .map((all) => all.join(''));

test('patterns mean what they mean in C: find, match, gmatch and gsub on random subjects', () => {
  const theirs = pristine();
  const machine = new LuaMachine(modules);
  const ours = (source: string): string => {
    const fn = machine.load(source);
    const outcome = machine.run(fn, [], null);
    machine.release(fn);
    if (outcome instanceof Promise) throw new Error('it waited');
    return String(outcome[0]);
  };
  fc.assert(
    fc.property(subject, pattern, fc.integer({ min: -3, max: 5 }), (s, p, init) => {
      const [text, wanted] = [JSON.stringify(s), JSON.stringify(p)];
      for (const call of [
        `string.find(${text}, ${wanted}, ${init})`,
        `string.match(${text}, ${wanted}, ${init})`,
        `string.gsub(${text}, ${wanted}, '<%0>')`,
        `string.gsub(${text}, ${wanted}, string.upper, 2)`,
        `(function() local n, r = 0, '' for x, y in string.gmatch(${text}, ${wanted}) do n = n + 1 r = r .. tostring(x) .. tostring(y) .. ';' if n > 20 then break end end return r end)()`,
      ]) {
        const result = ours(SHOWN(call));
        // Lua's own notices a capture that is never closed only where it is asked for.
        if (result !== 'error: unfinished capture') expect(result, call).toBe(theirs(SHOWN(call)));
      }
    }),
    { numRuns: 1500, examples: [['', '()%1', 0]] },
  );
});
