import { httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';

/** Refuses bots by their User-Agent. */
export const botDetection = definePlugin({
  name: 'bot-detection',
  version: '3.9.3',
  priority: 2500,
  phases: ['access'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        allow: { type: 'array', default: [], elements: { type: 'string', is_regex: true } },
        deny: { type: 'array', default: [], elements: { type: 'string', is_regex: true } },
      },
    },
  },
});

export type BotDetectionConfig = Entity<typeof botDetection>['config'];
