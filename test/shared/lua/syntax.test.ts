import { describe, expect, test } from 'vitest';
import { luaSyntaxError } from '../../../shared/lua/syntax.ts';

describe('Lua', () => {
  test.each([
    '',
    'return',
    'return 1, "two", [[three]], [==[ ]] ]==], 0x1p4, 1e-3, .5, 3.',
    '#!/usr/bin/lua\nreturn 1',
    'local a <const> = 1'.replace(' <const>', ''),
    'local t = { 1, 2; x = 3, ["y"] = 4, f(), [1+1] = {}, }',
    'for i = 1, 10, 2 do if i % 2 == 0 then break else goto next end ::next:: end',
    'for k, v in pairs({}) do print(k .. ": " .. v) end',
    'while not (a and b or #c > -1 ^ 2) do a = nil end repeat local x = 1 until x',
    'function a.b.c:d(x, ...) local n = select("#", ...) return ... end',
    'local function f() return function() end end',
    'a.b[1]:c"text".d, e = 1, 2; (f or g)(1){ 2 }',
    'kong.response.set_header("x", kong.request.get_header "y") -- a comment\n--[[ long\ncomment ]] --[=[ ]] ]=]',
    "local s = \"a\\z   \n  b\\x41\\065\\n\\\n\" .. 'it\\'s'",
    'return 1ULL + 0xffLL',
    'local größe = 1 return größe',
    'do local x do end end',
  ])('accepts %j', (source) => {
    expect(luaSyntaxError(source)).toBeUndefined();
  });

  test.each([
    ['if x then', "'end' expected near '<eof>'"],
    ['return return', "unexpected symbol near 'return'"],
    ['x', "syntax error near '<eof>'"],
    ['f() = 1', "syntax error near '='"],
    ['local 1 = 2', "<name> expected near '1'"],
    ['for i = 1 do end', "',' expected near 'do'"],
    ['a = = 1', "unexpected symbol near '='"],
    ['return "open', 'unfinished string near'],
    ['return [[open', "unfinished long string near '<eof>'"],
    ['break', "no loop to break near 'break'"],
    ['while true do local f = function() break end end', "no loop to break near 'break'"],
    ['function f() return ... end', "cannot use '...' outside a vararg function near '...'"],
    ['return 1 end', "'<eof>' expected near 'end'"],
    ['x = 5 ~ 3', "unexpected symbol near '~'"],
    ['return 3x', 'malformed number near'],
    ['t = { 1 2 }', "'}' expected near '2'"],
    ['a.b:c = 1', "function arguments expected near '='"],
  ])('refuses %j: %s', (source, reason) => {
    expect(luaSyntaxError(source)).toContain(reason);
  });

  test('names the line', () => {
    expect(luaSyntaxError('local a = 1\n\n--[[\n]]\nlocal = 2')).toBe('[string "..."]:5: <name> expected near \'=\'');
  });

  test('survives nesting that no one writes', () => {
    expect(luaSyntaxError(`return ${'('.repeat(200_000)}`)).toBeTypeOf('string');
  });
});
