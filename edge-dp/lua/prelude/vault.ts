/** `kong.vault`, and the parts of `kong` for traces and logs. */
export const VAULT_PRELUDE = `
-- The one that all are given, whoever they are: nothing that is put there stays.
local no_span = setmetatable({}, {
  __metatable = false, __index = function() return function(self) return self end end, __newindex = function() end,
})
kong.tracing = { start_span = function() return no_span end, active_span = function() return no_span end, set_active_span = function() end,
  process_span = function() end, get_sampling_decision = function() return false end, set_should_sample = function() end }
kong.telemetry = { log = function(plugin_name, plugin_config, message_type, message, attributes)
  if type(plugin_name) ~= 'string' then return nil, 'plugin_name must be a string' end
  if type(plugin_config) ~= 'table' then return nil, 'plugin_config must be a table' end
  if type(message_type) ~= 'string' then return nil, 'message_type must be a string' end
  if message and type(message) ~= 'string' then return nil, 'message must be a string' end
  if attributes and type(attributes) ~= 'table' then return nil, 'attributes must be a table' end
  return host.telemetry_log(plugin_name, message_type, message or '', attributes or {})
end }
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
`;
