import { endpoints, headerName, headers, hosts, methods, routePaths } from '../schema/kinds.ts';
import type { EntityCheck, Field, Fields, Subschema } from '../schema/vocabulary.ts';

const whenGrpc = "when 'protocols' is 'grpc' or 'grpcs'";
const whenHttp = "when 'protocols' is 'http' or 'https'";
const whenStream = "when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'";

/**
 * What a route may and must set, by the first of its `protocols`. Routes by `expressions` may also match HTTP by
 * addresses, and the expression counts as something to match by.
 */
export function routesByProtocol(by: 'fields' | 'expressions'): Readonly<Record<string, Subschema>> {
  const expressive = by === 'expressions';
  const http = httpRoutes(expressive);
  const grpc = grpcRoutes(expressive);
  const stream = streamRoutes(expressive);
  return {
    http,
    https: http,
    grpc,
    grpcs: grpc,
    tcp: stream,
    tls: stream,
    tls_passthrough: stream,
    udp: stream,
  };
}

function httpRoutes(expressive: boolean): Subschema {
  return {
    fields: expressive ? {} : noAddresses(whenHttp),
    entity_checks: [matchersOf('http', ['methods', 'hosts', 'headers', 'paths'], expressive)],
  };
}

function grpcRoutes(expressive: boolean): Subschema {
  return {
    fields: {
      strip_path: {
        type: 'boolean',
        required: true,
        default: false,
        ne: true,
        err: `cannot set 'strip_path' ${whenGrpc}`,
      },
      methods: never(methods, `cannot set 'methods' ${whenGrpc}`),
      ...(expressive ? {} : noAddresses(whenGrpc)),
    },
    entity_checks: [matchersOf('grpc', ['hosts', 'headers', 'paths'], expressive)],
  };
}

function streamRoutes(expressive: boolean): Subschema {
  const orExpression = expressive ? ['expression'] : [];
  return {
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
          then_at_least_one_of: ['sources', 'destinations', 'snis', ...orExpression],
          then_err: "must set one of %s when 'protocols' is 'tcp', 'tls' or 'udp'",
        },
      },
      {
        conditional_at_least_one_of: {
          if_field: 'protocols',
          if_match: { elements: { type: 'string', one_of: ['tls_passthrough'] } },
          then_at_least_one_of: ['snis', ...orExpression],
          then_err: "must set snis when 'protocols' is 'tls_passthrough'",
        },
      },
    ],
  };
}

function noAddresses(when: string): Fields {
  return {
    sources: never(endpoints, `cannot set 'sources' ${when}`),
    destinations: never(endpoints, `cannot set 'destinations' ${when}`),
  };
}

function never<F extends Field>(field: F, err: string): F {
  return { ...field, eq: null, err };
}

/** A route needs something to match by; the server name counts when the protocol has one. */
function matchersOf(plain: 'http' | 'grpc', fields: readonly string[], expressive: boolean): EntityCheck {
  const secure = `${plain}s`;
  const orExpression = expressive ? ['expression'] : [];
  return {
    conditional_at_least_one_of: {
      if_field: 'protocols',
      if_match: { contains: secure },
      then_at_least_one_of: [...fields, 'snis', ...orExpression],
      then_err: `must set one of %s when 'protocols' is '${secure}'`,
      else_match: { contains: plain },
      else_then_at_least_one_of: [...fields, ...orExpression],
      else_then_err: `must set one of %s when 'protocols' is '${plain}'`,
    },
  };
}
