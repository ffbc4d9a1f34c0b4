import { httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';

/** Allows or refuses LLM requests by patterns. */
export const aiPromptGuard = definePlugin({
  name: 'ai-prompt-guard',
  version: '3.9.3',
  priority: 771,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        allow_patterns: {
          type: 'array',
          required: false,
          len_max: 10,
          elements: { type: 'string', len_min: 1, len_max: 500 },
        },
        deny_patterns: {
          type: 'array',
          required: false,
          len_max: 10,
          elements: { type: 'string', len_min: 1, len_max: 500 },
        },
        allow_all_conversation_history: { type: 'boolean', required: true, default: false },
        max_request_body_size: { type: 'integer', default: 8192, gt: 0 },
        match_all_roles: { type: 'boolean', required: true, default: false },
        llm_format: { type: 'string', required: false, default: 'openai', one_of: ['openai', 'bedrock', 'gemini'] },
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
