/**
 * What of `kong` and `ngx` is written in Lua: tables that are looked up, functions of any number of arguments, modules. Run once in
 * each machine that runs Lua of config, after the natives are there, with those it needs as its argument.
 */
export const GATEWAY_PRELUDE = `
local host = ...
local setmetatable, rawget, rawset, type, tostring, select = setmetatable, rawget, rawset, type, tostring, select
local concat = table.concat

-- The one field of kong.ctx.shared that plugins of the gateway read is kept where they do.
local shared = {
  __index = function(_, name)
    if name == 'authenticated_groups' then return host.authenticated_groups() end
  end,
  __newindex = function(t, name, value)
    if name == 'authenticated_groups' then host.set_authenticated_groups(value) else rawset(t, name, value) end
  end,
}

-- kong.ctx.shared is the request's, kong.ctx.plugin that of one configuration's.
kong.ctx = setmetatable({}, {
  __index = function(_, name)
    if name == 'plugin' then return host.table(name) end
    if name == 'shared' then return setmetatable(host.table(name), shared) end
  end,
  __newindex = function(_, name) error("cannot set 'kong.ctx." .. tostring(name) .. "'", 2) end,
})

local function words(...)
  local all = { ... }
  for i = 1, select('#', ...) do all[i] = tostring(all[i]) end
  return concat(all)
end
local log = {}
for _, level in ipairs { 'debug', 'info', 'notice', 'warn', 'err', 'crit', 'alert', 'emerg' } do
  log[level] = function(...) host.log(level, words(...)) end
end
log.deprecation = function(...) host.log('warn', words(...)) end
local function shown(value, indent, seen)
  if type(value) == 'string' then return ('%q'):format(value) end
  if type(value) ~= 'table' then return tostring(value) end
  if seen[value] then return '<cycle>' end
  seen[value] = true
  local parts, n = {}, 0
  for k, v in pairs(value) do
    n = n + 1
    local key = type(k) == 'string' and k or '[' .. tostring(k) .. ']'
    parts[n] = indent .. '  ' .. key .. ' = ' .. shown(v, indent .. '  ', seen)
  end
  seen[value] = nil
  if n == 0 then return '{}' end
  return '{\\n' .. concat(parts, ',\\n') .. '\\n' .. indent .. '}'
end
local function inspect(...)
  local all = { ... }
  for i = 1, select('#', ...) do all[i] = shown(all[i], '', {}) end
  host.log('debug', concat(all, ' '))
end
log.inspect = setmetatable({ on = function() end, off = function() end }, { __call = function(_, ...) inspect(...) end })
kong.log = setmetatable(log, { __call = function(_, ...) host.log('notice', words(...)) end })

kong.table = {
  new = function() return {} end,
  clear = function(t) for k in pairs(t) do t[k] = nil end end,
  merge = function(a, b)
    local all = {}
    for k, v in pairs(a or {}) do all[k] = v end
    for k, v in pairs(b or {}) do all[k] = v end
    return all
  end,
}

-- Names of headers in any spelling.
local spelt = { __index = function(t, name)
  if type(name) ~= 'string' then return nil end
  return rawget(t, (name:lower():gsub('_', '-')))
end }
local function any_spelling(native)
  return function(...)
    local headers, message = native(...)
    if type(headers) ~= 'table' then return headers, message end
    return setmetatable(headers, spelt), message
  end
end
for _, library in ipairs { kong.request, kong.response, kong.service.response } do
  library.get_headers = any_spelling(library.get_headers)
end

ngx.ctx = setmetatable({}, {
  __index = function(_, k) return host.table('ngx')[k] end,
  __newindex = function(_, k, v) host.table('ngx')[k] = v end,
})
ngx.var = setmetatable({}, {
  __index = function(_, name) return host.variable(name) end,
  __newindex = function(_, name, value) host.set_variable(name, value) end,
})
ngx.header = setmetatable({}, {
  __index = function(_, name) return host.reply_header(name) end,
  __newindex = function(_, name, value) host.set_reply_header(name, value) end,
})
ngx.arg = setmetatable({}, {
  __index = function(_, i) return host.argument(i) end,
  __newindex = function(_, i, value) host.set_argument(i, value) end,
})
setmetatable(ngx, {
  __index = function(_, name) if name == 'status' then return kong.response.get_status() end end,
  __newindex = function(t, name, value)
    if name == 'status' then host.set_status(value) else rawset(t, name, value) end
  end,
})
ngx.req.get_headers = any_spelling(ngx.req.get_headers)
ngx.log = function(level, ...) host.log(host.levels[level] or 'err', words(...)) end
print = function(...) host.log('notice', words(...)) end
local function flat(value)
  if type(value) ~= 'table' then return tostring(value) end
  local parts = {}
  for i, v in ipairs(value) do parts[i] = flat(v) end
  return concat(parts)
end
local function said(...)
  local all = { ... }
  for i = 1, select('#', ...) do all[i] = flat(all[i]) end
  return concat(all)
end
ngx.print = function(...) host.say(said(...)) return 1 end
ngx.say = function(...) host.say(said(...) .. '\\n') return 1 end
ngx.timer.at = function(delay, f, ...)
  local given, n = { ... }, select('#', ...)
  host.timer(delay, function() f(false, unpack(given, 1, n)) end)
  return true
end
ngx.re.gmatch = function(subject, regex, options)
  local at = { pos = 1 }
  return function()
    local from, to, m = host.re_next(subject, regex, options or '', at.pos)
    if from == nil then at.pos = #subject + 2 return nil end
    at.pos = to >= from and to + 1 or from + 1
    return m
  end
end
local re_replace = host.re_replace
local function substitute(all)
  return function(subject, regex, with, options)
    if type(with) ~= 'function' then return re_replace(subject, regex, with, options or '', all) end
    local parts, n, at, copied, count = {}, 0, 1, 1, 0
    subject = tostring(subject)
    while at <= #subject + 1 do
      local from, to, m = host.re_next(subject, regex, options or '', at)
      if from == nil then break end
      count = count + 1
      parts[n + 1] = subject:sub(copied, from - 1)
      parts[n + 2] = tostring(with(m))
      n = n + 2
      copied = to + 1
      at = to >= from and to + 1 or from + 1
      if not all then break end
    end
    parts[n + 1] = subject:sub(copied)
    return concat(parts), count, nil
  end
end
ngx.re.sub, ngx.re.gsub = substitute(false), substitute(true)

local function safely(f)
  return function(value)
    local ok, result = pcall(f, value)
    if ok then return result end
    return nil, result
  end
end
local modules = {
  cjson = host.cjson,
  ['cjson.safe'] = {
    null = host.cjson.null,
    encode = safely(host.cjson.encode),
    decode = safely(host.cjson.decode),
  },
  bit = host.bit,
  ['resty.string'] = { to_hex = host.to_hex, atoi = tonumber },
  ['resty.random'] = { bytes = host.random_bytes },
  ['ngx.re'] = { split = function(subject, regex, options)
    local parts, n, at, copied = {}, 0, 1, 1
    while at <= #subject do
      local from, to = host.re_next(subject, regex, options or '', at)
      if from == nil or to < from then break end
      n = n + 1
      parts[n] = subject:sub(copied, from - 1)
      copied, at = to + 1, to + 1
    end
    parts[n + 1] = subject:sub(copied)
    return parts
  end },
  ['ngx.base64'] = { encode_base64url = host.encode_base64url, decode_base64url = host.decode_base64url },
  ['table.new'] = kong.table.new,
  ['table.clear'] = kong.table.clear,
  ['table.nkeys'] = function(t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end,
  ['table.isempty'] = function(t) return next(t) == nil end,
  ['kong.tools.string'] = {
    strip = function(s) return (tostring(s):match('^%s*(.-)%s*$')) end,
    split = function(s, by)
      local parts, n, at = {}, 0, 1
      while true do
        local from, to = s:find(by, at, true)
        n = n + 1
        if from == nil or by == '' then parts[n] = s:sub(at) return parts end
        parts[n] = s:sub(at, from - 1)
        at = to + 1
      end
    end,
  },
}
local function hash(name, size)
  return { new = function()
    local parts = {}
    return {
      update = function(_, text) parts[#parts + 1] = text return true end,
      final = function() return host.digest(name, concat(parts)) end,
      reset = function() parts = {} return true end,
    }
  end }
end
for _, name in ipairs { 'md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512' } do modules['resty.' .. name] = hash(name) end
modules['resty.http'] = { new = function()
  local timeout = 60000
  local client = {}
  function client.set_timeout(_, ms) timeout = ms end
  function client.set_timeouts(_, connect, send, read) timeout = read end
  function client.request_uri(_, uri, options)
    local answer, message = host.fetch(uri, options or {}, timeout)
    if answer == nil then return nil, message end
    setmetatable(answer.headers, spelt)
    return answer
  end
  function client.close() return 1 end
  function client.set_keepalive() return 1 end
  return client
end }
for name in pairs(host.refused) do modules[name] = nil end
-- Modules that come as source: of custom plugins.
local sources, loading = {}, {}
local function provide(name, source) sources[name] = source end
for name, source in pairs(host.libraries) do sources[name] = 'local _, host = ... ' .. source end
function require(name)
  local module = modules[name]
  if module ~= nil then return module end
  local source = sources[name]
  if source ~= nil then
    if loading[name] then error("loop or previous error loading module '" .. name .. "'", 2) end
    loading[name] = true
    local chunk, message = load(source, '@' .. name:gsub('%.', '/') .. '.lua')
    if not chunk then error("error loading module '" .. name .. "': " .. message, 0) end
    module = chunk(name, host.libraries[name] and host or nil)
    if module == nil then module = true end
    modules[name], loading[name] = module, nil
    return module
  end
  error("module '" .. tostring(name) .. "' is not there: plugins at the edge have " .. host.module_names, 2)
end
local names = {}
for name in pairs(modules) do names[#names + 1] = name end
for name in pairs(host.libraries) do names[#names + 1] = name end
table.sort(names)
host.module_names = concat(names, ', ')

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

local no_span = setmetatable({}, { __index = function() return function(self) return self end end })
kong.tracing = { start_span = function() return no_span end, active_span = function() end, set_active_span = function() end }
kong.telemetry = { log = function() return true end }
local function is_reference(text)
  return type(text) == 'string' and text:sub(1, 9) == '{vault://' and text:sub(-1) == '}'
end
-- Of config with its references, which are kept beside it: what cannot be resolved becomes empty.
local function update(config)
  if type(config) ~= 'table' then return config end
  for key, value in pairs(config) do if type(value) == 'table' and key ~= '$refs' then update(value) end end
  local references = config['$refs']
  if type(references) ~= 'table' then return config end
  for key, reference in pairs(references) do
    if type(reference) == 'table' then
      config[key] = type(config[key]) == 'table' and config[key] or {}
      for i, each in pairs(reference) do config[key][i] = host.vault_get(each) or '' end
    else
      config[key] = host.vault_get(reference) or ''
    end
  end
  return config
end
kong.vault = {
  is_reference = is_reference,
  parse_reference = host.parse_reference,
  get = host.vault_get,
  update = update,
  flush = function() end,
  -- Calls again with options that were looked up anew where the first call did not work.
  try = function(callback, options)
    local answers = { callback(options) }
    if answers[1] or type(options) ~= 'table' or type(options['$refs']) ~= 'table' then return unpack(answers) end
    return callback(update(options))
  end,
}
kong.log.set_serialize_value = host.set_log_value
kong.log.serialize = host.serialize

-- The sandbox: libraries that a script can read and not change, globals of its own, and no way to others'.
local function frozen(t, seen)
  if seen[t] then return seen[t] end
  local view = {}
  seen[t] = view
  local within = {}
  for k, v in pairs(t) do if type(v) == 'table' then within[k] = frozen(v, seen) end end
  local assigns = t == ngx or t == ngx.var or t == ngx.header or t == ngx.arg or t == ngx.ctx
  local outer = getmetatable(t)
  return setmetatable(view, {
    __metatable = false,
    __index = function(_, k)
      local inner = within[k]
      if inner ~= nil then return inner end
      return t[k]
    end,
    __newindex = function(_, k, v)
      if not assigns or (t == ngx and k ~= 'status') then error("attempt to modify a read-only table", 2) end
      t[k] = v
    end,
    __call = outer and outer.__call and function(_, ...) return t(...) end or nil,
  })
end
getmetatable('').__metatable = false
local seen, base = {}, {}
for _, name in ipairs { 'assert', 'error', 'getmetatable', 'ipairs', 'next', 'pairs', 'pcall', 'print', 'rawequal', 'rawget',
  'select', 'setmetatable', 'tonumber', 'tostring', 'type', 'unpack', 'xpcall', '_VERSION' } do base[name] = _G[name] end
for _, name in ipairs { 'bit', 'coroutine', 'kong', 'math', 'ngx', 'os', 'string', 'table' } do
  base[name] = frozen(name == 'bit' and host.bit or _G[name], seen)
end
local function add_globals(env, paths)
  for _, path in ipairs(paths) do
    local from, to = _G, env
    local parent, last = path:match('^(.-)%.?([^.]+)$')
    for part in parent:gmatch('[^.]+') do
      from = type(from) == 'table' and from[part] or nil
      to[part] = to[part] or {}
      to = to[part]
    end
    if type(from) == 'table' then to[last] = from[last] end
  end
end

-- Expressions of templates see the request through four tables, each made when it is first asked for.
local inputs = {
  headers = any_spelling(host.template_headers),
  query_params = function() return kong.request.get_query(1000) end,
  uri_captures = host.template_captures,
  shared = function() return kong.ctx.shared end,
}
local function texts(...)
  local all, n = { ... }, select('#', ...)
  for i = 1, n do all[i] = tostring(all[i]) end
  return unpack(all, 1, n)
end
local function template(chunk, open, environment)
  local globals = _G
  if not open then
    globals = { type = type }
    add_globals(globals, environment)
  end
  setfenv(chunk, setmetatable({}, {
    __metatable = false,
    __index = function(_, name)
      local input = inputs[name]
      if input == nil then return globals[name] end
      local made = host.table('template')
      if made[name] == nil then made[name] = input() end
      return made[name]
    end,
    __newindex = function() error('This environment is read-only.', 2) end,
  }))
  return function() return texts(chunk()) end
end

return function(chunk, requires, environment)
  local allowed = {}
  for _, name in ipairs(requires) do allowed[name] = true end
  local env = { require = function(name)
    if not allowed[name] then error("require '" .. tostring(name) .. "' not allowed within sandbox", 2) end
    return require(name)
  end }
  add_globals(env, environment)
  env._G = env
  return setfenv(chunk, setmetatable(env, { __index = base, __metatable = false }))
end, template, provide, require
`;
