import { CERTIFICATE_LIBRARIES } from './libraries/certificates.ts';
import { INSPECT_LIBRARY } from './libraries/inspect.ts';
import { REDIS_LIBRARY } from './libraries/redis.ts';

/**
 * Modules written in Lua that plugins expect, by name: compiled by the first `require` of a machine, so that they cost nothing where nobody
 * asks for them. Each has the natives of the prelude as `host`.
 */
export const LIBRARIES: Readonly<Record<string, string>> = {
  ...CERTIFICATE_LIBRARIES,
  inspect: INSPECT_LIBRARY,
  'resty.redis': REDIS_LIBRARY,
  'resty.lrucache': `
local lru = {}
local instance = { __index = lru, __metatable = false }
-- Two halves: what is asked for moves to the young one, and the old one goes whole.
function lru.new(size)
  if type(size) ~= 'number' or size < 1 then return nil, 'size too small' end
  return setmetatable({ size = size, young = {}, old = {}, fresh = 0 }, instance)
end
function lru:keep(key, entry)
  if self.young[key] == nil then
    if self.fresh >= self.size / 2 then self.old, self.young, self.fresh = self.young, {}, 0 end
    self.fresh = self.fresh + 1
  end
  self.young[key], self.old[key] = entry, nil
end
function lru:get(key)
  local entry = self.young[key] or self.old[key]
  if entry == nil then return nil end
  if entry.ends and entry.ends <= ngx.now() then return nil, entry.value, entry.flags end
  self:keep(key, entry)
  return entry.value, nil, entry.flags
end
function lru:set(key, value, ttl, flags)
  self:keep(key, { value = value, ends = ttl and ngx.now() + ttl or nil, flags = flags or 0 })
end
function lru:delete(key)
  if self.young[key] ~= nil then self.fresh = self.fresh - 1 end
  self.young[key], self.old[key] = nil, nil
end
function lru:get_keys(most)
  local keys = {}
  for _, half in ipairs { self.young, self.old } do
    for key in pairs(half) do
      if most and most > 0 and #keys >= most then return keys end
      keys[#keys + 1] = key
    end
  end
  return keys
end
function lru:count() return #self:get_keys() end
function lru:capacity() return self.size end
function lru:flush_all() self.young, self.old, self.fresh = {}, {}, 0 end
return lru`,

  'kong.tools.table': `
local t = {}
function t.shallow_copy(from)
  if type(from) ~= 'table' then return from end
  local copy = {}
  for k, v in pairs(from) do copy[k] = v end
  return copy
end
function t.deep_copy(from, without_metatables)
  if type(from) ~= 'table' then return from end
  local copy = {}
  for k, v in pairs(from) do copy[t.deep_copy(k)] = t.deep_copy(v, without_metatables) end
  local meta = getmetatable(from)
  if without_metatables or type(meta) ~= 'table' then return copy end
  return setmetatable(copy, meta)
end
t.cycle_aware_deep_copy = t.deep_copy
function t.table_contains(list, value)
  for _, item in pairs(list or {}) do if item == value then return true end end
  return false
end
function t.table_merge(a, b)
  local all = {}
  for k, v in pairs(a or {}) do all[k] = v end
  for k, v in pairs(b or {}) do all[k] = v end
  return all
end
function t.concat(a, b)
  local all = {}
  for _, list in ipairs { a or {}, b or {} } do for _, v in ipairs(list) do all[#all + 1] = v end end
  return all
end
function t.is_array(list)
  if type(list) ~= 'table' then return false end
  local n = 0
  for _ in pairs(list) do n = n + 1 if list[n] == nil then return false end end
  return true
end
function t.pack(...) return { n = select('#', ...), ... } end
function t.unpack(list, from, to) return unpack(list, from or 1, to or list.n or #list) end
return t`,

  'kong.tools.uuid': `
local uuid = {}
function uuid.uuid()
  local hex = host.to_hex(host.random_bytes(16))
  return hex:sub(1, 8) .. '-' .. hex:sub(9, 12) .. '-4' .. hex:sub(14, 16) .. '-' ..
    ('%x'):format(8 + tonumber(hex:sub(17, 17), 16) % 4) .. hex:sub(18, 20) .. '-' .. hex:sub(21)
end
function uuid.is_valid_uuid(text)
  return type(text) == 'string' and #text == 36 and
    text:match('^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$') ~= nil
end
return uuid`,

  'kong.tools.utils': `
local all = {}
for _, name in ipairs { 'kong.tools.string', 'kong.tools.table', 'kong.tools.uuid' } do
  for key, value in pairs(require(name)) do all[key] = value end
end
all.encode_args, all.decode_args = ngx.encode_args, ngx.decode_args
function all.random_string() return (ngx.encode_base64(host.random_bytes(24)):gsub('[/+=]', 'x')) end
return all`,

  'kong.constants': `
return { HEADERS = {
  HOST_OVERRIDE = 'X-Host-Override', PROXY_LATENCY = 'X-Kong-Proxy-Latency', RESPONSE_LATENCY = 'X-Kong-Response-Latency',
  UPSTREAM_LATENCY = 'X-Kong-Upstream-Latency', UPSTREAM_STATUS = 'X-Kong-Upstream-Status',
  CONSUMER_ID = 'X-Consumer-ID', CONSUMER_CUSTOM_ID = 'X-Consumer-Custom-ID', CONSUMER_USERNAME = 'X-Consumer-Username',
  CONSUMER_GROUPS = 'X-Consumer-Groups', AUTHENTICATED_GROUPS = 'X-Authenticated-Groups',
  CREDENTIAL_USERNAME = 'X-Credential-Username', CREDENTIAL_IDENTIFIER = 'X-Credential-Identifier',
  ANONYMOUS = 'X-Anonymous-Consumer', VIA = 'Via', SERVER = 'Server', REQUEST_ID = 'X-Kong-Request-Id',
  FORWARDED_PREFIX = 'X-Forwarded-Prefix', FORWARDED_PATH = 'X-Forwarded-Path', FORWARDED_HOST = 'X-Forwarded-Host',
  FORWARDED_PORT = 'X-Forwarded-Port', FORWARDED_PROTO = 'X-Forwarded-Proto',
  RATELIMIT_LIMIT = 'X-RateLimit-Limit', RATELIMIT_REMAINING = 'X-RateLimit-Remaining',
} }`,

  'kong.meta': `
return { version = kong.version, core_version = kong.version, _NAME = 'kong', _VERSION = kong.version, _SERVER_TOKENS = 'kong/' .. kong.version }`,

  'socket.url': `
local url = {}
url.escape = ngx.escape_uri
function url.unescape(text) return (text:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end)) end
function url.parse(text, default)
  local parsed = {}
  for k, v in pairs(default or {}) do parsed[k] = v end
  if not text or text == '' then return nil, 'invalid url' end
  text = text:gsub('#(.*)$', function(f) parsed.fragment = f return '' end)
  text = text:gsub('^([%w][%w%+%-%.]*)%:', function(s) parsed.scheme = s return '' end)
  text = text:gsub('^//([^/%?]*)', function(n) parsed.authority = n return '' end)
  text = text:gsub('%?(.*)', function(q) parsed.query = q return '' end)
  text = text:gsub('%;(.*)', function(p) parsed.params = p return '' end)
  if text ~= '' then parsed.path = text end
  local authority = parsed.authority
  if not authority then return parsed end
  authority = authority:gsub('^([^@]*)@', function(u) parsed.userinfo = u return '' end)
  authority = authority:gsub(':(%d+)$', function(p) parsed.port = p return '' end)
  if authority ~= '' then parsed.host = authority:match('^%[(.+)%]$') or authority end
  if parsed.userinfo then
    parsed.user, parsed.password = parsed.userinfo:match('^([^:]*):?(.*)$')
    if parsed.password == '' then parsed.password = nil end
  end
  return parsed
end
function url.build(p)
  local authority = p.authority
  if p.host then
    authority = (p.host:find(':', 1, true) and '[' .. p.host .. ']' or p.host) .. (p.port and ':' .. p.port or '')
    local user = p.userinfo or (p.user and (p.password and p.user .. ':' .. p.password or p.user))
    if user then authority = user .. '@' .. authority end
  end
  return (p.scheme and p.scheme .. ':' or '') .. (authority and '//' .. authority or '') .. (p.path or '') ..
    (p.params and ';' .. p.params or '') .. (p.query and '?' .. p.query or '') .. (p.fragment and '#' .. p.fragment or '')
end
return url`,

  'pl.stringx': `
local s = {}
local function plain(text, part, from) return text:find(part, from or 1, true) end
local function any(part, test) for _, one in ipairs(type(part) == 'table' and part or { part }) do if test(one) then return true end end return false end
function s.startswith(text, part) return any(part, function(one) return text:sub(1, #one) == one end) end
function s.endswith(text, part) return any(part, function(one) return #text >= #one and (one == '' or text:sub(-#one) == one) end) end
function s.split(text, by, most)
  local parts = {}
  if by == nil then
    for word in text:gmatch('%S+') do parts[#parts + 1] = word end
    return parts
  end
  local at = 1
  while true do
    local from, to = plain(text, by, at)
    if from == nil or (most and #parts + 1 >= most) then parts[#parts + 1] = text:sub(at) return parts end
    parts[#parts + 1] = text:sub(at, from - 1)
    at = to + 1
  end
end
function s.replace(text, old, new, most)
  local parts, at, n = {}, 1, 0
  while not most or n < most do
    local from, to = plain(text, old, at)
    if from == nil or to < from then break end
    parts[#parts + 1] = text:sub(at, from - 1) .. new
    at, n = to + 1, n + 1
  end
  return table.concat(parts) .. text:sub(at)
end
local function trimmed(text, chars, left, right)
  local class = chars and '[' .. chars:gsub('[%^%]%-%%]', '%%%0') .. ']' or '%s'
  if left then text = text:gsub('^' .. class .. '+', '') end
  if right then text = text:gsub(class .. '+$', '') end
  return text
end
function s.strip(text, chars) return trimmed(text, chars, true, true) end
function s.lstrip(text, chars) return trimmed(text, chars, true, false) end
function s.rstrip(text, chars) return trimmed(text, chars, false, true) end
function s.count(text, part)
  local n, at = 0, 1
  while true do
    local from, to = plain(text, part, at)
    if from == nil or to < from then return n end
    n, at = n + 1, to + 1
  end
end
function s.lfind(text, part, from) return (plain(text, part, from)) end
function s.join(by, list) return table.concat(list, by) end
function s.lower(text) return text:lower() end
function s.upper(text) return text:upper() end
function s.isalpha(text) return text:find('^%a+$') == 1 end
function s.isdigit(text) return text:find('^%d+$') == 1 end
function s.isalnum(text) return text:find('^%w+$') == 1 end
function s.isspace(text) return text:find('^%s+$') == 1 end
return s`,

  'pl.tablex': `
local t = {}
function t.copy(from) local all = {} for k, v in pairs(from) do all[k] = v end return all end
function t.deepcopy(from)
  if type(from) ~= 'table' then return from end
  local all = {}
  for k, v in pairs(from) do all[t.deepcopy(k)] = t.deepcopy(v) end
  local meta = getmetatable(from)
  return type(meta) == 'table' and setmetatable(all, meta) or all
end
function t.deepcompare(a, b)
  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
  for k, v in pairs(a) do if not t.deepcompare(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end
function t.readonly(from)
  return setmetatable({}, { __index = from, __newindex = function() error('Attempt to modify read-only table', 2) end, __metatable = false })
end
function t.size(from) local n = 0 for _ in pairs(from) do n = n + 1 end return n end
function t.keys(from) local all = {} for k in pairs(from) do all[#all + 1] = k end return all end
function t.values(from) local all = {} for _, v in pairs(from) do all[#all + 1] = v end return all end
function t.find(list, value, from) for i = from or 1, #list do if list[i] == value then return i end end end
function t.search(from, value) for k, v in pairs(from) do if v == value then return tostring(k) end end end
function t.update(into, from) for k, v in pairs(from) do into[k] = v end return into end
function t.map(f, from, ...) local all = {} for k, v in pairs(from) do all[k] = f(v, ...) end return all end
function t.filter(list, test, ...) local all = {} for _, v in ipairs(list) do if test(v, ...) then all[#all + 1] = v end end return all end
function t.foreach(from, f, ...) for k, v in pairs(from) do f(v, k, ...) end end
function t.insertvalues(into, list) for _, v in ipairs(list) do into[#into + 1] = v end return into end
function t.makeset(list) local all = {} for _, v in ipairs(list) do all[v] = true end return all end
function t.merge(a, b, both)
  local all = {}
  for k, v in pairs(a) do if both or b[k] ~= nil then all[k] = v end end
  if both then for k, v in pairs(b) do all[k] = v end end
  return all
end
return t`,

  'resty.hmac': `
local hmac = { ALGOS = { MD5 = 'md5', SHA1 = 'sha1', SHA256 = 'sha256', SHA512 = 'sha512' } }
local instance = { __index = hmac, __metatable = false }
function hmac:new(key, algorithm) return setmetatable({ key = key, algorithm = algorithm or 'md5', parts = {} }, instance) end
function hmac:update(text) self.parts[#self.parts + 1] = text return true end
function hmac:final(text, hex)
  if text then self:update(text) end
  local bytes = host.hmac(self.algorithm, self.key, table.concat(self.parts))
  self.parts = {}
  return hex and host.to_hex(bytes) or bytes
end
function hmac:reset() self.parts = {} return true end
return hmac`,

  'resty.openssl.hmac': `
local hmac = {}
local instance = { __index = hmac, __metatable = false }
function hmac.new(key, algorithm) return setmetatable({ key = key, algorithm = algorithm or 'sha1', parts = {} }, instance) end
function hmac:update(...) for _, text in ipairs { ... } do self.parts[#self.parts + 1] = text end return true end
function hmac:final(text)
  if text then self:update(text) end
  return host.hmac(self.algorithm:lower(), self.key, table.concat(self.parts))
end
return hmac`,

  'resty.openssl.digest': `
local digest = {}
local instance = { __index = digest, __metatable = false }
function digest.new(algorithm) return setmetatable({ algorithm = (algorithm or 'sha1'):lower(), parts = {} }, instance) end
function digest:update(...) for _, text in ipairs { ... } do self.parts[#self.parts + 1] = text end return true end
function digest:final(text)
  if text then self:update(text) end
  return host.digest(self.algorithm, table.concat(self.parts))
end
return digest`,

  'kong.plugins.jwt.jwt_parser': `
local parser = {}
local instance = { __index = parser, __metatable = false }
function parser:new(token)
  if type(token) ~= 'string' then error('Token must be a string, got ' .. tostring(token), 2) end
  local decoded, message = host.jwt_decode(token)
  if not decoded then return nil, message end
  decoded.token = token
  decoded.header_64, decoded.claims_64, decoded.signature_64 = token:match('^([^.]*)%.([^.]*)%.([^.]*)$')
  return setmetatable(decoded, instance)
end
function parser:base64_decode(text) return host.decode_base64url(text) end
function parser:verify_signature(key) return host.jwt_verify(self.token, key) end
function parser:get_header() return self.header end
function parser:verify_registered_claims(names)
  local errors
  for _, name in ipairs(names or {}) do
    local value, now = self.claims[name], ngx.time()
    local message
    if type(value) ~= 'number' then message = 'must be a number'
    elseif name == 'nbf' and value > now then message = 'token not valid yet'
    elseif name == 'exp' and value <= now then message = 'token expired' end
    if message then errors = errors or {} errors[name] = message end
  end
  return errors == nil, errors
end
function parser:check_maximum_expiration(most)
  if most <= 0 then return true end
  local exp = self.claims.exp
  if exp == nil or exp - ngx.time() > most then return false, { exp = 'exceeds maximum allowed expiration' } end
  return true
end
return parser`,
};
