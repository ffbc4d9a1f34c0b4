import { httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';

/** Verifies webhook signatures (Standard Webhooks 1.0). */
export const standardWebhooks = definePlugin({
  name: 'standard-webhooks',
  version: '3.9.3',
  priority: 760,
  phases: ['access'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        secret_v1: { type: 'string', required: true, referenceable: true, encrypted: true },
        tolerance_second: { type: 'integer', required: true, default: 300, gt: -1 },
      },
    },
  },
});

export type StandardWebhooksConfig = Entity<typeof standardWebhooks>['config'];
