import type { Database } from './database.ts';
import { CHANNELS, type Notifications } from './notifications.ts';
import type { SigningKeyLog } from './store.ts';

/** What the cluster says of its signing keys. */
export function signingKeyLog(database: Database, heard: Notifications): SigningKeyLog {
  return {
    async read() {
      const rows = await database.query('SELECT number, statement, sealed FROM signing_key_statements ORDER BY number');
      return rows.map(({ number, statement, sealed }) => ({
        number: Number(number),
        statement: String(statement),
        sealed: sealed ?? null,
      }));
    },
    async append({ number, statement, sealed }) {
      const rows = await database.query(
        `WITH made AS (
           INSERT INTO signing_key_statements (number, statement, sealed) VALUES ($1, $2, $3::jsonb)
           ON CONFLICT DO NOTHING RETURNING number)
         SELECT pg_notify('${CHANNELS.keys}', number::text) FROM made`,
        [number, statement, sealed === null ? null : JSON.stringify(sealed)],
      );
      return rows.length > 0;
    },
    subscribe: (callback) => heard.subscribe(CHANNELS.keys, callback),
  };
}
