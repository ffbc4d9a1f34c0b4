import { httpProtocols, url } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Sends clients elsewhere. */
export const redirect = definePlugin({
  name: 'redirect',
  version: KONG_VERSION,
  priority: 779,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        status_code: { type: 'integer', required: true, default: 301, between: [100, 599] },
        location: { ...url, required: true, head: 'value' },
        keep_incoming_path: { type: 'boolean', default: false },
      },
    },
  },
});

export type RedirectConfig = Entity<typeof redirect>['config'];
