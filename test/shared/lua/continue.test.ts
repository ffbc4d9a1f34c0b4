import { expect, it } from 'vitest';
import { luaModules } from '../../../cp/lua/modules.ts';
import { LuaMachine } from '../../../shared/lua/machine.ts';

const machine = new LuaMachine(luaModules());

it.each([
  ['for i = 1, 6 do if i % 2 == 0 then goto continue end put(i) ::continue:: end', '1 3 5'],
  ['for i = 1, 6 do if i == 2 then goto continue end if i == 4 then break end put(i) ::continue:: end', '1 3'],
  ['local i = 0 while i < 5 do i = i + 1 if i > 2 then goto next end put(i) ::next:: -- ends\n ; end put(i)', '1 2 5'],
  [
    'for i = 1, 3 do for j = 1, 3 do if j == 2 then goto outer end put(i * 10 + j) end put("never") ::outer:: end',
    '11 21 31',
  ],
  [
    'for i = 1, 3 do for j = 1, 3 do if j == 1 then goto inner end if i == 2 then goto outer end if i == 3 then break end put(i * 10 + j) ::inner:: end put(i) ::outer:: end',
    '12 13 1 3',
  ],
  [
    'for i = 1, 2 do local j = 0 while true do for k = 1, 2 do j = j + 1 if j > 3 then goto done end put(j) end end ::done:: end',
    '1 2 3 1 2 3',
  ],
  [
    'local f = {} for i = 1, 3 do local x = i if x == 2 then goto skip end f[#f + 1] = function() return x end ::skip:: end put(f[1](), f[2]())',
    '1 3',
  ],
  [
    'for i = 1, 3 do local g = function(n) for j = 1, 2 do if j == n then goto continue end put(j) ::continue:: end end if i == 2 then goto continue end g(i) ::continue:: end',
    '2 1 2',
  ],
  [
    'local function first(t) for _, v in ipairs(t) do if not v then goto continue end do return v end ::continue:: end end put(first { false, 7, 8 })',
    '7',
  ],
  [
    'for i = 1, 2 do do goto continue end put("never") ::continue:: end put("goto ::x::", [[ ::y:: goto z ]]) -- goto w',
    'goto ::x::  ::y:: goto z ',
  ],
])('%s puts %s', (source, expected) => {
  const chunk =
    machine.load(`local all = {} local function put(...) for _, v in ipairs { ... } do all[#all + 1] = tostring(v) end end ${source}
    return table.concat(all, ' ')`);
  expect(machine.run(chunk, [], null)).toEqual([expected]);
});

it('keeps lines where they are', () => {
  const chunk = machine.load(
    'for i = 1, 2 do\n  if i == 1 then\n    goto continue\n  end\n  error("here")\n  ::continue::\nend',
    '=x',
  );
  expect(() => machine.run(chunk, [], null)).toThrow('x:5: here');
});
