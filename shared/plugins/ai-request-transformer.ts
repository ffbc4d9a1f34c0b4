import { httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { connection, llm, needsOfConnection, prompt, transformerChecks } from './fields/llm-transformer.ts';

/** Lets an LLM rewrite requests. */
export const aiRequestTransformer = definePlugin({
  name: 'ai-request-transformer',
  version: KONG_VERSION,
  priority: 777,
  phases: ['access'],
  needs: needsOfConnection,
  fields: {
    protocols: httpProtocols,
    consumer: noConsumer,
    config: {
      type: 'record',
      required: true,
      fields: {
        ...prompt,
        ...connection,
        llm,
      },
    },
  },
  entity_checks: transformerChecks,
});

export type AiRequestTransformerConfig = Entity<typeof aiRequestTransformer>['config'];
