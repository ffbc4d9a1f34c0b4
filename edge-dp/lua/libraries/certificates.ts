/** What holds certificates for `kong.service` and `kong.client.tls`, and reads nothing of them. */
export const CERTIFICATE_LIBRARIES: Readonly<Record<string, string>> = {
  'resty.openssl.x509': `
local x509 = {}
local instance = { __index = x509, __metatable = false }
function x509.new(text)
  if type(text) ~= 'string' or not text:find('-----BEGIN CERTIFICATE-----', 1, true) then
    return nil, 'x509.new: only certificates in PEM are read here'
  end
  return setmetatable({ pem = text }, instance)
end
function x509:to_PEM() return self.pem end
return x509`,

  'resty.openssl.x509.chain': `
local chain = {}
local instance = { __index = chain, __metatable = false }
function chain.new() return setmetatable({ ctx = { pem = '' } }, instance) end
function chain:add(certificate)
  if type(certificate) ~= 'table' or not certificate.pem then return false, 'expect a x509 instance at #1' end
  self.ctx.pem = self.ctx.pem .. certificate.pem .. '\\n'
  return true
end
return chain`,

  'resty.openssl.x509.store': `
local store = {}
local instance = { __index = store, __metatable = false }
function store.new() return setmetatable({ certificates = {} }, instance) end
function store:add(certificate)
  if type(certificate) ~= 'table' or not certificate.pem then return false, 'expect an x509 instance at #1' end
  self.certificates[#self.certificates + 1] = certificate.pem
  return true
end
return store`,
};
