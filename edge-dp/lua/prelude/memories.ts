/** `kong.cache` and `ngx.shared`: memories of this machine alone. */
export const MEMORIES_PRELUDE = `
-- Memories of this machine alone. What scripts put there follows from what clients send: it goes before the machine has no room for scripts.
local cache
local dictionaries = {}
local function relieve()
  if not host.memory_scarce() then return end
  if cache then cache:flush_all() end
  for _, dict in ipairs(dictionaries) do dict:forget_old() end
end
local function cached() cache = cache or require('resty.lrucache').new(10000) return cache end
local function forget(_, key) cached():delete(key) end
kong.cache = {
  get = function(_, key, options, load, ...)
    local entry = cached():get(key)
    if entry then return entry[1], nil, 1 end
    if load == nil then return nil end
    local value, message, ttl = load(...)
    if value == nil and message ~= nil then return nil, message, -1 end
    options = options or {}
    if ttl == nil then
      if value == nil then ttl = options.neg_ttl else ttl = options.ttl end
    end
    relieve()
    cached():set(key, { value }, ttl and ttl > 0 and ttl or nil)
    return value, nil, 3
  end,
  probe = function(_, key)
    local entry = cached():get(key)
    if entry then return 0, nil, entry[1] end
  end,
  safe_set = function(_, key, value) relieve() cached():set(key, { value }) return true end,
  invalidate = forget,
  invalidate_local = forget,
  purge = function() cached():flush_all() end,
}
-- Bytes of one of the two halves of a dictionary: what was used lately moves to the young one, and the old one goes whole.
local HALF = 2 * 1024 * 1024
local AN_ENTRY = 256
local function weight(key, value)
  local bytes = AN_ENTRY
  if type(key) == 'string' then bytes = bytes + #key end
  if type(value) == 'string' then bytes = bytes + #value end
  return bytes
end
local function dictionary()
  local young, old, bytes = {}, {}, 0
  local function drop(key)
    local entry = young[key]
    if entry then bytes = bytes - entry.weight end
    young[key], old[key] = nil, nil
  end
  local function keep(key, entry)
    drop(key)
    if bytes + entry.weight > HALF then old, young, bytes = young, {}, 0 end
    bytes = bytes + entry.weight
    young[key] = entry
  end
  local function over(entry) return entry.ends and entry.ends <= ngx.now() end
  local function at(key)
    local entry = young[key]
    if entry == nil then
      entry = old[key]
      if entry and not over(entry) then keep(key, entry) end
    end
    if entry and over(entry) then drop(key) return nil end
    return entry
  end
  local function put(_, key, value, ttl, flags)
    if value == nil then drop(key) return true end
    local bytes = weight(key, value)
    if bytes > HALF then return false, 'no memory' end
    relieve()
    keep(key, { value = value, flags = flags, ends = ttl and ttl > 0 and ngx.now() + ttl or nil, weight = bytes })
    return true
  end
  local dict = { set = put, safe_set = put }
  -- Again and again it leaves nothing.
  function dict.forget_old() old, young, bytes = young, {}, 0 end
  function dict.get(_, key)
    local entry = at(key)
    if entry == nil then return nil end
    return entry.value, entry.flags
  end
  function dict.add(_, key, ...) if at(key) then return false, 'exists' end return put(_, key, ...) end
  dict.safe_add = dict.add
  function dict.replace(_, key, ...) if not at(key) then return false, 'not found' end return put(_, key, ...) end
  function dict.delete(_, key) drop(key) end
  function dict.incr(_, key, by, init, ttl)
    local entry = at(key)
    if entry == nil then
      if init == nil then return nil, 'not found' end
      put(_, key, init + by, ttl)
      return init + by
    end
    if type(entry.value) ~= 'number' then return nil, 'not a number' end
    entry.value = entry.value + by
    return entry.value
  end
  function dict.expire(_, key, ttl)
    local entry = at(key)
    if entry == nil then return nil, 'not found' end
    entry.ends = ttl > 0 and ngx.now() + ttl or nil
    return true
  end
  function dict.ttl(_, key)
    local entry = at(key)
    if entry == nil then return nil, 'not found' end
    return entry.ends and entry.ends - ngx.now() or 0
  end
  function dict.flush_all() young, old, bytes = {}, {}, 0 end
  function dict.get_keys()
    local keys = {}
    for _, half in ipairs { young, old } do
      for key, entry in pairs(half) do if not over(entry) then keys[#keys + 1] = key end end
    end
    return keys
  end
  function dict.flush_expired()
    local gone = {}
    for _, half in ipairs { young, old } do
      for key, entry in pairs(half) do if over(entry) then gone[#gone + 1] = key end end
    end
    for _, key in ipairs(gone) do drop(key) end
    return #gone
  end
  dictionaries[#dictionaries + 1] = dict
  -- All scripts have it: they find its functions, and put none in their place.
  return setmetatable({}, {
    __metatable = false, __index = dict, __newindex = function() error('attempt to modify a read-only table', 2) end,
  })
end
-- None of them ever goes: of what is asked for by many names, or by what is none, there are no more.
local MOST = 100
ngx.shared = setmetatable({}, { __index = function(t, name)
  if #dictionaries >= MOST or type(name) ~= 'string' or #name > 256 then return nil end
  local dict = dictionary()
  rawset(t, name, dict)
  return dict
end })
`;
