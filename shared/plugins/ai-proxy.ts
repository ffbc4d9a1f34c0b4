import { httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { auth, llmFormat, logging, maxRequestBodySize, model, modelChecks, routeType } from './fields/llm.ts';

/** Sends OpenAI-shaped requests to the LLMs of several providers. */
export const aiProxy = definePlugin({
  name: 'ai-proxy',
  version: KONG_VERSION,
  priority: 770,
  phases: ['access', 'header_filter', 'body_filter'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        route_type: routeType,
        auth,
        model,
        logging,
        response_streaming: {
          type: 'string',
          required: false,
          default: 'allow',
          one_of: ['allow', 'deny', 'always'],
          description: 'allow: clients may ask for answers bit by bit. deny: they may not. always: they get no other.',
        },
        max_request_body_size: maxRequestBodySize,
        model_name_header: {
          type: 'boolean',
          default: true,
          description: 'The answer says in X-Kong-LLM-Model which model it is from.',
        },
        llm_format: llmFormat,
      },
      entity_checks: modelChecks,
    },
  },
  entity_checks: [
    {
      conditional: {
        if_field: 'config.llm_format',
        if_match: { one_of: ['bedrock', 'gemini'] },
        then_field: 'config.route_type',
        then_match: { eq: 'llm/v1/chat' },
        then_err: "native provider options in llm_format can only be used with the 'llm/v1/chat' route_type",
      },
    },
    {
      conditional: {
        if_field: 'config.llm_format',
        if_match: { eq: 'bedrock' },
        then_field: 'config.model.provider',
        then_match: { eq: 'bedrock' },
        then_err: "native llm_format 'bedrock' can only be used with the 'bedrock' model.provider",
      },
    },
    {
      conditional: {
        if_field: 'config.llm_format',
        if_match: { eq: 'gemini' },
        then_field: 'config.model.provider',
        then_match: { eq: 'gemini' },
        then_err: "native llm_format 'gemini' can only be used with the 'gemini' model.provider",
      },
    },
  ],
});

export type AiProxyConfig = Entity<typeof aiProxy>['config'];
