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
        scopes: { type: 'array', elements: headerValue },
        mandatory_scope: { type: 'boolean', required: true, default: false },
        provision_key: { type: 'string', required: true, auto: true, unique: true, encrypted: true },
        token_expiration: { type: 'number', required: true, default: 7200 },
        enable_authorization_code: { type: 'boolean', required: true, default: false },
        enable_implicit_grant: { type: 'boolean', required: true, default: false },
        enable_client_credentials: { type: 'boolean', required: true, default: false },
        enable_password_grant: { type: 'boolean', required: true, default: false },
        hide_credentials: { type: 'boolean', required: true, default: false },
        accept_http_if_already_terminated: { type: 'boolean', required: true, default: false },
        anonymous: { type: 'string' },
        global_credentials: { type: 'boolean', required: true, default: false },
        auth_header_name: { ...anyHeaderName, default: 'authorization' },
        refresh_token_ttl: { type: 'number', required: true, default: 1209600, between: [0, 100000000] },
        reuse_refresh_token: { type: 'boolean', required: true, default: false },
        pkce: { type: 'string', required: false, default: 'lax', one_of: ['none', 'lax', 'strict'] },
        realm: { ...headerValue, required: false },
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
