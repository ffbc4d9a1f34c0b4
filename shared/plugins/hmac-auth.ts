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
        hide_credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The API does not see what the client showed.',
        },
        clock_skew: {
          type: 'number',
          default: 300,
          gt: 0,
          description: 'Seconds by which the clock of a client may be off.',
        },
        anonymous: {
          type: 'string',
          description:
            'Consumer that those count as who show nothing: its name or ID. Not set: they are refused with 401.',
        },
        validate_request_body: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The body must fit the Digest header, and that must be signed.',
        },
        enforce_headers: {
          type: 'array',
          default: [],
          elements: { type: 'string', custom_validator: signedHeaderError },
          description: 'Headers that must be signed.',
        },
        algorithms: {
          type: 'array',
          default: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'],
          elements: { type: 'string', one_of: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'] },
          description: 'Algorithms that clients may sign with.',
        },
        realm: { ...headerValue, required: false, description: 'Said in WWW-Authenticate when a request is refused.' },
      },
    },
  },
});

export type HmacAuthConfig = Entity<typeof hmacAuth>['config'];

/** The method and path are signed under a name that is no header's. */
function signedHeaderError(name: string): string | undefined {
  return name === '@request-target' ? undefined : headProblem('name', name);
}
