/** `resty.redis`: any command, pipelines, one connection for as long as the request. */
export const REDIS_LIBRARY = `
local host_redis = host.redis
local redis = { null = ngx.null }
local M = {}
function M.set_timeout(self, ms) self.timeout = ms end
function M.set_timeouts(self, connect, send, read) self.timeout = math.max(connect or 0, send or 0, read or 0) end
function M.connect(self, host, port, options)
  if type(port) ~= 'number' and type(port) ~= 'string' then return nil, 'unix domain sockets cannot be had on data planes' end
  options = options or {}
  local id, message = host_redis.connect(host, tonumber(port), rawget(self, 'timeout') or 60000, options.ssl == true, options.ssl_verify == true,
    options.server_name)
  self.id = id
  if not id then return nil, message end
  return 1
end
local function closed(self)
  if not rawget(self, 'id') then return nil, 'not initialized' end
  host_redis.close(self.id)
  self.id, self.commands = nil, nil
  return 1
end
-- A connection ends with its request; there is none to take up later.
M.close, M.set_keepalive = closed, closed
function M.get_reused_times(self)
  if not rawget(self, 'id') then return nil, 'not initialized' end
  return 0
end
local function send(self, command)
  if not rawget(self, 'id') then return nil, 'not initialized' end
  local commands = rawget(self, 'commands')
  if commands then commands[#commands + 1] = command return end
  return host_redis.send(self.id, command)
end
function M.hmset(self, key, ...)
  local command = { 'hmset', key }
  local first = ...
  if type(first) == 'table' then
    for k, v in pairs(first) do command[#command + 1], command[#command + 2] = k, v end
  else
    for _, word in ipairs { ... } do command[#command + 1] = word end
  end
  return send(self, command)
end
function M.init_pipeline(self) self.commands = {} end
function M.cancel_pipeline(self) self.commands = nil end
function M.commit_pipeline(self)
  local commands = rawget(self, 'commands')
  self.commands = nil
  if not commands then return nil, 'no pipeline' end
  if #commands == 0 then return {} end
  return host_redis.send_all(self.id, commands)
end
function M.array_to_hash(_, list)
  local all = {}
  for i = 1, #list, 2 do all[list[i]] = list[i + 1] end
  return all
end
for _, name in ipairs { 'subscribe', 'psubscribe', 'read_reply', 'monitor' } do
  M[name] = function() return nil, name .. ' cannot be had on data planes: a request waits for one reply' end
end
-- Any other name is a command: fields are asked for with rawget.
setmetatable(M, { __index = function(_, name)
  return function(self, ...)
    local command = { name, ... }
    for i = 1, select('#', ...) + 1 do command[i] = tostring(command[i]) end
    return send(self, command)
  end
end })
local instance = { __index = M, __metatable = false }
function redis.new() return setmetatable({}, instance) end
function redis.add_commands() end
return redis`;
