import { type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { DONE, type Driver, decoded, eventData, isStream, numberOf, usage, withOptions } from '../driver.ts';

/** Ollama's interface, which llama2 and mistral may be behind. */
export const ollama: Driver = {
  request(payload, model) {
    const { messages, prompt, tools, tool_choice, max_tokens, temperature, top_p, top_k } = withOptions(payload, model);
    return {
      messages,
      prompt,
      stream: isStream(payload),
      model: model.name ?? payload.name,
      tools,
      tool_choice,
      options: { num_predict: max_tokens, temperature, top_p, top_k },
    };
  },

  answer(text, model, operation) {
    const answer = recordOrEmpty(decoded(text, 'failed to decode ollama response'));
    const [completion, prompt] = [numberOf(answer.eval_count) ?? 0, numberOf(answer.prompt_eval_count) ?? 0];
    const reason =
      answer.eval_count !== undefined && answer.eval_count === model.options?.max_tokens ? 'length' : 'stop';
    return {
      model: answer.model,
      created: answer.created_at,
      usage: { completion_tokens: completion, prompt_tokens: prompt, total_tokens: completion + prompt },
      ...(operation === 'llm/v1/chat'
        ? {
            object: 'chat.completion',
            choices: [{ finish_reason: answer.finish_reason ?? reason, index: 0, message: answer.message }],
          }
        : { object: 'text_completion', choices: [{ index: 0, text: answer.response }] }),
    };
  },

  stream: (_model, operation) => (event) => {
    const told = recordOrEmpty(eventData(event.data));
    if (told.done === true) return { chunk: DONE, usage: usage(told.prompt_eval_count, told.eval_count) };
    const { model } = told;
    const choice: Row =
      operation === 'llm/v1/chat'
        ? { delta: { content: recordOrEmpty(told.message).content ?? '' }, index: 0 }
        : { text: told.response ?? '', index: 0 };
    const object = operation === 'llm/v1/chat' ? 'chat.completion.chunk' : 'text_completion';
    return { chunk: { choices: [choice], model, object } };
  },
};
