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
              name: {
                type: 'string',
                required: true,
                description: 'What clients name it by, as in {template://name}.',
              },
              template: {
                type: 'string',
                required: true,
                description: 'The request that it stands for, with {{places}} for what clients give.',
              },
            },
          },
          description: 'The prompts that clients may name.',
        },
        allow_untemplated_requests: {
          type: 'boolean',
          required: true,
          default: true,
          description: 'Requests that name no template are passed on as they are.',
        },
        log_original_request: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'What the client sent goes into the log beside what was made of it.',
        },
        max_request_body_size: maxRequestBodySize,
      },
    },
  },
});

export type AiPromptTemplateConfig = Entity<typeof aiPromptTemplate>['config'];
