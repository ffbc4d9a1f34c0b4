import { arrayOf } from '../../shared/bundle/shape.ts';
import { parseRecordOutcome, type RecordChange, type RecordOutcome } from '../../shared/cluster/records.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { linkName } from './cluster-link.ts';
import { ClusterRecords } from './cluster-records.ts';
import type { SharedQuestion } from './state-messages.ts';

/** What all data planes share, as one Durable Object of the node keeps it: questions of isolates and of the link's owner. */
export class ClusterKeeper {
  readonly #records: ClusterRecords;

  constructor(state: DurableObjectState, env: Env) {
    this.#records = new ClusterRecords({
      storage: state.storage,
      tell: (changes) => tellControlPlane(env, changes),
      linked: env.SETTINGS.controlPlanes > 0,
      waitUntil: (work) => state.waitUntil(work),
      log: (level, message) => console[level](message),
    });
  }

  async answer(question: SharedQuestion): Promise<unknown> {
    switch (question.ask) {
      case 'record':
        return this.#records.answer(question.collection, question.question);
      case 'position':
        return { position: await this.#records.position(), untold: await this.#records.untold() };
      case 'news':
        return { position: await this.#records.news(question.page) };
      case 'linked':
        await this.#records.linked();
        return {};
    }
  }

  /** Whether this storage is that of shared records. */
  isHere(): Promise<boolean> {
    return this.#records.isHere();
  }

  alarm(now: number): Promise<void> {
    return this.#records.alarm(now);
  }
}

/** Over the link, whose owner lives where this does. */
async function tellControlPlane(env: Env, changes: readonly RecordChange[]): Promise<readonly RecordOutcome[] | null> {
  const { LINK } = env;
  if (LINK === undefined) return null;
  try {
    const owner = LINK.get(LINK.idFromName(linkName(env)));
    const answer = await owner.fetch('http://node/records', { method: 'POST', body: JSON.stringify(changes) });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
    const outcomes: unknown = JSON.parse(text);
    return outcomes === null ? null : arrayOf(outcomes, 'outcomes', parseRecordOutcome);
  } catch (error) {
    console.warn(`what this node has to share was not told: ${messageOf(error)}`);
    return null;
  }
}
