import { randomUUID } from 'node:crypto';
import type { Explained } from '../../shared/cluster/messages.ts';
import type { NodeSession } from './session.ts';

/** Milliseconds a data plane has for its answer. */
const PATIENCE = 5_000;

/** Questions to data planes that wait for an answer. */
export class Questions {
  readonly #waiting = new Map<string, { readonly of: NodeSession; readonly take: (answer: Explained) => void }>();

  /** Has `tell` send the question, with this id, to one data plane. Resolves with null when no answer of it comes in time. */
  ask(
    of: NodeSession,
    tell: (id: string) => void,
    patience = PATIENCE,
  ): Promise<Pick<Explained, 'status' | 'body'> | null> {
    const id = randomUUID();
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#waiting.delete(id);
        resolve(null);
      }, patience);
      const take = (answer: Explained) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        resolve(answer);
      };
      this.#waiting.set(id, { of, take });
      tell(id);
    });
  }

  /** Answers nobody waits for any more, or of one that was not asked, are dropped. */
  answered(session: NodeSession, answer: Explained): void {
    const question = this.#waiting.get(answer.id);
    if (question?.of === session) question.take(answer);
  }
}
