import { headerName, headerValue, httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Asks for an API key. */
export const keyAuth = definePlugin({
  name: 'key-auth',
  version: KONG_VERSION,
  priority: 1250,
  phases: ['access'],
  entities: ['keyauth_credentials'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        key_names: {
          type: 'array',
          required: true,
          default: ['apikey'],
          elements: headerName,
          description: 'Headers, query arguments or form fields the key is looked for in.',
        },
        hide_credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The API does not see what the client showed.',
        },
        anonymous: {
          type: 'string',
          description:
            'Consumer that those count as who show nothing: its name or ID. Not set: they are refused with 401.',
        },
        key_in_header: { type: 'boolean', required: true, default: true, description: 'The key may be in a header.' },
        key_in_query: { type: 'boolean', required: true, default: true, description: 'The key may be in the query.' },
        key_in_body: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The key may be in the body, of a form or of JSON.',
        },
        run_on_preflight: {
          type: 'boolean',
          required: true,
          default: true,
          description: 'Also asks of CORS preflight requests.',
        },
        realm: { ...headerValue, required: false, description: 'Said in WWW-Authenticate when a request is refused.' },
      },
    },
  },
});

export type KeyAuthConfig = Entity<typeof keyAuth>['config'];
