import {
  hostError,
  hostWithOptionalPortError,
  ipOrCidrError,
  routeHostError,
  sniError,
  wildcardHostError,
} from './formats/host.ts';
import { pathError, routePathError } from './formats/path.ts';
import { cookieNameError, headerNameError, nameError, tagError, urlError } from './formats/text.ts';
import { defineField, type PatternRule } from './vocabulary.ts';

/** Fields that many schemas share. Spread one to add to it: `{ ...host, required: true }`. */

export const uuid = defineField({
  type: 'string',
  uuid: true,
  auto: true,
  description: 'A UUID. Left out: one is made up.',
});

/** Seconds since 1970. */
export const autoTimestamp = defineField({
  type: 'integer',
  timestamp: true,
  auto: true,
  description: 'Seconds since 1970, by the control plane’s clock.',
});

/** Seconds since 1970 with milliseconds behind the point. */
export const autoTimestampMs = defineField({
  type: 'number',
  timestamp: true,
  auto: true,
  description: 'Seconds since 1970 with milliseconds behind the point, by the control plane’s clock.',
});

export const tags = defineField({
  type: 'set',
  elements: { type: 'string', required: true, custom_validator: tagError },
  description: 'Words for finding and grouping.',
});

/** Unique; letters, digits, `.`, `-`, `_`, `~` and everything beyond ASCII. */
export const name = defineField({ type: 'string', unique: true, custom_validator: nameError });

export const host = defineField({ type: 'string', custom_validator: hostError });
export const hostWithOptionalPort = defineField({ type: 'string', custom_validator: hostWithOptionalPortError });
export const sni = defineField({ type: 'string', custom_validator: sniError });
export const wildcardHost = defineField({ type: 'string', custom_validator: wildcardHostError });
export const ipOrCidr = defineField({ type: 'string', custom_validator: ipOrCidrError });
export const port = defineField({ type: 'integer', between: [0, 65535] });
export const url = defineField({ type: 'string', custom_validator: urlError });
export const headerName = defineField({ type: 'string', custom_validator: headerNameError, head: 'name' });
export const cookieName = defineField({ type: 'string', custom_validator: cookieNameError, head: 'name' });

/** Goes out as a header's value, or as a part of one. */
export const headerValue = defineField({ type: 'string', head: 'value' });
/** A header's name where Kong takes any text. */
export const anyHeaderName = defineField({ type: 'string', head: 'name' });

/** Milliseconds. */
export const timeout = defineField({ type: 'integer', between: [0, 2147483646] });

const noEmptySegments = { pattern: '//', regex: /\/\//, err: 'must not have empty segments' } as const;

export const path = defineField({
  type: 'string',
  starts_with: '/',
  match_none: [noEmptySegments],
  custom_validator: pathError,
});

const PROTOCOLS = ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'] as const;

export const protocol = defineField({ type: 'string', one_of: PROTOCOLS });

export const protocols = defineField({
  type: 'set',
  required: true,
  default: ['grpc', 'grpcs', 'http', 'https'],
  elements: protocol,
  description: 'Requests by other protocols are not touched.',
});

export const httpProtocols = defineField({
  type: 'set',
  required: true,
  default: ['grpc', 'grpcs', 'http', 'https'],
  elements: { type: 'string', one_of: ['grpc', 'grpcs', 'http', 'https'] },
  description: 'Requests by other protocols are not touched.',
});

export const methods = defineField({
  type: 'set',
  elements: { type: 'string', match: { pattern: '^%u+$', regex: /^[A-Z]+$/ } },
});

export const hosts = defineField({
  type: 'array',
  elements: {
    type: 'string',
    match_all: [
      {
        pattern: '^[^*]*%*?[^*]*$',
        regex: /^[^*]*(?:\*[^*]*)?$/,
        err: 'invalid wildcard: must have at most one wildcard',
      },
    ],
    match_any: {
      patterns: [
        { pattern: '^%*%.', regex: /^\*\./ },
        { pattern: '%.%*$', regex: /\.\*$/ },
        { pattern: '^[^*]*$', regex: /^[^*]*$/ },
      ],
      err: 'invalid wildcard: must be placed at leftmost or rightmost label',
    },
    custom_validator: routeHostError,
  },
});

export const routePath = defineField({
  type: 'string',
  match_any: {
    patterns: [
      { pattern: '^/', regex: /^\// },
      { pattern: '^~/', regex: /^~\// },
    ],
    err: 'should start with: / (fixed path) or ~/ (regex path)',
  },
  match_none: [noEmptySegments],
  custom_validator: routePathError,
});
export const routePaths = defineField({ type: 'array', elements: routePath });

/** Header names with the values any of which matches. */
export const headers = defineField({
  type: 'map',
  keys: headerName,
  values: { type: 'array', elements: { type: 'string' } },
});

/** `routes.sources` and `routes.destinations`. */
export const endpoints = defineField({
  type: 'set',
  elements: {
    type: 'record',
    fields: {
      ip: { ...ipOrCidr, description: 'An address, or a network as 10.0.0.0/8.' },
      port: { ...port, description: 'A port.' },
    },
    entity_checks: [{ at_least_one_of: ['ip', 'port'] }],
  },
});

/** A plugin that cannot be tied to a consumer, service or route. */
export const noConsumer = defineField({
  type: 'foreign',
  reference: 'consumers',
  eq: null,
  description: 'The plugin cannot be for one consumer alone.',
});
export const noConsumerGroup = defineField({
  type: 'foreign',
  reference: 'consumer_groups',
  eq: null,
  extension: true,
  description: 'The plugin cannot be for one consumer group alone.',
});
export const noService = defineField({
  type: 'foreign',
  reference: 'services',
  eq: null,
  description: 'The plugin cannot be for one service alone.',
});
export const noRoute = defineField({
  type: 'foreign',
  reference: 'routes',
  eq: null,
  description: 'The plugin cannot be for one route alone.',
});

/** A literal pattern that reads the same in Lua and in ECMAScript. */
export function exactly(word: string): PatternRule {
  return { pattern: `^${word}$`, regex: new RegExp(`^${word}$`) };
}
