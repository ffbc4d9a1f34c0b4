import { randomUUID } from 'node:crypto';
import { DEFAULT_GROUP } from '../../shared/bundle/format.ts';
import type { Database } from './database.ts';
import { keepObjects, RELEASE_LOCK, useObjects } from './release-objects.ts';
import type { ReleaseRetention, ReleaseStore } from './store.ts';

/** Writes down what a group was given at once, unless another control plane has, or has something newer. */
export function keepPublished(
  database: Database,
  { group, content, objects }: Parameters<ReleaseStore['keep']>[0],
  objectOf: Parameters<ReleaseStore['keep']>[1],
): Promise<boolean> {
  return database.transaction(async (session) => {
    await session.query(`SELECT pg_advisory_xact_lock(${RELEASE_LOCK})`);
    const [newest] = await session.query(
      `SELECT state, upto::double precision AS upto, config_hash FROM releases
       WHERE group_name = $1 AND state <> 'aborted' ORDER BY number DESC LIMIT 1`,
      [group],
    );
    const isStaged = newest !== undefined && newest.state !== 'published' && newest.state !== 'replaced';
    const isKept = newest?.state === 'published' && newest.config_hash === content.config_hash;
    if (isStaged || isKept || Number(newest?.upto ?? -1) > content.serial) return false;
    await keepObjects(session, objects, objectOf);
    const id = randomUUID();
    await session.query(
      `INSERT INTO releases (id, group_name, state, serial, upto, seen, config_hash, manifest, rings)
       VALUES ($1::uuid, $2, 'published', $3::bigint, $3::bigint, $3::bigint, $4, $5::jsonb, '[]')`,
      [id, group, content.serial, content.config_hash, JSON.stringify(content)],
    );
    await useObjects(session, id, objects);
    return true;
  });
}

/**
 * What is over: behind it came another one of its group, its group is gone, or it was undone. It counts as over since then. With a
 * count of 0 nothing of what is given at once is kept.
 */
const OVER = `SELECT id, group_name, number, state, CASE WHEN state = 'published' THEN next ELSE since END AS ended
  FROM (SELECT r.*, lead(created_at) OVER (PARTITION BY group_name ORDER BY number) AS next FROM releases r) placed
  WHERE state IN ('replaced', 'aborted') OR (state = 'published' AND (next IS NOT NULL OR $1::bigint = 0 OR
    (group_name <> '${DEFAULT_GROUP}' AND NOT EXISTS (SELECT FROM groups g WHERE g.name = group_name))))`;

/** Several control planes may do so at once: one does it, the others pass it over. */
export function forgetReleases(database: Database, { count, age }: ReleaseRetention): Promise<number> {
  return database.transaction(async (session) => {
    const [lock] = await session.query(`SELECT pg_try_advisory_xact_lock(${RELEASE_LOCK}) AS mine`);
    if (lock?.mine !== true) return 0;
    const gone = await session.query(
      `DELETE FROM releases WHERE id IN (SELECT id FROM
         (SELECT id, ended, row_number() OVER (PARTITION BY group_name ORDER BY number DESC) AS place FROM (${OVER}) past) ranked
         WHERE place > $1::bigint OR ($2::double precision > 0 AND ended < now() - make_interval(secs => $2::double precision)))
       RETURNING id`,
      [count, age],
    );
    if (gone.length > 0) {
      await session.query(
        'DELETE FROM release_objects o WHERE NOT EXISTS (SELECT FROM release_uses u WHERE u.name = o.name)',
      );
    }
    return gone.length;
  });
}
