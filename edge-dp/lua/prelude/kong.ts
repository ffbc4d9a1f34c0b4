/** `kong.ctx`, `kong.log`, `kong.db` and `kong.table`; the locals at its top are those of all parts. */
export const KONG_PRELUDE = `
local host = ...
local setmetatable, rawget, rawset, type, tostring, select = setmetatable, rawget, rawset, type, tostring, select
local concat = table.concat

-- The one field of kong.ctx.shared that plugins of the gateway read is kept where they do. What they put there themselves is found
-- until a script puts something in its place.
local shared = {
  __index = function(_, name)
    if name == 'authenticated_groups' then return host.authenticated_groups() end
    return host.shared(name)
  end,
  __newindex = function(t, name, value)
    if name == 'authenticated_groups' then return host.set_authenticated_groups(value) end
    host.unset_shared(name)
    rawset(t, name, value)
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
local function inspect(...)
  local all = { ... }
  for i = 1, select('#', ...) do all[i] = require('inspect')(all[i]) end
  host.log('debug', concat(all, ' '))
end
log.inspect = setmetatable({ on = function() end, off = function() end }, { __call = function(_, ...) inspect(...) end })
kong.log = setmetatable(log, { __call = function(_, ...) host.log('notice', words(...)) end })

kong.db = {
  ca_certificates = {
    select = function(_, key) return host.authorities.one(type(key) == 'table' and key.id or nil) end,
    each = function()
      local rows, at = host.authorities.all(), 0
      return function() at = at + 1 return rows[at] end
    end,
  },
}
kong.nginx = {
  get_subsystem = function() return host.subsystem() end,
}
-- What there is of nginx's: this machine, and no dictionaries that nginx's workers share.
kong.node.get_memory_stats = function(unit, scale)
  local u = (unit or 'b'):lower()
  local power = ({ b = 0, k = 10, m = 20, g = 30 })[u]
  if not power then error("invalid unit '" .. unit .. "' (expected 'k/K', 'm/M', or 'g/G')", 2) end
  if type(scale or 2) ~= 'number' or (scale or 2) < 0 then error('scale must be equal or greater than 0', 2) end
  local used = host.memory_used()
  if power > 0 then used = ('%.' .. (scale or 2) .. 'f %siB'):format(used / 2 ^ power, u:upper()) end
  return { workers_lua_vms = { { pid = ngx.worker.pid(), http_allocated_gc = used } }, lua_shared_dicts = {} }
end

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
`;
