import { httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { maxRequestBodySize } from './fields/llm.ts';

/** Fills the values of LLM requests into templates. */
export const aiPromptTemplate = definePlugin({
  name: 'ai-prompt-template',
  version: KONG_VERSION,
  priority: 773,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        templates: {
          type: 'array',
          required: true,
          elements: {
            type: 'record',
            required: true,
            fields: {
              name: { type: 'string', required: true },
              template: { type: 'string', required: true },
            },
          },
        },
        allow_untemplated_requests: { type: 'boolean', required: true, default: true },
        log_original_request: { type: 'boolean', required: true, default: false },
        max_request_body_size: maxRequestBodySize,
      },
    },
  },
});

export type AiPromptTemplateConfig = Entity<typeof aiPromptTemplate>['config'];
