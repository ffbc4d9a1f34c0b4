import { anyHeaderName, headerValue, httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Asks for a signed JSON Web Token (RFC 7519). */
export const jwt = definePlugin({
  name: 'jwt',
  version: KONG_VERSION,
  priority: 1450,
  phases: ['access'],
  entities: ['jwt_secrets'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        uri_param_names: {
          type: 'set',
          default: ['jwt'],
          elements: { type: 'string' },
          description: 'Query arguments that the token is looked for in.',
        },
        cookie_names: {
          type: 'set',
          default: [],
          elements: { type: 'string' },
          description: 'Cookies that the token is looked for in.',
        },
        key_claim_name: {
          type: 'string',
          default: 'iss',
          description: 'The claim that says whose token it is, by the key of the credential.',
        },
        secret_is_base64: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Secrets of credentials are Base64 of the bytes that sign.',
        },
        claims_to_verify: {
          type: 'set',
          elements: { type: 'string', one_of: ['exp', 'nbf'] },
          description: 'Claims that must be there and must be kept to: exp, the end, and nbf, the beginning.',
        },
        anonymous: {
          type: 'string',
          description:
            'Consumer that those count as who show nothing: its name or ID. Not set: they are refused with 401.',
        },
        run_on_preflight: {
          type: 'boolean',
          required: true,
          default: true,
          description: 'Also asks of CORS preflight requests.',
        },
        maximum_expiration: {
          type: 'number',
          default: 0,
          between: [0, 31536000],
          description: 'Seconds that a token may be good for at the most. 0: as long as it says.',
        },
        header_names: {
          type: 'set',
          default: ['authorization'],
          elements: anyHeaderName,
          description: 'Headers that the token is looked for in.',
        },
        realm: { ...headerValue, required: false, description: 'Said in WWW-Authenticate when a request is refused.' },
      },
    },
  },
  entity_checks: [
    {
      conditional: {
        if_field: 'config.maximum_expiration',
        if_match: { gt: 0 },
        then_field: 'config.claims_to_verify',
        then_match: { contains: 'exp' },
      },
    },
  ],
});

export type JwtConfig = Entity<typeof jwt>['config'];
