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
    append({ number, statement, sealed }, behind) {
      return database.transaction(async (session) => {
        // A statement says of all keys what holds, so that one which was made without another would undo it.
        await session.query('LOCK TABLE signing_key_statements IN SHARE ROW EXCLUSIVE MODE');
        const rows = await session.query(
          `WITH made AS (
             INSERT INTO signing_key_statements (number, statement, sealed) SELECT $1::bigint, $2, $3::jsonb
             WHERE (SELECT max(number) FROM signing_key_statements) IS NOT DISTINCT FROM $4::bigint
             ON CONFLICT DO NOTHING RETURNING number)
           SELECT pg_notify('${CHANNELS.keys}', number::text) FROM made`,
          [number, statement, sealed === null ? null : JSON.stringify(sealed), behind],
        );
        return rows.length > 0;
      });
    },
    subscribe: (callback) => heard.subscribe(CHANNELS.keys, callback),
  };
}
