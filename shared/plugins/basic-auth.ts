import { headerValue, httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Asks for a user name and password (RFC 7617). */
export const basicAuth = definePlugin({
  name: 'basic-auth',
  version: KONG_VERSION,
  priority: 1100,
  phases: ['access'],
  entities: ['basicauth_credentials'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        anonymous: {
          type: 'string',
          description:
            'Consumer that those count as who show nothing: its name or ID. Not set: they are refused with 401.',
        },
        hide_credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The API does not see what the client showed.',
        },
        realm: {
          ...headerValue,
          required: true,
          default: 'service',
          description: 'Said in WWW-Authenticate when a request is refused.',
        },
      },
    },
  },
});

export type BasicAuthConfig = Entity<typeof basicAuth>['config'];
