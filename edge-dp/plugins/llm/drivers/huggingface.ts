import { type Row, recordOrEmpty } from '../../../../shared/record.ts';
import {
  DONE,
  type Driver,
  decoded,
  eventData,
  records,
  TranslationProblem,
  textOf,
  usage,
  withOptions,
} from '../driver.ts';

/** Hugging Face's inference: chats much as OpenAI has them, and text generation. */
export const huggingface: Driver = {
  request(payload, model, operation) {
    const { top_k, top_p, temperature, max_tokens, prompt, ...others } = withOptions(payload, model);
    const given = recordOrEmpty(payload.parameters);
    const length = operation === 'llm/v1/chat' ? { max_length: max_tokens } : { max_new_tokens: max_tokens };
    const { use_cache, wait_for_model } = model.options?.huggingface ?? {};
    return {
      ...others,
      ...(operation === 'llm/v1/completions' && { inputs: prompt }),
      options: { use_cache: use_cache ?? false, wait_for_model: wait_for_model ?? false },
      parameters: { top_k, top_p, temperature, ...(given.max_tokens === undefined && length), ...given },
      model: model.name ?? payload.model,
    };
  },

  answer(text, model, operation) {
    const told = decoded(text, 'Failed to decode response');
    const answer = recordOrEmpty(told);
    const problem = answer.error ?? answer.message;
    if (problem !== undefined) throw new TranslationProblem(`API error: ${textOf(problem) ?? JSON.stringify(problem)}`);
    const [generated] = records(told);
    const choices: readonly Row[] | null =
      generated?.generated_text !== undefined
        ? [choice(generated.generated_text, 0)]
        : Array.isArray(answer.choices)
          ? records(answer.choices).map(({ message }, at) => choice(recordOrEmpty(message).content ?? '', at))
          : null;
    if (choices === null) throw new TranslationProblem('Invalid response format');
    return { model: model.name, object: answer.object ?? operation, choices, usage: answer.usage ?? {} };
  },

  stream: (model, operation) => (event) => {
    if (event.data.trim() === DONE) return { chunk: DONE };
    const told = recordOrEmpty(eventData(event.data));
    const counts = recordOrEmpty(told.usage);
    const used = usage(counts.prompt_tokens, counts.completion_tokens);
    if (operation === 'llm/v1/completions') {
      const text = textOf(recordOrEmpty(told.token).text) ?? '';
      return { chunk: { choices: [{ text, index: 0 }], model: model.name, object: 'text_completion' }, usage: used };
    }
    const content = textOf(recordOrEmpty(records(told.choices)[0]?.delta).content) ?? '';
    return {
      chunk: {
        choices: [{ delta: { content, role: 'assistant' }, index: 0 }],
        model: told.model ?? model.name,
        object: 'chat.completion.chunk',
      },
      usage: used,
    };
  },
};

function choice(content: unknown, index: number): Row {
  return { message: { content }, index, finish_reason: 'complete' };
}
