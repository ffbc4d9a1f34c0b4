/** What of `ngx` is looked up, takes any number of arguments, or calls back; headers in any spelling. */
export const NGX_PRELUDE = `
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
  __index = function(_, k)
    local own = host.table('ngx')[k]
    -- What Kong keeps there of a request, and plugins look at.
    if own == nil then return host.kept(k) end
    return own
  end,
  __newindex = function(_, k, v)
    if k == 'authenticated_groups' then host.set_authenticated_groups(v)
    elseif not host.set_kept(k, v) then host.table('ngx')[k] = v end
  end,
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
  __index = function(_, name) if name == 'status' then return host.status() end end,
  __newindex = function(t, name, value)
    if name == 'status' then host.set_status(value) else rawset(t, name, value) end
  end,
})
ngx.req.get_headers = any_spelling(ngx.req.get_headers)
ngx.resp.get_headers = any_spelling(kong.response.get_headers)
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
  return host.timer(delay, function() f(false, unpack(given, 1, n)) end)
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
`;
