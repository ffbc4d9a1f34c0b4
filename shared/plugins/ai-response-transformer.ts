import { httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { connection, llm, needsOfConnection, prompt, transformerChecks } from './fields/llm-transformer.ts';

/** Lets an LLM rewrite responses. */
export const aiResponseTransformer = definePlugin({
  name: 'ai-response-transformer',
  version: KONG_VERSION,
  priority: 768,
  phases: ['access'],
  needs: needsOfConnection,
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        ...prompt,
        parse_llm_response_json_instructions: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The model answers with JSON that says which status, headers and body the client gets.',
        },
        ...connection,
        llm,
      },
    },
  },
  entity_checks: transformerChecks,
});

export type AiResponseTransformerConfig = Entity<typeof aiResponseTransformer>['config'];
