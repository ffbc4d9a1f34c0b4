import { httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { connection, llm, transformerChecks } from './fields/llm-transformer.ts';

/** Lets an LLM rewrite requests. */
export const aiRequestTransformer = definePlugin({
  name: 'ai-request-transformer',
  version: '3.9.3',
  priority: 777,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    consumer: noConsumer,
    config: {
      type: 'record',
      required: true,
      fields: {
        prompt: { type: 'string', required: true },
        transformation_extract_pattern: { type: 'string', required: false },
        http_timeout: { type: 'integer', required: true, default: 60000 },
        https_verify: { type: 'boolean', required: true, default: true },
        max_request_body_size: { type: 'integer', default: 8192, gt: 0 },
        ...connection,
        llm,
      },
    },
  },
  entity_checks: transformerChecks,
});

export type AiRequestTransformerConfig = Entity<typeof aiRequestTransformer>['config'];
