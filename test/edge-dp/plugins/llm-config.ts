import type { AiProxyConfig } from '../../../shared/plugins/ai-proxy.ts';

type Model = AiProxyConfig['model'];
type Options = NonNullable<Model['options']>;
type Auth = NonNullable<AiProxyConfig['auth']>;

const NO_OPTIONS: Options = {
  max_tokens: null,
  input_cost: null,
  output_cost: null,
  temperature: null,
  top_p: null,
  top_k: null,
  anthropic_version: null,
  azure_instance: null,
  azure_api_version: '2023-05-15',
  azure_deployment_id: null,
  llama2_format: null,
  mistral_format: null,
  upstream_url: null,
  upstream_path: null,
  gemini: null,
  bedrock: null,
  huggingface: null,
};

const NO_AUTH: Auth = {
  header_name: null,
  header_value: null,
  param_name: null,
  param_value: null,
  param_location: null,
  gcp_use_service_account: false,
  gcp_service_account_json: null,
  aws_access_key_id: null,
  aws_secret_access_key: null,
  allow_override: false,
};

interface Given extends Partial<Omit<AiProxyConfig, 'model' | 'auth'>> {
  readonly provider: Model['provider'];
  readonly name?: string | null;
  readonly options?: Partial<Options>;
  readonly auth?: Partial<Auth>;
}

/** A configuration of ai-proxy with everything that is not given at its default. */
export function proxyConfig({ provider, name = 'm', options = {}, auth = {}, ...others }: Given): AiProxyConfig {
  return {
    route_type: 'llm/v1/chat',
    logging: { log_statistics: true, log_payloads: false },
    response_streaming: 'allow',
    max_request_body_size: 8192,
    model_name_header: true,
    llm_format: 'openai',
    ...others,
    model: { provider, name, options: { ...NO_OPTIONS, ...options } },
    auth: { ...NO_AUTH, ...auth },
  };
}
