import { anyHeaderName, headerValue, httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Asks for OAuth 2.0 tokens and issues them (RFC 6749). */
export const oauth2 = definePlugin({
  name: 'oauth2',
  version: KONG_VERSION,
  priority: 1400,
  phases: ['access'],
  entities: ['oauth2_authorization_codes', 'oauth2_credentials', 'oauth2_tokens'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      custom_validator: noFlowError,
      fields: {
        scopes: { type: 'array', elements: headerValue, description: 'What applications may ask to be allowed.' },
        mandatory_scope: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Applications must ask for at least one scope.',
        },
        provision_key: {
          type: 'string',
          required: true,
          auto: true,
          unique: true,
          encrypted: true,
          description: 'What your login page shows to get a code or a token for somebody. Left out: one is made up.',
        },
        token_expiration: {
          type: 'number',
          required: true,
          default: 7200,
          description: 'Seconds that a token is good for. 0: it does not end.',
        },
        enable_authorization_code: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Applications may get a code first, and a token for it.',
        },
        enable_implicit_grant: {
          type: 'boolean',
          required: true,
          default: false,
          description:
            'Applications may get a token at once, without a code. It passes through the browser’s address line.',
        },
        enable_client_credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Applications may get a token for themselves, by their ID and secret.',
        },
        enable_password_grant: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Applications may get a token for a user name and password.',
        },
        hide_credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The API does not see what the client showed.',
        },
        accept_http_if_already_terminated: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Requests by HTTP are taken when X-Forwarded-Proto of a trusted proxy says https.',
        },
        anonymous: {
          type: 'string',
          description:
            'Consumer that those count as who show nothing: its name or ID. Not set: they are refused with 401.',
        },
        global_credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Tokens of other services with such a plugin are taken as well.',
        },
        auth_header_name: {
          ...anyHeaderName,
          default: 'authorization',
          description: 'The header that the token is looked for in.',
        },
        refresh_token_ttl: {
          type: 'number',
          required: true,
          default: 1209600,
          between: [0, 100000000],
          description: 'Seconds that a refresh token is good for. 0: it does not end.',
        },
        reuse_refresh_token: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'A refresh token stays the same when it is used.',
        },
        pkce: {
          type: 'string',
          required: false,
          default: 'lax',
          one_of: ['none', 'lax', 'strict'],
          description: 'Whether a code must be asked for with PKCE. lax: only by public clients.',
        },
        realm: { ...headerValue, required: false, description: 'Said in WWW-Authenticate when a request is refused.' },
      },
      entity_checks: [
        {
          conditional: {
            if_field: 'mandatory_scope',
            if_match: { eq: true },
            then_field: 'scopes',
            then_match: { required: true },
          },
        },
      ],
    },
  },
});

export type OAuth2Config = Entity<typeof oauth2>['config'];

const FLOWS = [
  'enable_authorization_code',
  'enable_implicit_grant',
  'enable_client_credentials',
  'enable_password_grant',
];

function noFlowError(config: Readonly<Record<string, unknown>>): string | undefined {
  if (FLOWS.some((flow) => config[flow])) return undefined;
  return `at least one of these fields must be true: ${FLOWS.join(', ')}`;
}
