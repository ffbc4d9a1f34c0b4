import { wildcardHostError } from '../schema/formats/host.ts';
import {
  autoTimestamp,
  endpoints,
  headerName,
  headers,
  hosts,
  methods,
  name,
  protocol,
  routePaths,
  tags,
  uuid,
} from '../schema/kinds.ts';
import { defineEntity, defineField } from '../schema/vocabulary.ts';
import { expressionError } from './route-expression.ts';
import { routesByProtocol } from './routes-by-protocol.ts';

const snis = defineField({ type: 'set', elements: { type: 'string', custom_validator: wildcardHostError } });

/** Which requests go to a service. */
export const routes = defineEntity({
  name: 'routes',
  primary_key: ['id'],
  endpoint_key: 'name',
  workspaceable: true,
  subschema_key: 'protocols',
  subschemas: routesByProtocol('fields'),
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    name,
    protocols: {
      type: 'set',
      len_min: 1,
      required: true,
      elements: protocol,
      mutually_exclusive_subsets: [['http', 'https'], ['tcp', 'tls', 'udp'], ['tls_passthrough'], ['grpc', 'grpcs']],
      default: ['http', 'https'],
    },
    https_redirect_status_code: {
      type: 'integer',
      one_of: [426, 301, 302, 307, 308],
      default: 426,
      required: true,
    },
    strip_path: { type: 'boolean', required: true, default: true },
    preserve_host: { type: 'boolean', required: true, default: false },
    request_buffering: { type: 'boolean', required: true, default: true },
    response_buffering: { type: 'boolean', required: true, default: true },
    tags,
    service: { type: 'foreign', reference: 'services' },
    snis,
    sources: endpoints,
    destinations: endpoints,
    methods,
    hosts,
    paths: routePaths,
    headers: {
      ...headers,
      keys: {
        ...headerName,
        match_none: [
          {
            pattern: '^[Hh][Oo][Ss][Tt]$',
            regex: /^host$/i,
            err: "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
          },
        ],
      },
    },
    regex_priority: { type: 'integer', default: 0 },
    path_handling: { type: 'string', default: 'v0', one_of: ['v0', 'v1'] },
  },
  entity_checks: [
    {
      conditional: {
        if_field: 'protocols',
        if_match: { elements: { type: 'string', not_one_of: ['grpcs', 'https', 'tls', 'tls_passthrough'] } },
        then_field: 'snis',
        then_match: { len_eq: 0 },
        then_err: "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
      },
    },
    // Kong only logs here that path_handling v1 is deprecated; clients expect to find the check in the schema.
    { custom_entity_check: { field_sources: ['path_handling'], fn: () => undefined } },
    {
      custom_entity_check: {
        field_sources: [
          'id',
          'protocols',
          'snis',
          'sources',
          'destinations',
          'methods',
          'hosts',
          'paths',
          'headers',
          'expression',
          'regex_priority',
          'priority',
        ],
        run_with_missing_fields: true,
        fn: expressionError,
      },
    },
  ],
});

/** Routes where the setting `router_flavor` is `expressions`: the same, or an expression with its priority. */
export const expressionRoutes = defineEntity({
  ...routes,
  subschemas: routesByProtocol('expressions'),
  fields: {
    ...routes.fields,
    expression: { type: 'string' },
    priority: { type: 'integer', required: true, default: 0, between: [0, 2 ** 46 - 1] },
  },
});
