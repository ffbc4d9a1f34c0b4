import * as kinds from '../schema/kinds.ts';
import type { Field } from '../schema/vocabulary.ts';

/** The member by which a field in Lua says which of Kong's typedefs it began as. */
export const TYPEDEF = '__typedef';

const text: Field = { type: 'string' };
const ip: Field = kinds.ipOrCidr;

/** Kong's typedefs (`kong.db.schema.typedefs`), as the fields they are here. */
export const typedefs: Readonly<Record<string, Field>> = {
  auto_timestamp_ms: kinds.autoTimestampMs,
  auto_timestamp_s: kinds.autoTimestamp,
  certificate: text,
  cidr_v4: ip,
  cookie_name: kinds.cookieName,
  destinations: kinds.endpoints,
  header_name: kinds.headerName,
  headers: kinds.headers,
  host: kinds.host,
  host_with_optional_port: kinds.hostWithOptionalPort,
  hosts: kinds.hosts,
  http_method: { type: 'string', match: { pattern: '^%u+$', regex: /^[A-Z]+$/ } },
  ip,
  ip_or_cidr: ip,
  key: text,
  lua_code: text,
  methods: kinds.methods,
  name: kinds.name,
  no_consumer: kinds.noConsumer,
  no_consumer_group: kinds.noConsumerGroup,
  no_route: kinds.noRoute,
  no_service: kinds.noService,
  path: kinds.path,
  paths: kinds.routePaths,
  pem: text,
  port: kinds.port,
  protocol: kinds.protocol,
  protocols: kinds.protocols,
  protocols_http: kinds.httpProtocols,
  random_string: { type: 'string', auto: true },
  semantic_version: {
    type: 'string',
    match_any: {
      patterns: [
        { pattern: '^%d+[%.%d]*$', regex: /^\d+[.\d]*$/ },
        { pattern: '^%d+[%.%d]*%-?.*$', regex: /^\d+[.\d]*-?.*$/ },
      ],
      err: 'invalid version number: must be in format of X.Y.Z',
    },
  },
  sni: kinds.sni,
  sources: kinds.endpoints,
  tag: { type: 'string', required: true },
  tags: kinds.tags,
  timeout: kinds.timeout,
  url: kinds.url,
  utf8_name: kinds.name,
  uuid: kinds.uuid,
  wildcard_host: kinds.wildcardHost,
};

/** The module as Lua sees it: a table for each, which can be called with what is to be added to it. */
export const TYPEDEFS_MODULE = `
local function with(field, more)
  local copy = {}
  for k, v in pairs(field) do copy[k] = v end
  for k, v in pairs(more or {}) do copy[k] = v end
  return copy
end
local all = {}
${Object.entries(typedefs)
  .map(
    ([name, { type }]) => `all.${name} = setmetatable({ type = '${type}', ${TYPEDEF} = '${name}' }, { __call = with })`,
  )
  .join('\n')}
return setmetatable(all, { __index = function(_, name)
  error("schema typedef error: definition " .. tostring(name) .. " does not exist", 2)
end })
`;
