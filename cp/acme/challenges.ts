import { ACME_CHALLENGES } from '../../shared/acme.ts';
import type { SharedRecords } from '../store/store.ts';
import type { Challenges } from './order.ts';

/** Milliseconds after which a challenge that nobody has withdrawn is over. */
const LIFE = 3_600_000;

/** Challenges as records of all data planes: each of them is told, and asks for one it was not told of yet. */
export function sharedChallenges(records: SharedRecords, nodeId: string): Challenges {
  return {
    async publish(token, keyAuthorization) {
      const until = Date.now() + LIFE;
      const [outcome] = await records.apply(nodeId, [
        { does: 'put', collection: ACME_CHALLENGES, key: token, value: keyAuthorization, until },
      ]);
      if (outcome?.outcome !== 'done') throw new Error(`a challenge cannot be kept: ${outcome?.reason ?? 'try again'}`);
    },
    async withdraw(token) {
      await records.apply(nodeId, [{ does: 'delete', collection: ACME_CHALLENGES, key: token }]);
    },
  };
}
