import type { Row } from '../../../shared/record.ts';
import { records, textOf } from './driver.ts';

/** Tokens of a request, for providers that do not say: a word counts as one, or 1.8 in a stream. */
export function estimatedPromptTokens(payload: Row, streaming: boolean): number {
  const texts =
    payload.messages === undefined ? [payload.prompt] : records(payload.messages).map(({ content }) => content);
  const words = texts.flatMap(textsIn).reduce((count, text) => count + wordsOf(text), 0);
  return Math.floor(words * (streaming ? 1.8 : 1) + 0.5);
}

/** Tokens of what a stream said: four characters each. */
export function estimatedCompletionTokens(characters: number): number {
  return Math.ceil(characters / 4);
}

function textsIn(content: unknown): readonly string[] {
  if (typeof content === 'string') return [content];
  return records(content).flatMap(({ text }) => textOf(text) ?? []);
}

function wordsOf(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}
