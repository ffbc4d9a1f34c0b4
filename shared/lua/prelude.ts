/**
 * Run once in every machine, with the natives it needs as its argument. It takes away what must not be there, and puts functions in
 * place of those that Lua 5.1 writes in C and that therefore could not be interrupted, or not be waited in.
 */
export const PRELUDE = `
local host = ...
local create, resume, yield, status = coroutine.create, coroutine.resume, coroutine.yield, coroutine.status
local select, error, type, tostring, setmetatable = select, error, type, tostring, setmetatable
local AWAIT, ended, room, charge = host.await, host.ended, host.room, host.charge

for _, name in ipairs { 'dofile', 'loadfile', 'module', 'require', 'newproxy', 'gcinfo' } do _G[name] = nil end
package, io, debug = nil, nil, nil
string.dump, string.gfind = nil, nil
table.getn, table.setn, table.foreach, table.foreachi = nil, nil, nil, nil
math.mod = nil

-- Functions that wait: the coroutine yields a token, the host resumes it with what came.
local function unwrap(ok, ...)
  if not ok then error((...), 2) end
  return ...
end
function host.waiting(native)
  return function(...) return unwrap(native(...)) end
end

local function resumed(co, ...)
  room(co)
  return resume(co, ...)
end
-- A wait inside a coroutine of the script is passed on to the coroutine around it, as far as the host.
local function settle(co, ok, first, ...)
  if ok and first == AWAIT then return settle(co, resumed(co, yield(AWAIT))) end
  if not ok and ended() then error(first, 0) end
  return ok, first, ...
end
function coroutine.resume(co, ...)
  return settle(co, resumed(co, ...))
end
local function wrapped(ok, ...)
  if not ok then error((...), 0) end
  return ...
end
-- LuaJIT makes a coroutine of any function, 5.1 only of one written in Lua.
function coroutine.create(f)
  if type(f) ~= 'function' then error("bad argument #1 to 'create' (function expected)", 2) end
  return create(function(...) return f(...) end)
end
function coroutine.wrap(f)
  local co = coroutine.create(f)
  return function(...) return wrapped(settle(co, resumed(co, ...))) end
end
-- Nil outside of all coroutines, as in 5.1: the thread of a run is that of another one later, which who kept it could go on with.
local running = coroutine.running
function coroutine.running()
  if not host.outermost() then return running() end
end

-- Lua 5.1 cannot yield across pcall; a coroutine of its own can.
local function protected(co, handler, ok, ...)
  if ok then
    if status(co) == 'suspended' then return protected(co, handler, resumed(co, yield(...))) end
    return true, ...
  end
  if ended() then error((...), 0) end
  if handler then
    -- What fails in the handler is caught as well.
    local within = create(function(...) return handler(...) end)
    return false, select(2, protected(within, nil, resumed(within, ...)))
  end
  return false, ...
end
function pcall(f, ...)
  local co = create(function(...) return f(...) end)
  return protected(co, nil, resumed(co, ...))
end
function xpcall(f, handler, ...)
  local co = create(function(...) return f(...) end)
  return protected(co, handler, resumed(co, ...))
end

local compile = host.compile
function loadstring(text, name)
  local f, message = compile(text, name or text)
  if f then return f end
  return nil, message
end
function load(chunk, name, mode, env)
  if type(chunk) == 'function' then
    local parts, n = {}, 0
    while true do
      local part = chunk()
      if part == nil or part == '' then break end
      n = n + 1
      parts[n] = part
    end
    chunk = table.concat(parts)
    name = name or '=(load)'
  end
  local f, message = compile(chunk, name or chunk)
  if not f then return nil, message end
  if env ~= nil then setfenv(f, env) end
  return f
end

local collect = collectgarbage
function collectgarbage(what)
  if what == 'count' then return collect 'count' end
  return 0
end

-- Long strings pay for what a single call does with them.
local LONG = 4096
local function priced(f, rate)
  return function(s, ...)
    if type(s) == 'string' and #s > LONG then charge(#s * rate) end
    return f(s, ...)
  end
end
for _, name in ipairs { 'upper', 'lower', 'reverse', 'byte', 'sub' } do string[name] = priced(string[name], 1 / 4) end
local number = tonumber
function tonumber(...)
  local s = ...
  if type(s) == 'string' and #s > LONG then charge(#s) end
  return number(...)
end
local format = priced(string.format, 1 / 4)
function string.format(...)
  for i = 2, select('#', ...) do
    local s = select(i, ...)
    if type(s) == 'string' and #s > LONG then charge(#s / 2) end
  end
  return format(...)
end
local repeated = string.rep
function string.rep(s, n)
  local times = number(n)
  -- Of nothing it is nothing, without the turns of that.
  if s == '' and times then return '' end
  if (type(s) == 'string' or type(s) == 'number') and times and times > 0 then
    host.room_for(#tostring(s) * times)
  end
  return repeated(s, n)
end
string.find, string.match = host.find, host.match
local step = host.step
function string.gmatch(s, p)
  local at = 1
  local function advance(after, ...)
    if after == nil then return nil end
    at = after
    return ...
  end
  s = tostring(s)
  return function() return advance(step(s, p, at)) end
end
local substitute = host.substitute
function string.gsub(s, p, with, limit)
  local kind = type(with)
  if kind == 'string' or kind == 'number' then return substitute(s, p, with, limit) end
  if kind ~= 'function' and kind ~= 'table' then
    error("bad argument #3 to 'gsub' (string/function/table expected)", 2)
  end
  s = tostring(s)
  local parts, n, at, copied = {}, 0, 1, 1
  local count = 0
  while limit == nil or count < limit do
    local from, to, after, captures = host.located(s, p, at)
    if from == nil then break end
    count = count + 1
    local value
    if kind == 'table' then value = with[captures[1]] else value = with(unpack(captures, 1, captures.n)) end
    if value then
      if type(value) ~= 'string' and type(value) ~= 'number' then
        error('invalid replacement value (a ' .. type(value) .. ')', 2)
      end
      parts[n + 1] = s:sub(copied, from - 1)
      parts[n + 2] = value
      n = n + 2
      copied = to + 1
    end
    at = after
    if p:sub(1, 1) == '^' then break end
  end
  if n == 0 then return s, count end
  parts[n + 1] = s:sub(copied)
  return table.concat(parts), count
end

-- Written in Lua, so that their work counts.
local raw_insert, raw_remove, raw_concat = table.insert, table.remove, table.concat
function table.insert(t, ...)
  if select('#', ...) == 2 then
    local length, at = #t, number((...))
    -- What is no place becomes the lowest there is, and all from there on be moved.
    if at and not (at > -2 ^ 31 and at < 2 ^ 31) then error("bad argument #2 to 'insert' (position out of bounds)", 2) end
    if at and length - at > 64 then charge((length - at) / 4) end
  end
  return raw_insert(t, ...)
end
function table.remove(t, at)
  if at == nil then return raw_remove(t) end
  if #t - at > 64 then charge((#t - at) / 4) end
  return raw_remove(t, at)
end
function table.concat(t, ...)
  if #t > 64 then charge(#t / 2) end
  return raw_concat(t, ...)
end
local spread = unpack
function unpack(t, from, to)
  local last = to or #t
  if type(last) == 'number' and last > 64 then charge(last / 4) end
  return spread(t, from or 1, last)
end
function table.maxn(t)
  local most = 0
  for key in pairs(t) do
    if type(key) == 'number' and key > most then most = key end
  end
  return most
end
-- Lua's own takes the square of the length for some lists, and its comparison could not wait.
local function less(a, b) return a < b end
local function plain(t, length)
  local kind = type(t[1])
  if kind ~= 'number' and kind ~= 'string' then return false end
  for i = 2, length do
    if type(t[i]) ~= kind then return false end
  end
  return true
end
local function sorted(t, length, before)
  local from, to = t, {}
  local width = 1
  while width < length do
    for low = 1, length, 2 * width do
      local middle, high = low + width, low + 2 * width
      if middle > length + 1 then middle = length + 1 end
      if high > length + 1 then high = length + 1 end
      local left, right = low, middle
      for at = low, high - 1 do
        if left < middle and (right >= high or not before(from[right], from[left])) then
          to[at] = from[left]
          left = left + 1
        else
          to[at] = from[right]
          right = right + 1
        end
      end
    end
    from, to = to, from
    width = width * 2
  end
  if from ~= t then
    for at = 1, length do t[at] = from[at] end
  end
end
local raw_sort = table.sort
function table.sort(t, before)
  local length = type(t) == 'table' and #t or 0
  if type(before) == 'function' or before == nil and length > 1 and plain(t, length) then
    return sorted(t, length, before or less)
  end
  if length > 64 then charge(length) end
  return raw_sort(t, before)
end

debug = { traceback = function(message) return message == nil and '' or message end }
os = host.os
`;
