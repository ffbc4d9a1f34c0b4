import { httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Verifies webhook signatures (Standard Webhooks 1.0). */
export const standardWebhooks = definePlugin({
  name: 'standard-webhooks',
  version: KONG_VERSION,
  priority: 760,
  phases: ['access'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        secret_v1: {
          type: 'string',
          required: true,
          referenceable: true,
          encrypted: true,
          description: 'What webhooks are signed with, as the sender shows it.',
        },
        tolerance_second: {
          type: 'integer',
          required: true,
          default: 300,
          gt: -1,
          description: 'Seconds that a webhook may be old.',
        },
      },
    },
  },
});

export type StandardWebhooksConfig = Entity<typeof standardWebhooks>['config'];
