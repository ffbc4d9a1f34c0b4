import { httpProtocols, url } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { finalStatusError } from './fields/final-status.ts';

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
        status_code: {
          type: 'integer',
          required: true,
          default: 301,
          between: [100, 599],
          custom_validator: finalStatusError,
          description: 'Status of the answer.',
        },
        location: { ...url, required: true, head: 'value', description: 'Where the client is sent to.' },
        keep_incoming_path: {
          type: 'boolean',
          default: false,
          description: 'Path and query of the request take the place of those of the address.',
        },
      },
    },
  },
});

export type RedirectConfig = Entity<typeof redirect>['config'];
