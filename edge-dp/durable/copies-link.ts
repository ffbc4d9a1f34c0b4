import type { FromDataPlane, PurgeMessage, ShowCopyMessage } from '../../shared/cluster/messages.ts';
import { isRecord, mustBeRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { fittingAnswer } from './fitting.ts';
import { RESPONSES, type ResponseQuestion, STATE_PATH } from './state-messages.ts';

interface CopiesLinkOptions {
  /** The Durable Object that keeps copies of answers; null: this node keeps none. */
  readonly keeper: (path: string) => Pick<DurableObjectStub, 'fetch'> | null;
  readonly send: (message: FromDataPlane) => void;
  readonly warn: (message: string) => void;
}

/** What a control plane wants of the node's copies of answers: that some are forgotten, or to see one. */
export class CopiesLink {
  readonly #options: CopiesLinkOptions;

  constructor(options: CopiesLinkOptions) {
    this.#options = options;
  }

  async purge({ of, name }: PurgeMessage): Promise<void> {
    try {
      await this.#ask({ does: 'purge', of, name });
    } catch (error) {
      this.#options.warn(`copies of answers were not purged (${of} ${name}): ${messageOf(error)}`);
    }
  }

  async show({ id, key, plugin }: ShowCopyMessage): Promise<void> {
    const { send } = this.#options;
    try {
      const { entry } = mustBeRecord(await this.#ask({ does: 'show', key, plugin }), 'the answer');
      const found = isRecord(entry);
      send(fittingAnswer({ type: 'explained', id, status: found ? 200 : 404, body: found ? { ...entry } : {} }));
    } catch (error) {
      send({ type: 'explained', id, status: 500, body: { message: messageOf(error) } });
    }
  }

  async #ask(question: ResponseQuestion): Promise<unknown> {
    const path = `${STATE_PATH}${RESPONSES}`;
    const keeper = this.#options.keeper(path);
    if (keeper === null) throw new Error('this node keeps none');
    const answer = await keeper.fetch(`http://node${path}`, { method: 'POST', body: JSON.stringify(question) });
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}
