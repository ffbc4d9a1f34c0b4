import type { Driver } from '../driver.ts';
import type { Model } from '../model.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';

/** Mistral, in the form that its server speaks (`mistral_format`). */
export const mistral: Driver = {
  request: (payload, model, operation) => formOf(model).request(payload, model, operation),
  answer: (text, model, operation) => formOf(model).answer(text, model, operation),
  stream: (model, operation) => formOf(model).stream(model, operation),
};

function formOf({ options }: Model): Driver {
  return options?.mistral_format === 'ollama' ? ollama : openai;
}
