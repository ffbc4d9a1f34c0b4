import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { type Driver, decoded, eventData, isStream, TranslationProblem, usage, withOptions } from '../driver.ts';

/** OpenAI, and those that speak as it does (Azure): nothing to translate. */
export const openai: Driver = {
  request: (payload, model) => {
    const { top_k, ...sent } = withOptions(payload, model);
    return { ...sent, model: model.name ?? payload.model, stream: isStream(payload) };
  },
  answer(text, _model, operation) {
    const answer = decoded(text, `failed to decode ${operation} response`);
    if (!isRecord(answer) || !isThere(answer.choices)) {
      throw new TranslationProblem(`'choices' not in ${operation} response`);
    }
    return text;
  },
  stream: () => (event) => {
    const told = event.data.includes('"usage"') ? recordOrEmpty(recordOrEmpty(eventData(event.data)).usage) : NOTHING;
    return { chunk: event.data, usage: usage(told.prompt_tokens, told.completion_tokens) };
  },
};

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

const NOTHING: Row = {};
