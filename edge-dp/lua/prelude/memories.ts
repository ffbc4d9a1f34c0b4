/** `kong.cache` and `ngx.shared`: memories of this machine alone. */
export const MEMORIES_PRELUDE = `
-- Memories of this machine alone.
local cache
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
    cached():set(key, { value }, ttl and ttl > 0 and ttl or nil)
    return value, nil, 3
  end,
  probe = function(_, key)
    local entry = cached():get(key)
    if entry then return 0, nil, entry[1] end
  end,
  safe_set = function(_, key, value) cached():set(key, { value }) return true end,
  invalidate = forget,
  invalidate_local = forget,
  purge = function() cached():flush_all() end,
}
local function dictionary()
  local held = {}
  local function at(key)
    local entry = held[key]
    if entry and entry.ends and entry.ends <= ngx.now() then held[key] = nil return nil end
    return entry
  end
  local function put(_, key, value, ttl, flags)
    if value == nil then held[key] = nil return true end
    held[key] = { value = value, flags = flags, ends = ttl and ttl > 0 and ngx.now() + ttl or nil }
    return true
  end
  local dict = { set = put, safe_set = put }
  function dict.get(_, key)
    local entry = at(key)
    if entry == nil then return nil end
    return entry.value, entry.flags
  end
  function dict.add(_, key, ...) if at(key) then return false, 'exists' end return put(_, key, ...) end
  dict.safe_add = dict.add
  function dict.replace(_, key, ...) if not at(key) then return false, 'not found' end return put(_, key, ...) end
  function dict.delete(_, key) held[key] = nil end
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
  function dict.flush_all() held = {} end
  function dict.flush_expired() return 0 end
  function dict.get_keys()
    local keys = {}
    for key in pairs(held) do if at(key) then keys[#keys + 1] = key end end
    return keys
  end
  return dict
end
ngx.shared = setmetatable({}, { __index = function(t, name)
  local dict = dictionary()
  rawset(t, name, dict)
  return dict
end })
`;
