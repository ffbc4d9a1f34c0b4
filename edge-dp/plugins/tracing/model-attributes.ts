import type { ModelCall } from '../llm/analytics.ts';
import type { Attribute } from './span.ts';

/** OpenTelemetry's semantic conventions for generative AI, and what the call cost, which they leave out. */
export function modelAttributes(call: ModelCall): readonly Attribute[] {
  return [
    ['gen_ai.operation.name', call.operation === 'llm/v1/chat' ? 'chat' : 'text_completion'],
    ['gen_ai.provider.name', PROVIDERS[call.provider] ?? call.provider],
    ['gen_ai.request.model', call.requestModel],
    ['gen_ai.response.model', call.responseModel],
    ['gen_ai.usage.input_tokens', { int: call.promptTokens }],
    ['gen_ai.usage.output_tokens', { int: call.completionTokens }],
    ['kong.gen_ai.cost', { double: call.cost }],
  ];
}

/** Those that the conventions call otherwise. */
const PROVIDERS: Readonly<Partial<Record<ModelCall['provider'], string>>> = {
  azure: 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  gemini: 'gcp.gemini',
  mistral: 'mistral_ai',
};
