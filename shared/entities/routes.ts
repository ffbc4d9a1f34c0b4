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
    name: { ...name, description: 'By which it is found here and in the Admin API.' },
    protocols: {
      type: 'set',
      len_min: 1,
      required: true,
      elements: protocol,
      mutually_exclusive_subsets: [['http', 'https'], ['tcp', 'tls', 'udp'], ['tls_passthrough'], ['grpc', 'grpcs']],
      default: ['http', 'https'],
      description: 'What requests may come by. Those for streams need a port of their own.',
    },
    https_redirect_status_code: {
      type: 'integer',
      one_of: [426, 301, 302, 307, 308],
      default: 426,
      required: true,
      description: 'The answer to a request by HTTP when only HTTPS is taken.',
    },
    strip_path: {
      type: 'boolean',
      required: true,
      default: true,
      description: 'The part of the path that matched is cut off before the request is passed on.',
    },
    preserve_host: {
      type: 'boolean',
      required: true,
      default: false,
      description: 'The API sees the host the client asked for, instead of its own.',
    },
    request_buffering: {
      type: 'boolean',
      required: true,
      default: true,
      description: 'The request is read whole before it is passed on.',
    },
    response_buffering: {
      type: 'boolean',
      required: true,
      default: true,
      description: 'The answer is read whole before it is passed on.',
    },
    tags,
    service: {
      type: 'foreign',
      reference: 'services',
      description: 'Where requests of this route go. None: plugins of the route must answer.',
    },
    snis: { ...snis, description: 'Server names of the TLS handshake.' },
    sources: { ...endpoints, description: 'Where a stream comes from: addresses and ports.' },
    destinations: { ...endpoints, description: 'Where a stream was sent to: addresses and ports.' },
    methods: { ...methods, description: 'GET, POST and so on. None: all.' },
    hosts: { ...hosts, description: 'Host names, as api.example.com or *.example.com.' },
    paths: {
      ...routePaths,
      description: 'What the path begins with, as /orders; with ~ before it, a regular expression.',
    },
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
      description: 'Headers that a request must have, each with one of these values.',
    },
    regex_priority: {
      type: 'integer',
      default: 0,
      description: 'Of several regular expressions that match, the highest wins.',
    },
    path_handling: {
      type: 'string',
      default: 'v0',
      one_of: ['v0', 'v1'],
      description: 'How the path of the service and of the request are joined.',
    },
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
    expression: { type: 'string', description: 'What must be true of a request, as http.path ^= "/orders".' },
    priority: {
      type: 'integer',
      required: true,
      default: 0,
      between: [0, 2 ** 46 - 1],
      description: 'Of several expressions that are true, the highest wins.',
    },
  },
});
