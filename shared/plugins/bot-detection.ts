import { httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Refuses bots by their User-Agent. */
export const botDetection = definePlugin({
  name: 'bot-detection',
  version: KONG_VERSION,
  priority: 2500,
  phases: ['access'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        allow: {
          type: 'array',
          default: [],
          elements: { type: 'string', is_regex: true },
          description: 'Regular expressions. A User-Agent that matches one is let in, whatever else is known of it.',
        },
        deny: {
          type: 'array',
          default: [],
          elements: { type: 'string', is_regex: true },
          description: 'Regular expressions. A User-Agent that matches one is kept out.',
        },
      },
    },
  },
});

export type BotDetectionConfig = Entity<typeof botDetection>['config'];
