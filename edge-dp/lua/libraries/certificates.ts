/** What holds certificates for `kong.service` and `kong.client.tls`, and reads nothing of them. */
export const CERTIFICATE_LIBRARIES: Readonly<Record<string, string>> = {
  'resty.openssl.x509': `
local x509 = {}
x509.__index = x509
function x509.new(text)
  if type(text) ~= 'string' or not text:find('-----BEGIN CERTIFICATE-----', 1, true) then
    return nil, 'x509.new: only certificates in PEM are read here'
  end
  return setmetatable({ pem = text }, x509)
end
function x509:to_PEM() return self.pem end
return x509`,

  'resty.openssl.x509.chain': `
local chain = {}
chain.__index = chain
function chain.new() return setmetatable({ ctx = { pem = '' } }, chain) end
function chain:add(certificate)
  if type(certificate) ~= 'table' or not certificate.pem then return false, 'expect a x509 instance at #1' end
  self.ctx.pem = self.ctx.pem .. certificate.pem .. '\\n'
  return true
end
return chain`,

  'resty.openssl.x509.store': `
local store = {}
store.__index = store
function store.new() return setmetatable({ certificates = {} }, store) end
function store:add(certificate)
  if type(certificate) ~= 'table' or not certificate.pem then return false, 'expect an x509 instance at #1' end
  self.certificates[#self.certificates + 1] = certificate.pem
  return true
end
return store`,
};
