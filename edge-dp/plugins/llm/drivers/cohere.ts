import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import {
  DONE,
  type Driver,
  decoded,
  eventData,
  isStream,
  openAiUsage,
  records,
  TranslationProblem,
  textOf,
  usage,
  withOptions,
} from '../driver.ts';
import { openai } from './openai.ts';

/** Cohere's chat and generate; requests with tools go to its OpenAI-like interface as they are. */
export const cohere: Driver = {
  request(payload, model, operation) {
    if (payload.tools !== undefined) return openai.request(payload, model, operation);
    const { top_p, top_k, messages, ...others } = withOptions(payload, model);
    const common = { ...others, p: top_p, k: top_k, model: model.name ?? payload.model, stream: isStream(payload) };
    if (operation === 'llm/v1/completions') return common;
    const turns = records(messages);
    const history = turns.slice(0, -1).map(({ role, content }) => ({
      role: role === 'assistant' || role === 'CHATBOT' ? 'CHATBOT' : 'USER',
      message: content,
    }));
    return {
      ...common,
      message: turns.at(-1)?.content,
      ...(history.length > 0 && { chat_history: history }),
    };
  },

  answer(text, model, operation) {
    const answer = recordOrEmpty(decoded(text, 'failed to decode cohere response'));
    const { prompt, generations, message } = answer;
    const billed = recordOrEmpty(recordOrEmpty(answer.meta).billed_units);
    if (prompt !== undefined && Array.isArray(generations)) {
      const choices = records(generations).map((each, index) => ({ index, text: each.text, finish_reason: 'stop' }));
      const used = openAiUsage(billed.input_tokens, billed.output_tokens);
      return { choices, object: 'text_completion', model: model.name, id: answer.id, usage: used };
    }
    if (textOf(answer.text) !== undefined) {
      const counts = recordOrEmpty(answer.token_count);
      const used =
        operation === 'llm/v1/chat'
          ? openAiUsage(billed.input_tokens, billed.output_tokens)
          : openAiUsage(counts.prompt_tokens, counts.response_tokens);
      return chat({ role: 'assistant', content: answer.text }, 'stop', model.name, answer.generation_id, used);
    }
    if (operation === 'llm/v1/chat' && isRecord(message)) {
      const counts = recordOrEmpty(recordOrEmpty(answer.usage).billed_units);
      const used = openAiUsage(counts.input_tokens, counts.output_tokens);
      const { tool_plan: plan, content, tool_calls: calls } = message;
      const said = { role: 'assistant', content: plan ?? content, tool_calls: calls };
      return chat(said, answer.finish_reason, model.name, answer.id, used);
    }
    throw new TranslationProblem("'text' or 'generations' missing from cohere response body");
  },

  stream(model, operation) {
    let id: unknown;
    const head = (object: string) => ({ id, model: model.name, object });
    return ({ data }) => {
      const told = recordOrEmpty(eventData(data));
      switch (told.event_type) {
        case 'stream-start':
          id = told.generation_id;
          return {
            chunk: {
              choices: [{ delta: { content: '', role: 'assistant' }, index: 0 }],
              ...head('chat.completion.chunk'),
            },
          };
        case 'text-generation': {
          const text = textOf(told.text) ?? '';
          const rest = { index: 0, finish_reason: null, logprobs: null };
          return operation === 'llm/v1/chat'
            ? { chunk: { choices: [{ delta: { content: text }, ...rest }], ...head('chat.completion.chunk') } }
            : { chunk: { choices: [{ text, ...rest }], ...head('text_completion') } };
        }
        case 'stream-end': {
          const response = recordOrEmpty(told.response);
          const billed = recordOrEmpty(recordOrEmpty(response.meta).billed_units);
          const counts = recordOrEmpty(response.token_count);
          return {
            chunk: DONE,
            usage: usage(billed.input_tokens ?? counts.prompt_tokens, billed.output_tokens ?? counts.response_tokens),
          };
        }
        default:
          return { chunk: null };
      }
    };
  },
};

function chat(message: Row, reason: unknown, model: string | null, id: unknown, used: Row): Row {
  const choices = [{ index: 0, message, finish_reason: reason }];
  return { choices, object: 'chat.completion', model, id, usage: used };
}
