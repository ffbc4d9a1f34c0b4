import type { Count } from '../../shared/cluster/counts.ts';
import type { Database, Session } from './database.ts';
import type { SharedCounts } from './store.ts';

/** Windows kept of one data plane; those that end first go first. */
const MOST_OF_ONE = 200_000;
/** What no window lasts longer than, in days. */
const LONGEST = 367;

/** What data planes count together. */
export function sharedCounts(database: Database): SharedCounts {
  return {
    async compare({ node, ledger, counts }) {
      if (counts.length === 0) return [];
      const rows = await database.query(
        {
          name: 'shared_counts_compare',
          // In the order of the keys, so that no two wait for each other.
          text: `
            WITH told AS (
              SELECT DISTINCT ON (counted) counted, used, place, expires_at FROM (
                SELECT item ->> 0 AS counted, (item ->> 1)::bigint AS used, place,
                       least(to_timestamp((item ->> 2)::double precision), now() + interval '${LONGEST} days') AS expires_at
                FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS items (item, place)) AS given
              ORDER BY counted, place DESC),
            kept AS (
              INSERT INTO shared_counts AS known (counted, ledger, node, used, expires_at)
              SELECT counted, $2::uuid, $3::uuid, used, expires_at FROM told
              WHERE expires_at > now() AND (used > 0 OR EXISTS (
                SELECT FROM shared_counts AS mine WHERE mine.counted = told.counted AND mine.ledger = $2::uuid))
              ORDER BY counted
              ON CONFLICT (counted, ledger) DO UPDATE SET used = EXCLUDED.used WHERE known.node = EXCLUDED.node)
            SELECT told.counted, coalesce(sum(others.used), 0)::double precision AS used
            FROM told LEFT JOIN shared_counts AS others ON others.counted = told.counted AND others.ledger <> $2::uuid
            GROUP BY told.counted`,
        },
        [JSON.stringify(counts), ledger, node],
      );
      const others = new Map(rows.map(({ counted, used }) => [String(counted), Number(used)]));
      return counts.map(([window]: Count) => Math.min(others.get(window) ?? 0, Number.MAX_SAFE_INTEGER));
    },
  };
}

/** Forgets windows that are over, and what one data plane has counted beyond all bounds. */
export async function purgeCounts(session: Session): Promise<void> {
  await session.query(
    `DELETE FROM shared_counts WHERE (counted, ledger) IN (
       SELECT counted, ledger FROM shared_counts WHERE expires_at <= now() LIMIT 20000 FOR UPDATE SKIP LOCKED)`,
  );
  const nodes = await session.query(
    `SELECT node, count(*)::double precision AS windows FROM shared_counts GROUP BY node HAVING count(*) > ${MOST_OF_ONE}`,
  );
  for (const { node, windows } of nodes) {
    await session.query(
      `DELETE FROM shared_counts WHERE (counted, ledger) IN (
         SELECT counted, ledger FROM shared_counts WHERE node = $1::uuid ORDER BY expires_at LIMIT $2::bigint)`,
      [String(node), Number(windows) - MOST_OF_ONE],
    );
  }
}
