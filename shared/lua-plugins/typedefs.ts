import { customLogFields } from '../plugins/fields/custom-log-fields.ts';
import { propagation } from '../plugins/fields/propagation.ts';
import { queue } from '../plugins/fields/queue.ts';
import { ipError, ipv4OrCidrError } from '../schema/formats/host.ts';
import * as kinds from '../schema/kinds.ts';
import type { Field } from '../schema/vocabulary.ts';

/** The member by which a field in Lua says which of Kong's typedefs it began as. */
export const TYPEDEF = '__typedef';

const text: Field = { type: 'string' };
const ipv4Range: Field = { type: 'string', custom_validator: ipv4OrCidrError };

/** Kong's typedefs (`kong.db.schema.typedefs`), as the fields they are here. */
export const typedefs: Readonly<Record<string, Field>> = {
  auto_timestamp_ms: kinds.autoTimestampMs,
  auto_timestamp_s: kinds.autoTimestamp,
  certificate: text,
  capability: text,
  cidr: ipv4Range,
  cidr_v4: ipv4Range,
  cookie_name: kinds.cookieName,
  destinations: kinds.endpoints,
  header_name: kinds.headerName,
  headers: kinds.headers,
  host: kinds.host,
  host_with_optional_port: kinds.hostWithOptionalPort,
  hosts: kinds.hosts,
  http_method: { type: 'string', match: { pattern: '^%u+$', regex: /^[A-Z]+$/ } },
  ip: { type: 'string', custom_validator: ipError },
  ip_or_cidr: kinds.ipOrCidr,
  key: text,
  lua_code: customLogFields,
  methods: kinds.methods,
  name: kinds.name,
  no_consumer: kinds.noConsumer,
  no_consumer_group: kinds.noConsumerGroup,
  no_destinations: { ...kinds.endpoints, eq: null },
  no_headers: { ...kinds.headers, eq: null },
  no_hosts: { ...kinds.hosts, eq: null },
  no_methods: { ...kinds.methods, eq: null },
  no_paths: { ...kinds.routePaths, eq: null },
  no_route: kinds.noRoute,
  no_service: kinds.noService,
  no_sources: { ...kinds.endpoints, eq: null },
  path: kinds.path,
  paths: kinds.routePaths,
  pem: text,
  port: kinds.port,
  protocol: kinds.protocol,
  protocols: kinds.protocols,
  propagation,
  protocols_http: kinds.httpProtocols,
  queue,
  random_string: { type: 'string', auto: true },
  redis_host: kinds.host,
  redis_server_name: kinds.sni,
  router_path: kinds.routePath,
  router_paths: kinds.routePaths,
  semantic_version: {
    type: 'string',
    match_any: {
      patterns: [
        { pattern: '^%d+[%.%d]*$', regex: /^\d[.\d]*$/ },
        { pattern: '^%d+[%.%d]*%-?.*$', regex: /^\d.*$/ },
      ],
      err: 'invalid version number: must be in format of X.Y.Z',
    },
    match_none: [{ pattern: '%.%.', regex: /\.\./, err: 'must not have empty version segments' }],
  },
  sni: kinds.sni,
  sources: kinds.endpoints,
  tag: { type: 'string', required: true },
  tags: kinds.tags,
  timeout: kinds.timeout,
  ttl: { type: 'number', between: [0, 100_000_000] },
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
