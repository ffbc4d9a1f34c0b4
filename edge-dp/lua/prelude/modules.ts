/** `require`, with the modules of OpenResty and Kong that are written in Lua, and those that come as source. */
export const MODULES_PRELUDE = `
local function safely(f)
  return function(value)
    local ok, result = pcall(f, value)
    if ok then return result end
    return nil, result
  end
end
-- Tables with this are arrays to the machine, also when they are empty.
local array_mt = { __array = true }
local function marked(value)
  for key, item in pairs(value) do
    if type(item) == 'table' then
      if rawget(item, '\0[]') then value[key] = setmetatable({}, array_mt) else marked(item) end
    end
  end
  return value
end
-- Bodies are handed over with their empty arrays marked, where there are any.
local function with_arrays(read)
  return function(...)
    local value, message, media, has_empty = read(...)
    if has_empty then value = marked({ value })[1] end
    return value, message, media
  end
end
kong.request.get_body = with_arrays(kong.request.get_body)
kong.service.response.get_body = with_arrays(kong.service.response.get_body)
local get_uri_captures = kong.request.get_uri_captures
kong.request.get_uri_captures = function()
  local captures = get_uri_captures()
  setmetatable(captures.unnamed, array_mt)
  return captures
end
-- An instance has settings of its own, which take the place of its two functions: as long as there are none these are the natives.
local new_cjson
function new_cjson(is_safe, array_mt)
  local own = is_safe and safely or function(f) return f end
  local encode, decode = host.cjson.encode, host.cjson.decode
  local m = { null = host.cjson.null, array_mt = array_mt, empty_array_mt = array_mt, empty_array = setmetatable({}, array_mt),
    encode = own(encode), decode = own(decode), new = function() return new_cjson(is_safe, array_mt) end, _NAME = 'cjson' }
  local empty_as_lists, bare_slashes = false, false
  local function respelt() m.encode = own(function(value) return encode(value, empty_as_lists, bare_slashes) end) end
  m.encode_empty_table_as_object = function(on) empty_as_lists = on == false or on == 'off' respelt() end
  m.encode_escape_forward_slash = function(on) bare_slashes = on == false respelt() end
  m.decode_array_with_array_mt = function(on)
    m.decode = own(on and function(text)
      local value = decode(text, true)
      return type(value) == 'table' and marked({ value })[1] or value
    end or decode)
  end
  for _, name in ipairs { 'encode_max_depth', 'decode_max_depth', 'encode_number_precision', 'encode_sparse_array',
    'encode_keep_buffer', 'encode_invalid_numbers', 'decode_invalid_numbers' } do m[name] = function() end end
  return m
end
local modules = {
  cjson = new_cjson(false, array_mt),
  ['cjson.safe'] = new_cjson(true, array_mt),
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
  ['ngx.ssl'] = {
    server_name = function() return ngx.var.ssl_server_name end,
    server_port = function() return tonumber(ngx.var.server_port) end,
    parse_pem_cert = function(pem)
      if type(pem) == 'string' and pem:find('-----BEGIN CERTIFICATE-----', 1, true) then return { pem = pem } end
      return nil, 'no start line'
    end,
    parse_pem_priv_key = function(pem)
      if type(pem) == 'string' and pem:find('PRIVATE KEY-----', 1, true) then return { key_pem = pem } end
      return nil, 'no start line'
    end,
    verify_client = function(ca) return kong.client.tls.request_client_certificate(ca) end,
  },
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
  local timeout, proxies = 60000, nil
  local client = {}
  function client.set_proxy_options(_, options) proxies = options end
  function client.set_timeout(_, ms) timeout = ms end
  function client.set_timeouts(_, connect, send, read) timeout = { connect = connect, write = send, read = read } end
  function client.request_uri(_, uri, options)
    options = options or {}
    if proxies ~= nil and options.proxy_opts == nil then
      local own = { proxy_opts = proxies }
      for k, v in pairs(options) do own[k] = v end
      options = own
    end
    local answer, message = host.fetch(uri, options, timeout)
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
`;
