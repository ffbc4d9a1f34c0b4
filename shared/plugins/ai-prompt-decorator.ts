import { httpProtocols } from '../schema/kinds.ts';
import { defineField, definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { llmFormat, maxRequestBodySize } from './fields/llm.ts';

const messages = defineField({
  type: 'array',
  required: false,
  len_max: 15,
  elements: {
    type: 'record',
    required: false,
    fields: {
      role: {
        type: 'string',
        required: true,
        default: 'system',
        one_of: ['system', 'assistant', 'user'],
        description: 'Who the message is from, as the model sees it.',
      },
      content: { type: 'string', required: true, len_min: 1, len_max: 500, description: 'What the message says.' },
    },
  },
});

/** Adds messages before and after those of an LLM request. */
export const aiPromptDecorator = definePlugin({
  name: 'ai-prompt-decorator',
  version: KONG_VERSION,
  priority: 772,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        prompts: {
          type: 'record',
          required: false,
          fields: {
            prepend: { ...messages, description: 'Before them.' },
            append: { ...messages, description: 'After them.' },
          },
          description: 'What is put around the messages of the client.',
        },
        max_request_body_size: maxRequestBodySize,
        llm_format: llmFormat,
      },
    },
  },
  entity_checks: [{ at_least_one_of: ['config.prompts.prepend', 'config.prompts.append'] }],
});

export type AiPromptDecoratorConfig = Entity<typeof aiPromptDecorator>['config'];
