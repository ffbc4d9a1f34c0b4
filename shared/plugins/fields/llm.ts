import { urlError } from '../../schema/formats/text.ts';
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
  description: 'What the provider is shown, so that it answers.',
  required: false,
  fields: {
    header_name: {
      ...anyHeaderName,
      required: false,
      referenceable: true,
      description: 'The header that the provider wants its key in.',
    },
    header_value: {
      ...headerValue,
      required: false,
      encrypted: true,
      referenceable: true,
      description: 'What stands in it, as Bearer and the key.',
    },
    param_name: {
      ...referenceable,
      description: 'The query argument or field of the body that the provider wants its key in.',
    },
    param_value: { ...secret, description: 'The key itself.' },
    param_location: {
      type: 'string',
      required: false,
      one_of: ['query', 'body'],
      description: 'Where that is: in the query or in the body.',
    },
    gcp_use_service_account: {
      type: 'boolean',
      required: false,
      default: false,
      description: 'The gateway logs in with Google by a service account.',
    },
    gcp_service_account_json: {
      ...referenceable,
      description: 'The key file of the service account. Not set: as the machine is known to Google.',
    },
    aws_access_key_id: {
      ...headerValue,
      required: false,
      encrypted: true,
      referenceable: true,
      description: 'Access key ID, for Bedrock. Not set: from the environment or the role of the machine.',
    },
    aws_secret_access_key: { ...secret, description: 'Secret access key that belongs to it.' },
    allow_override: {
      type: 'boolean',
      required: false,
      default: false,
      description: 'What the client itself shows for the provider is passed on.',
    },
  },
});

const options = defineField({
  type: 'record',
  required: false,
  fields: {
    max_tokens: { type: 'integer', required: false, description: 'Tokens that an answer has at the most.' },
    input_cost: {
      type: 'number',
      required: false,
      gt: 0,
      description: 'What a million tokens of questions cost, for metrics and logs.',
    },
    output_cost: {
      type: 'number',
      required: false,
      gt: 0,
      description: 'What a million tokens of answers cost, for metrics and logs.',
    },
    temperature: {
      type: 'number',
      required: false,
      between: [0, 5],
      description: 'How freely the model chooses its words. 0: always the likeliest.',
    },
    top_p: {
      type: 'number',
      required: false,
      between: [0, 1],
      description: 'It chooses among the likeliest that make up this part of all.',
    },
    top_k: {
      type: 'integer',
      required: false,
      between: [0, 500],
      description: 'It chooses among so many of the likeliest.',
    },
    anthropic_version: { ...sent, description: 'Version of Anthropic’s interface, as 2023-06-01.' },
    azure_instance: { ...sent, description: 'Name of the Azure OpenAI instance.' },
    azure_api_version: { ...sent, default: '2023-05-15', description: 'Version of Azure OpenAI’s interface.' },
    azure_deployment_id: { ...sent, description: 'The deployment within that instance.' },
    llama2_format: {
      type: 'string',
      required: false,
      one_of: ['raw', 'openai', 'ollama'],
      description: 'How the server that runs Llama wants requests.',
    },
    mistral_format: {
      type: 'string',
      required: false,
      one_of: ['openai', 'ollama'],
      description: 'How the server that runs Mistral wants requests.',
    },
    upstream_url: {
      ...url,
      // Templates in it are filled in with each request.
      custom_validator: (text: string) => urlError(text.replaceAll(/\$\([^()]*\)/g, '0')),
      required: false,
      description: 'Where the model is, if not at its provider’s usual address.',
    },
    upstream_path: { ...sent, description: 'The path there, if not the usual one.' },
    gemini: {
      type: 'record',
      required: false,
      fields: {
        api_endpoint: { ...sent, description: 'The regional endpoint, as europe-west1-aiplatform.googleapis.com.' },
        project_id: { ...sent, description: 'The Google Cloud project.' },
        location_id: { ...sent, description: 'The region, as europe-west1.' },
      },
      entity_checks: [{ mutually_required: ['api_endpoint', 'project_id', 'location_id'] }],
      description: 'Settings for Gemini on Vertex.',
    },
    bedrock: {
      type: 'record',
      required: false,
      fields: { aws_region: { ...sent, description: 'The region. Not set: from the environment of the data plane.' } },
      description: 'Settings for Amazon Bedrock.',
    },
    huggingface: {
      type: 'record',
      required: false,
      fields: {
        use_cache: {
          type: 'boolean',
          required: false,
          description: 'An answer that it has given before may be given again.',
        },
        wait_for_model: {
          type: 'boolean',
          required: false,
          description: 'A model that is not running yet is waited for.',
        },
      },
      description: 'Settings for Hugging Face.',
    },
  },
});

/** The provider, its model and the model's options. */
export const model = defineField({
  type: 'record',
  description: 'Which model is asked, and how.',
  required: true,
  fields: {
    provider: {
      type: 'string',
      required: true,
      one_of: ['openai', 'azure', 'anthropic', 'cohere', 'mistral', 'llama2', 'gemini', 'bedrock', 'huggingface'],
      description: 'Whose model it is.',
    },
    name: { ...sent, description: 'Which of their models. Not set: the one that the client names.' },
    options: { ...options, description: 'How the model is asked.' },
  },
});

/** Which of OpenAI's interfaces a request is made to. */
export const routeType = defineField({
  type: 'string',
  description: 'Which interface of the model clients use. preserve: requests are passed on as they are.',
  required: true,
  one_of: ['llm/v1/chat', 'llm/v1/completions', 'preserve'],
});

/** What of the exchange is added to the log. */
export const logging = defineField({
  type: 'record',
  description: 'What of each exchange goes into the log.',
  required: true,
  fields: {
    log_statistics: {
      type: 'boolean',
      required: true,
      default: false,
      description: 'The log has tokens, costs and times of each exchange.',
    },
    log_payloads: {
      type: 'boolean',
      required: true,
      default: false,
      description: 'The log has what was asked and answered. It may be confidential.',
    },
  },
});

/** Whose requests clients send: OpenAI's, or those of a provider as they are. */
export const llmFormat = defineField({
  type: 'string',
  description: 'Whose requests clients send: those of OpenAI, or of a provider as they are.',
  required: false,
  default: 'openai',
  one_of: ['openai', 'bedrock', 'gemini'],
});

/** Bytes of a request's body that are looked into at the most. */
export const maxRequestBodySize = defineField({
  type: 'integer',
  default: 8192,
  gt: 0,
  description: 'Bytes of a request’s body that are looked into at the most.',
});

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
