/** `kong.ctx`, `kong.log`, `kong.db` and `kong.table`; the locals at its top are those of all parts. */
export const KONG_PRELUDE = `
local host = ...
local setmetatable, rawget, rawset, type, tostring, select, unpack = setmetatable, rawget, rawset, type, tostring, select, unpack
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
-- What writes lines: kong.log, and those a plugin makes of it, each with a name and a form of its own.
local function facility(name)
  local self, format, inspects = {}, nil, true
  local prefix = name == 'core' and '' or '[' .. name .. '] '
  local function line(message)
    if format == nil then return prefix .. message end
    -- Which line of Lua it is from is not known here.
    local values = { message = message, namespace = name, file_src = '?', line_src = '?', func_name = '?' }
    return (format:gsub('(%%+)([a-z_]+)', function(marks, field) return #marks == 1 and values[field] or nil end))
  end
  for _, level in ipairs { 'debug', 'info', 'notice', 'warn', 'err', 'crit', 'alert', 'emerg' } do
    self[level] = function(...) local text = line(words(...)) host.log(level, text) end
  end
  self.deprecation = function(...)
    local all, n = { ... }, select('#', ...)
    local about = type(all[n]) == 'table' and all[n] or nil
    local message = words(unpack(all, 1, about and n - 1 or n))
    if about and about.after and about.removal then
      message = message .. ' (deprecated after ' .. about.after .. ', scheduled for removal in ' .. about.removal .. ')'
    elseif about and about.after then message = message .. ' (deprecated after ' .. about.after .. ')'
    elseif about and about.removal then message = message .. ' (scheduled for removal in ' .. about.removal .. ')' end
    local text = line(message)
    host.log('warn', text)
  end
  self.inspect = setmetatable({ on = function() inspects = true end, off = function() inspects = false end }, {
    __call = function(_, ...)
      if not inspects then return end
      local all = { ... }
      for i = 1, select('#', ...) do all[i] = require('inspect')(all[i]) end
      host.log('notice', prefix .. concat(all, ' '))
    end,
  })
  self.set_format = function(form)
    if form and type(form) ~= 'string' then error('format must be a string', 2) end
    format = form
  end
  return setmetatable(self, {
    __call = function(_, ...) local text = line(words(...)) host.log('notice', text) end,
    __index = function(_, key) return rawget(kong.log, key) end,
  })
end
kong.log = facility('core')
kong.log.new = function(name, format)
  if type(name) ~= 'string' then error('namespace must be a string', 2) end
  if name == '' then error('namespace cannot be an empty string', 2) end
  if format and type(format) ~= 'string' then error('format must be a string if specified', 2) end
  if format == '' then error('format cannot be an empty string if specified', 2) end
  local made = facility(name)
  made.set_format(format)
  return made
end

kong.configuration = setmetatable(kong.configuration, { __index = function(_, name) return host.configuration(name) end })
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
