import { headProblem } from '../head.ts';
import { headerValue, httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Asks for requests signed with a shared secret. */
export const hmacAuth = definePlugin({
  name: 'hmac-auth',
  version: KONG_VERSION,
  priority: 1030,
  phases: ['access'],
  entities: ['hmacauth_credentials'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        hide_credentials: { type: 'boolean', required: true, default: false },
        clock_skew: { type: 'number', default: 300, gt: 0 },
        anonymous: { type: 'string' },
        validate_request_body: { type: 'boolean', required: true, default: false },
        enforce_headers: {
          type: 'array',
          default: [],
          elements: { type: 'string', custom_validator: signedHeaderError },
        },
        algorithms: {
          type: 'array',
          default: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'],
          elements: { type: 'string', one_of: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'] },
        },
        realm: { ...headerValue, required: false },
      },
    },
  },
});

export type HmacAuthConfig = Entity<typeof hmacAuth>['config'];

/** The method and path are signed under a name that is no header's. */
function signedHeaderError(name: string): string | undefined {
  return name === '@request-target' ? undefined : headProblem('name', name);
}
