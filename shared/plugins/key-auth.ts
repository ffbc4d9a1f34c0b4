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
        key_names: { type: 'array', required: true, default: ['apikey'], elements: headerName },
        hide_credentials: { type: 'boolean', required: true, default: false },
        anonymous: { type: 'string' },
        key_in_header: { type: 'boolean', required: true, default: true },
        key_in_query: { type: 'boolean', required: true, default: true },
        key_in_body: { type: 'boolean', required: true, default: false },
        run_on_preflight: { type: 'boolean', required: true, default: true },
        realm: { ...headerValue, required: false },
      },
    },
  },
});

export type KeyAuthConfig = Entity<typeof keyAuth>['config'];
