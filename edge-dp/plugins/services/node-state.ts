import { messageOf } from '../../../shared/thrown.ts';
import { STATE_PATH } from '../../durable/state-messages.ts';
import { ServiceError } from '../runtime/services.ts';

/** Milliseconds a keeper of state has to answer. */
const PATIENCE = 5_000;

/** Asks the node's keepers of shared state, `patience` being milliseconds. Throws `ServiceError` with `unavailable` when they do not answer. */
export type AskState = (path: string, question: unknown, patience?: number) => Promise<unknown>;

/** The part of `env.NODE` used here. */
interface Node {
  fetch(
    url: string,
    init: { readonly method: string; readonly body: string; readonly signal: AbortSignal },
  ): Promise<{ readonly status: number; text(): Promise<string>; json(): Promise<unknown> }>;
}

/** Over `env.NODE`. */
export function askNode(node: Node): AskState {
  return async (path, question, patience = PATIENCE) => {
    try {
      const answer = await node.fetch(`http://node${STATE_PATH}${path}`, {
        method: 'POST',
        body: JSON.stringify(question),
        signal: AbortSignal.timeout(patience),
      });
      if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
      return await answer.json();
    } catch (error) {
      throw new ServiceError('unavailable', `the node's shared state: ${messageOf(error)}`, { cause: error });
    }
  };
}
