import { describe, expect, test } from 'vitest';
import { luaSyntaxError } from '../../../shared/lua/syntax.ts';

describe('the syntax of Lua', () => {
  test.each([
    '',
    'return',
    'return 1, "two", [[three]], [==[ ]] ]==], 0x1p4, 1e-3, .5, 3.',
    '#!/usr/bin/lua\nreturn 1',
    'local t = { 1, 2; x = 3, ["y"] = 4, f(), [1+1] = {}, }',
    'for k, v in pairs({}) do print(k .. ": " .. v) end',
    'kong.response.set_header("x", kong.request.get_header "y") -- a comment\n--[[ long goto x\ncomment ]] --[=[ ]] ]=]',
    "local s = \"a\\z   \n  b\\x41\\065\\n\\\n\" .. 'it\\'s'",
    'local größe = 1 return größe',
    'return "1ULL ::a:: goto", [[ 1ULL goto ]] -- goto 1ULL',
  ])('takes %j', (source) => {
    expect(luaSyntaxError(source)).toBeUndefined();
  });

  test.each([
    ['if x then', "[string \"if x then\"]:1: 'end' expected near '<eof>'"],
    ['return (', '[string "return ("]:1: unexpected symbol near \'<eof>\''],
    ['x', "[string \"x\"]:1: '=' expected near '<eof>'"],
    ['break', '[string "break"]:1: no loop to break near \'<eof>\''],
    ['return 1 end', "[string \"return 1 end\"]:1: '<eof>' expected near 'end'"],
    ['return "open', "unfinished string near '<eof>'"],
    ['local a = 1\n\nlocal = 2', "[string \"local a = 1...\"]:3: '<name>' expected near '='"],
    ['local a\ngoto a', '[string "local a..."]:2: \'goto a\' is taken only where it goes on with a loop'],
    ['::here::', "'goto here' is taken only where"],
    ['for i = 1, 2 do\nif i == 1 then goto done end end ::done::', ":2: 'goto done'"],
    ['while true do ::again:: f() goto again end', "'goto again'"],
    ['repeat local x = f() goto next ::next:: until x', "'goto next'"],
    ['for i = 1, 2 do local f = function() goto next end ::next:: end', "'goto next'"],
    ['for i = 1, 2 do ::a:: ::b:: end', "'goto a'"],
    ['for i = 1, 2 do goto', "'goto' is no name here"],
    ['return 1ULL', "'1ULL' is LuaJIT's own"],
    ['return "\\xg0"', "invalid escape sequence '\\x'"],
    ['\x1bLua', 'compiled Lua is not taken, only its source'],
  ])('refuses %j: %s', (source, reason) => {
    expect(luaSyntaxError(source)).toContain(reason);
  });

  test('refuses nesting that no one writes', () => {
    expect(luaSyntaxError(`return ${'('.repeat(200_000)}`)).toContain('chunk has too many syntax levels');
    const loops = 'while true do goto on '.repeat(20_000);
    expect(luaSyntaxError(loops)).toContain('chunk has too many syntax levels');
    expect(luaSyntaxError('return 1')).toBeUndefined();
  });

  test('reads comments and escapes in a row in one way alone', () => {
    const loop = (end: string) => `for i = 1, 2 do goto on ::on:: ${'--[[]]\n--[=[ ]] ]=]\n'.repeat(200)}${end} end`;
    expect(luaSyntaxError(loop('; -- no more\n'))).toBeUndefined();
    expect(luaSyntaxError(loop('"x" '))).toContain("'goto on' is taken only where");
    const text = '\\z \\z\n \\" '.repeat(200);
    expect(luaSyntaxError(`return "${text}`)).toContain('unfinished string');
    expect(luaSyntaxError(`return "${text}"`)).toBeUndefined();
    expect(luaSyntaxError(`return é "${'\\"'.repeat(400_000)}`)).toContain('unfinished string');
    const gotos = 'goto a '.repeat(2_000);
    expect(
      luaSyntaxError(`while true do ${gotos}${'while true do ::b:: end '.repeat(2_000)} ::a:: end`),
    ).toBeUndefined();
  });
});
