import type { Row } from '../../../shared/record.ts';
import { type Driver, isStream, type Operation, TranslationProblem } from './driver.ts';
import type { Model } from './model.ts';

/**
 * The body for the provider, of one in OpenAI's shape that has been checked. Throws `TranslationProblem`, in Kong's words, also for what it
 * could not translate back: nobody is to pay for a stream that comes to nothing.
 */
export function translateRequest(payload: Row, driver: Driver, model: Model, operation: Operation): Row {
  const to = `${model.provider}://${operation}`;
  const sent = asked(payload, driver, model, operation, to);
  if (sent === null) throw new TranslationProblem(`no transformer for ${to}`);
  if (isStream(payload) && driver.stream(model, operation) === null) {
    throw new TranslationProblem(`no transformer available from format ${model.provider}://stream/${operation}`);
  }
  return sent;
}

function asked(payload: Row, driver: Driver, model: Model, operation: Operation, to: string): Row | null {
  try {
    return driver.request(payload, model, operation);
  } catch (error) {
    if (!(error instanceof TranslationProblem)) throw error;
    throw new TranslationProblem(`error transforming to ${to}: ${error.message}`);
  }
}
