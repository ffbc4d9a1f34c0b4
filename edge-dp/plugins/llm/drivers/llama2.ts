import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { type Driver, decoded, isStream, records, TranslationProblem, textOf, withOptions } from '../driver.ts';
import type { Model } from '../model.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';

/** Llama 2, in the form that its server speaks (`llama2_format`). */
export const llama2: Driver = {
  request: (payload, model, operation) => formOf(model).request(payload, model, operation),
  answer: (text, model, operation) => formOf(model).answer(text, model, operation),
  stream: (model, operation) => formOf(model).stream(model, operation),
};

function formOf({ options }: Model): Driver {
  switch (options?.llama2_format) {
    case 'openai':
      return openai;
    case 'ollama':
      return ollama;
    default:
      return raw;
  }
}

/** Prompts as the model itself reads them. */
const raw: Driver = {
  request(payload, model) {
    const { max_tokens, top_p, top_k, temperature, messages, prompt } = withOptions(payload, model);
    return {
      parameters: { max_new_tokens: max_tokens, top_p, top_k, temperature, stream: isStream(payload) },
      inputs:
        messages === undefined
          ? `<s> [INST] <<SYS>> You are a helpful assistant. <<SYS>> ${String(prompt)} [/INST]`
          : instructions(records(messages)),
    };
  },

  answer(text, _model, operation) {
    const answer = recordOrEmpty(decoded(text, 'failed to decode llama2 response'));
    const { data } = answer;
    if (!Array.isArray(data) || data.length > 1) {
      throw new TranslationProblem('cannot parse response from llama2 endpoint');
    }
    const generated = isRecord(data[0]) ? textOf(data[0].generated_text) : undefined;
    if (generated === undefined) throw new TranslationProblem('response data is empty from llama2 endpoint');
    const said = (generated.split('[/INST]').at(-1) ?? '').trim();
    const choice: Row =
      operation === 'llm/v1/chat'
        ? { message: { content: said, role: 'assistant' }, index: 0 }
        : { index: 0, text: said };
    const object = operation === 'llm/v1/chat' ? 'chat.completion' : 'text_completion';
    return { choices: [choice], object, usage: answer.usage };
  },

  stream: () => null,
};

/** The first message is the system's, the second the question; then answers and questions in turn. */
function instructions(messages: readonly Row[]): string {
  return messages
    .map(({ role, content }, at) => {
      if (at === 0) return `<s>[INST] <<SYS>> ${String(content)} <</SYS>>`;
      if (at === 1) return ` ${String(content)} [/INST]`;
      // Kong has answers of the role `system` alone, and forgets those of `assistant`, which are what clients send.
      if (role === 'system' || role === 'assistant') return ` ${String(content)} </s>`;
      return role === 'user' ? ` <s>[INST] ${String(content)} [/INST]` : '';
    })
    .join('');
}
