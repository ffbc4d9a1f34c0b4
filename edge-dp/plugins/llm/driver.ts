import type { Row } from '../../../shared/record.ts';
import type { Model } from './model.ts';

/** The two of OpenAI's interfaces that requests are translated from. */
export type Operation = 'llm/v1/chat' | 'llm/v1/completions';

/** What a model used; null: it did not say. */
export interface Usage {
  readonly prompt: number | null;
  readonly completion: number | null;
}

/** An event of a stream. */
export interface ModelEvent {
  readonly event: string | null;
  readonly data: string;
}

/** What becomes of an event of a stream. */
export interface TranslatedEvent {
  /** A chunk in OpenAI's shape, a text as it is; null: nothing for the client. */
  readonly chunk: Row | string | null;
  readonly usage?: Usage;
}

/** What OpenAI ends a stream with. */
export const DONE = '[DONE]';

/** What OpenAI's clients are told in the middle of a stream of what went wrong. */
export function errorEvent({ message, type, code }: Row): TranslatedEvent {
  return {
    chunk: { error: { message: textOf(message) ?? 'the model failed', type, param: null, code: code ?? null } },
  };
}

/** Translates between OpenAI's shapes and a provider's. */
export interface Driver {
  /** The body for the provider, of one in OpenAI's shape that has been checked; null: it has no such operation. Throws `TranslationProblem`. */
  request(payload: Row, model: Model, operation: Operation): Row | null;
  /** The answer in OpenAI's shape, of the provider's 200; a text: as it came. Throws `TranslationProblem`. */
  answer(text: string, model: Model, operation: Operation): Row | string;
  /** Reads the events of one stream; null: the provider's cannot be translated. */
  stream(model: Model, operation: Operation): ((event: ModelEvent) => TranslatedEvent) | null;
}

/** A body that cannot be translated, in Kong's words. */
export class TranslationProblem extends Error {
  override readonly name = 'TranslationProblem';
}

/** A provider's answer as JSON. Throws `TranslationProblem` with those words where it is none. */
export function decoded(text: string, words: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TranslationProblem(words);
  }
}

/** An event's data as JSON; null where it is none, which is passed over. */
export function eventData(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

/** The options of the configuration over those of the request. */
export function withOptions(payload: Row, { options }: Model): Row {
  if (options === null || options === undefined) return payload;
  return {
    ...payload,
    temperature: options.temperature ?? payload.temperature,
    max_tokens: options.max_tokens ?? payload.max_tokens,
    top_p: options.top_p ?? payload.top_p,
    top_k: options.top_k ?? payload.top_k,
  };
}

export function isStream(payload: Row): boolean {
  return payload.stream === true;
}

/** A list's records; none for what is no list. */
export function records(value: unknown): readonly Row[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** Counts in OpenAI's shape. */
export function openAiUsage(prompt: unknown, completion: unknown): Row {
  const [input, output] = [numberOf(prompt), numberOf(completion)];
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input === undefined || output === undefined ? undefined : input + output,
  };
}

export function usage(prompt: unknown, completion: unknown): Usage {
  return { prompt: countOf(prompt), completion: countOf(completion) };
}

/** Null for what can be no count: it is added up and written as one, whatever a provider says. */
function countOf(value: unknown): number | null {
  const number = numberOf(value) ?? -1;
  return number >= 0 && number <= Number.MAX_SAFE_INTEGER ? number : null;
}
