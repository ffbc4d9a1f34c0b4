import { randomUUID } from 'node:crypto';
import type { Explained, ExplainMessage } from '../../shared/cluster/messages.ts';

/** Milliseconds a data plane has for its answer. */
const PATIENCE = 5_000;

/** Questions to data planes that wait for an answer. */
export class Questions {
  readonly #waiting = new Map<string, (answer: Explained) => void>();

  /** Has `tell` send the question. Resolves with null when no answer comes in time. */
  explain(
    request: ExplainMessage['request'],
    tell: (message: ExplainMessage) => void,
  ): Promise<Pick<Explained, 'status' | 'body'> | null> {
    const id = randomUUID();
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#waiting.delete(id);
        resolve(null);
      }, PATIENCE);
      this.#waiting.set(id, (answer) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        resolve(answer);
      });
      tell({ type: 'explain', id, request });
    });
  }

  /** Answers nobody waits for any more are dropped. */
  answered(answer: Explained): void {
    this.#waiting.get(answer.id)?.(answer);
  }
}
