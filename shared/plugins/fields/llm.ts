import { anyHeaderName, headerValue, url } from '../../schema/kinds.ts';
import { getPath } from '../../schema/record.ts';
import { defineField, type EntityCheck } from '../../schema/vocabulary.ts';

/** Which model of which provider a request goes to, and with what credentials. */

/** In a header or the target of the request to the provider. */
const sent = defineField({ ...headerValue, required: false });
const referenceable = defineField({ type: 'string', required: false, referenceable: true });
const secret = defineField({ type: 'string', required: false, encrypted: true, referenceable: true });

/** The credentials that are added to a request. */
export const auth = defineField({
  type: 'record',
  required: false,
  fields: {
    header_name: { ...anyHeaderName, required: false, referenceable: true },
    header_value: { ...headerValue, required: false, encrypted: true, referenceable: true },
    param_name: referenceable,
    param_value: secret,
    param_location: { type: 'string', required: false, one_of: ['query', 'body'] },
    gcp_use_service_account: { type: 'boolean', required: false, default: false },
    gcp_service_account_json: referenceable,
    aws_access_key_id: { ...headerValue, required: false, encrypted: true, referenceable: true },
    aws_secret_access_key: secret,
    allow_override: { type: 'boolean', required: false, default: false },
  },
});

const options = defineField({
  type: 'record',
  required: false,
  fields: {
    max_tokens: { type: 'integer', required: false },
    input_cost: { type: 'number', required: false, gt: 0 },
    output_cost: { type: 'number', required: false, gt: 0 },
    temperature: { type: 'number', required: false, between: [0, 5] },
    top_p: { type: 'number', required: false, between: [0, 1] },
    top_k: { type: 'integer', required: false, between: [0, 500] },
    anthropic_version: sent,
    azure_instance: sent,
    azure_api_version: { ...sent, default: '2023-05-15' },
    azure_deployment_id: sent,
    llama2_format: { type: 'string', required: false, one_of: ['raw', 'openai', 'ollama'] },
    mistral_format: { type: 'string', required: false, one_of: ['openai', 'ollama'] },
    upstream_url: { ...url, required: false },
    upstream_path: sent,
    gemini: {
      type: 'record',
      required: false,
      fields: { api_endpoint: sent, project_id: sent, location_id: sent },
      entity_checks: [{ mutually_required: ['api_endpoint', 'project_id', 'location_id'] }],
    },
    bedrock: { type: 'record', required: false, fields: { aws_region: sent } },
    huggingface: {
      type: 'record',
      required: false,
      fields: {
        use_cache: { type: 'boolean', required: false },
        wait_for_model: { type: 'boolean', required: false },
      },
    },
  },
});

/** The provider, its model and the model's options. */
export const model = defineField({
  type: 'record',
  required: true,
  fields: {
    provider: {
      type: 'string',
      required: true,
      one_of: ['openai', 'azure', 'anthropic', 'cohere', 'mistral', 'llama2', 'gemini', 'bedrock', 'huggingface'],
    },
    name: sent,
    options,
  },
});

/** Which of OpenAI's interfaces a request is made to. */
export const routeType = defineField({
  type: 'string',
  required: true,
  one_of: ['llm/v1/chat', 'llm/v1/completions', 'preserve'],
});

/** What of the exchange is added to the log. */
export const logging = defineField({
  type: 'record',
  required: true,
  fields: {
    log_statistics: { type: 'boolean', required: true, default: false },
    log_payloads: { type: 'boolean', required: true, default: false },
  },
});

/** Whose requests clients send: OpenAI's, or those of a provider as they are. */
export const llmFormat = defineField({
  type: 'string',
  required: false,
  default: 'openai',
  one_of: ['openai', 'bedrock', 'gemini'],
});

/** Bytes of a request's body that are looked into at the most. */
export const maxRequestBodySize = defineField({ type: 'integer', default: 8192, gt: 0 });

/** Checks of the record that holds `route_type`, `auth`, `model` and `logging`. */
export const modelChecks: readonly EntityCheck[] = [
  {
    conditional: {
      if_field: 'model.provider',
      if_match: { one_of: ['bedrock', 'gemini'] },
      then_field: 'auth.allow_override',
      then_match: { eq: false },
      then_err: 'bedrock and gemini only support auth.allow_override = false',
    },
  },
  { mutually_required: ['auth.header_name', 'auth.header_value'] },
  { mutually_required: ['auth.param_name', 'auth.param_value', 'auth.param_location'] },
  providerNeeds('llama2', 'llama2_format', 'llama2 provider'),
  providerNeeds('mistral', 'mistral_format', 'mistral provider'),
  providerNeeds('anthropic', 'anthropic_version', 'anthropic provider'),
  providerNeeds('azure', 'azure_instance', 'azure provider'),
  providerNeeds('azure', 'azure_api_version', 'azure provider'),
  providerNeeds('azure', 'azure_deployment_id', 'azure provider'),
  providerNeeds('llama2', 'upstream_url', 'self-hosted providers/models'),
  { custom_entity_check: { field_sources: ['route_type', 'model', 'logging'], fn: statisticsError } },
];

function providerNeeds(provider: string, option: string, whom: string): EntityCheck {
  return {
    conditional_at_least_one_of: {
      if_field: 'model.provider',
      if_match: { one_of: [provider] },
      then_at_least_one_of: [`model.options.${option}`],
      then_err: `must set %s for ${whom}`,
    },
  };
}

/** Anthropic's completions do not say how many tokens they took. */
function statisticsError(config: Readonly<Record<string, unknown>>): string | undefined {
  if (config.route_type !== 'llm/v1/completions' || getPath(config, ['model', 'provider']) !== 'anthropic')
    return undefined;
  if (getPath(config, ['logging', 'log_statistics']) !== true) return undefined;
  return 'anthropic does not support statistics when route_type is llm/v1/completions';
}
