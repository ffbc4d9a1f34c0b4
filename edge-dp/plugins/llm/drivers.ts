import type { Driver } from './driver.ts';
import { anthropic } from './drivers/anthropic.ts';
import { bedrock } from './drivers/bedrock.ts';
import { cohere } from './drivers/cohere.ts';
import { gemini } from './drivers/gemini.ts';
import { huggingface } from './drivers/huggingface.ts';
import { llama2 } from './drivers/llama2.ts';
import { mistral } from './drivers/mistral.ts';
import { openai } from './drivers/openai.ts';
import type { Model } from './model.ts';

/** Who translates for which provider. */
export const drivers: Readonly<Record<Model['provider'], Driver>> = {
  anthropic,
  azure: openai,
  bedrock,
  cohere,
  gemini,
  huggingface,
  llama2,
  mistral,
  openai,
};
