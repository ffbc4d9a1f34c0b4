/** The sandbox of scripts, the environment of templates, and what the prelude gives: `sandbox, template, provide, require`. */
export const SANDBOX_PRELUDE = `
-- The sandbox: libraries that a script can read and not change, globals of its own, and no way to others'.
local function frozen(t, seen)
  if seen[t] then return seen[t] end
  local view = {}
  seen[t] = view
  -- What is there is looked up in a table that nobody can reach, without a call of Lua; what t makes when it is asked is asked of t.
  local within = {}
  for k, v in pairs(t) do within[k] = type(v) == 'table' and frozen(v, seen) or v end
  setmetatable(within, { __index = t })
  local assigns = t == ngx or t == ngx.var or t == ngx.header or t == ngx.arg or t == ngx.ctx
  local outer = getmetatable(t)
  return setmetatable(view, {
    __metatable = false,
    __index = within,
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
-- What puts a value into a table itself asks no __newindex: the numbers of ngx.arg would be found there by all scripts, ever after.
local lists, insert = {}, table.insert
for name, f in pairs(table) do lists[name] = f end
lists.insert = function(t, ...)
  if getmetatable(t) == false then error("attempt to modify a read-only table", 2) end
  return insert(t, ...)
end
base.table = frozen(lists, seen)
-- What all scripts' tables of a kind have in common, of this request and of others: who could change it would be called with theirs.
local common = { [spelt] = true, [shared] = true, [array_mt] = true }
base.getmetatable = function(value)
  local found = getmetatable(value)
  if common[found] then return false end
  return found
end
-- The kong of all, with a log whose form a script sets for its own lines alone.
local function own_kong()
  local found = setmetatable({}, { __index = function(t, name)
    local value = base.kong[name]
    if name == 'log' then value = frozen(facility('core'), {}) end
    if value ~= nil then rawset(t, name, value) end
    return value
  end })
  return setmetatable({}, {
    __metatable = false, __index = found, __newindex = function() error("attempt to modify a read-only table", 2) end,
  })
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

-- A copy of a module that a script may change for itself alone; the functions in it know the module as it is.
local function copied(value, known)
  if type(value) ~= 'table' then return value end
  if known[value] then return known[value] end
  local copy = {}
  known[value] = copy
  for k, v in pairs(value) do copy[k] = copied(v, known) end
  local meta = getmetatable(value)
  if type(meta) ~= 'table' then return copy end
  common[meta] = true
  return setmetatable(copy, meta)
end
-- What there is of require in the sandbox: the modules that are allowed.
local function allowing(requires)
  local allowed, made = {}, {}
  for _, name in ipairs(requires) do allowed[name] = true end
  return function(name)
    if not allowed[name] then error("require '" .. tostring(name) .. "' not allowed within sandbox", 2) end
    if made[name] == nil then
      local is_cjson = name == 'cjson' or name == 'cjson.safe'
      made[name] = is_cjson and new_cjson(name == 'cjson.safe', { __array = true }) or copied(require(name), {})
    end
    return made[name]
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
local function template(chunk, open, requires, environment)
  local globals = _G
  if not open then
    globals = { type = type, require = allowing(requires) }
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
  local env = { require = allowing(requires) }
  add_globals(env, environment)
  env._G = env
  if env.kong == nil then env.kong = own_kong() end
  return setfenv(chunk, setmetatable(env, { __index = base, __metatable = false }))
end, template, provide, require
`;
