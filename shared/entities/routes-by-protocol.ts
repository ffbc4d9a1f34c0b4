import { endpoints, headerName, headers, hosts, methods, routePaths } from '../schema/kinds.ts';
import { defineField, type EntityCheck, type Field, type Subschema } from '../schema/vocabulary.ts';

/** What a route may and must set, by the first of its `protocols`. */

const whenGrpc = "when 'protocols' is 'grpc' or 'grpcs'";
const whenHttp = "when 'protocols' is 'http' or 'https'";
const whenStream = "when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'";

const http: Subschema = {
  fields: {
    sources: never(endpoints, `cannot set 'sources' ${whenHttp}`),
    destinations: never(endpoints, `cannot set 'destinations' ${whenHttp}`),
  },
  entity_checks: [matchersOf('http', ['methods', 'hosts', 'headers', 'paths'])],
};

const grpc: Subschema = {
  fields: {
    strip_path: defineField({
      type: 'boolean',
      required: true,
      default: false,
      ne: true,
      err: `cannot set 'strip_path' ${whenGrpc}`,
    }),
    methods: never(methods, `cannot set 'methods' ${whenGrpc}`),
    sources: never(endpoints, `cannot set 'sources' ${whenGrpc}`),
    destinations: never(endpoints, `cannot set 'destinations' ${whenGrpc}`),
  },
  entity_checks: [matchersOf('grpc', ['hosts', 'headers', 'paths'])],
};

const stream: Subschema = {
  fields: {
    methods: never(methods, `cannot set 'methods' ${whenStream}`),
    hosts: never(hosts, `cannot set 'hosts' ${whenStream}`),
    paths: never(routePaths, `cannot set 'paths' ${whenStream}`),
    headers: never({ ...headers, keys: headerName }, `cannot set 'headers' ${whenStream}`),
  },
  entity_checks: [
    {
      conditional_at_least_one_of: {
        if_field: 'protocols',
        if_match: { elements: { type: 'string', one_of: ['tcp', 'tls', 'udp'] } },
        then_at_least_one_of: ['sources', 'destinations', 'snis'],
        then_err: "must set one of %s when 'protocols' is 'tcp', 'tls' or 'udp'",
      },
    },
    {
      conditional_at_least_one_of: {
        if_field: 'protocols',
        if_match: { elements: { type: 'string', one_of: ['tls_passthrough'] } },
        then_at_least_one_of: ['snis'],
        then_err: "must set snis when 'protocols' is 'tls_passthrough'",
      },
    },
  ],
};

export const routesByProtocol: Readonly<Record<string, Subschema>> = {
  http,
  https: http,
  grpc,
  grpcs: grpc,
  tcp: stream,
  tls: stream,
  tls_passthrough: stream,
  udp: stream,
};

function never<F extends Field>(field: F, err: string): F {
  return { ...field, eq: null, err };
}

/** A route needs something to match by; the server name counts when the protocol has one. */
function matchersOf(plain: 'http' | 'grpc', fields: readonly string[]): EntityCheck {
  const secure = `${plain}s`;
  return {
    conditional_at_least_one_of: {
      if_field: 'protocols',
      if_match: { contains: secure },
      then_at_least_one_of: [...fields, 'snis'],
      then_err: `must set one of %s when 'protocols' is '${secure}'`,
      else_match: { contains: plain },
      else_then_at_least_one_of: fields,
      else_then_err: `must set one of %s when 'protocols' is '${plain}'`,
    },
  };
}
