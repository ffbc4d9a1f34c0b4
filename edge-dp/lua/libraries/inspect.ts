/** `inspect`: values as they read, lists in a line, other members under each other, a table that comes again by its number. */
export const INSPECT_LIBRARY = String.raw`
local spelt = { ['\a'] = '\\a', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t', ['\v'] = '\\v' }
local keywords = {}
for word in ('and break do else elseif end false for function goto if in local nil not or repeat return then true until while'):gmatch('%a+') do
  keywords[word] = true
end
local order = { number = 1, boolean = 2, string = 3, table = 4, ['function'] = 5, userdata = 6, thread = 7 }
local function before(a, b)
  local x, y = type(a), type(b)
  if x == y then return (x == 'string' or x == 'number') and a < b end
  return (order[x] or 8) < (order[y] or 8)
end
local function quoted(text)
  text = text:gsub('\\', '\\\\'):gsub('%c', function(char) return spelt[char] or ('\\%d'):format(char:byte()) end)
  if text:find('"', 1, true) and not text:find("'", 1, true) then return "'" .. text .. "'" end
  return '"' .. text:gsub('"', '\\"') .. '"'
end
local function count(value, times)
  if type(value) ~= 'table' then return end
  times[value] = (times[value] or 0) + 1
  if times[value] > 1 then return end
  for k, v in next, value do
    count(k, times)
    count(v, times)
  end
  count(getmetatable(value), times)
end
local function inspect(value, options)
  options = options or {}
  local deepest, line, indent = options.depth or math.huge, options.newline or '\n', options.indent or '  '
  local times, numbers, last, out = {}, {}, {}, {}
  count(value, times)
  local function number(item)
    if not numbers[item] then
      local kind = type(item)
      last[kind] = (last[kind] or 0) + 1
      numbers[item] = last[kind]
    end
    return numbers[item]
  end
  local function put(text) out[#out + 1] = text end
  local show
  local function members(t, level)
    local length, keys = 0, {}
    while rawget(t, length + 1) ~= nil do length = length + 1 end
    for key in next, t do
      if type(key) ~= 'number' or key < 1 or key > length or key % 1 ~= 0 then keys[#keys + 1] = key end
    end
    table.sort(keys, before)
    local inner, meta = line .. indent:rep(level + 1), getmetatable(t)
    local some = false
    local function comma() if some then put(',') end some = true end
    for i = 1, length do
      comma()
      put(' ')
      show(rawget(t, i), level + 1)
    end
    for _, key in ipairs(keys) do
      comma()
      put(inner)
      if type(key) == 'string' and key:find('^[%a_][%w_]*$') and not keywords[key] then put(key)
      else
        put('[')
        show(key, level + 1)
        put(']')
      end
      put(' = ')
      show(rawget(t, key), level + 1)
    end
    if type(meta) == 'table' then
      comma()
      put(inner)
      put('<metatable> = ')
      show(meta, level + 1)
    end
    if #keys > 0 or type(meta) == 'table' then put(line .. indent:rep(level)) elseif length > 0 then put(' ') end
  end
  function show(item, level)
    local kind = type(item)
    if kind == 'string' then put(quoted(item))
    elseif kind == 'number' or kind == 'boolean' or kind == 'nil' then put(tostring(item))
    elseif kind ~= 'table' then put(('<%s %d>'):format(kind, number(item)))
    elseif numbers[item] then put(('<table %d>'):format(numbers[item]))
    elseif level >= deepest then put('{...}')
    else
      if times[item] > 1 then put(('<%d>'):format(number(item))) end
      put('{')
      members(item, level)
      put('}')
    end
  end
  show(value, 0)
  return table.concat(out)
end
return setmetatable({ inspect = inspect }, { __call = function(_, ...) return inspect(...) end })`;
