import { isRecord, type Row, recordOrEmpty } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { type Driver, type Operation, type Usage, usage } from './driver.ts';
import type { Model } from './model.ts';

/** A provider's answer in OpenAI's shape, as text and as JSON, or why there is none, in Kong's words. */
export type TranslatedAnswer = { readonly text: string; readonly answer: unknown } | { readonly problem: string };

export function translateAnswer(
  text: string | null,
  driver: Driver,
  model: Model,
  operation: Operation,
): TranslatedAnswer {
  if (text === null) return { problem: 'no response body found when transforming response' };
  try {
    const answer = driver.answer(text, model, operation);
    return typeof answer === 'string'
      ? { text: answer, answer: JSON.parse(answer) }
      : { text: JSON.stringify(answer), answer };
  } catch (error) {
    return { problem: `transformation failed from type ${model.provider}://${operation}: ${messageOf(error)}` };
  }
}

/** What an answer in OpenAI's shape says it took. */
export function answeredUsage(answer: unknown): Usage {
  const told: Row = isRecord(answer) ? recordOrEmpty(answer.usage) : {};
  return usage(told.prompt_tokens, told.completion_tokens);
}

/** The same of one that is passed on as the provider wrote it, and what the model calls itself. */
export function nativeAnswer(text: string | null): { readonly usage: Usage; readonly answeredBy: unknown } {
  let answer: unknown = null;
  try {
    answer = JSON.parse(text ?? 'null');
  } catch {
    // It is passed on whatever it is.
  }
  const told = recordOrEmpty(answer);
  const [gemini, bedrock] = [recordOrEmpty(told.usageMetadata), recordOrEmpty(told.usage)];
  return {
    usage: usage(gemini.promptTokenCount ?? bedrock.inputTokens, gemini.candidatesTokenCount ?? bedrock.outputTokens),
    answeredBy: told.modelVersion,
  };
}
