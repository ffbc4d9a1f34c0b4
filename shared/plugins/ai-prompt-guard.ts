import { httpProtocols } from '../schema/kinds.ts';
import { regexError } from '../schema/rules.ts';
import { defineField, definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { llmFormat, maxRequestBodySize } from './fields/llm.ts';

const patterns = defineField({
  type: 'array',
  required: false,
  len_max: 10,
  // Kong finds out with the first request.
  elements: { type: 'string', len_min: 1, len_max: 500, custom_validator: regexError },
});

/** Allows or refuses LLM requests by patterns. */
export const aiPromptGuard = definePlugin({
  name: 'ai-prompt-guard',
  version: KONG_VERSION,
  priority: 771,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        allow_patterns: { ...patterns, description: 'Regular expressions. A prompt must match one of them.' },
        deny_patterns: {
          ...patterns,
          description: 'Regular expressions. A prompt that matches one of them is refused.',
        },
        allow_all_conversation_history: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Only the last message of the conversation is looked at.',
        },
        max_request_body_size: maxRequestBodySize,
        match_all_roles: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Messages that are not the user’s are looked at as well.',
        },
        llm_format: llmFormat,
      },
    },
  },
  entity_checks: [
    { at_least_one_of: ['config.allow_patterns', 'config.deny_patterns'] },
    {
      conditional: {
        if_field: 'config.match_all_roles',
        if_match: { eq: true },
        then_field: 'config.allow_all_conversation_history',
        then_match: { eq: false },
      },
    },
  ],
});

export type AiPromptGuardConfig = Entity<typeof aiPromptGuard>['config'];
