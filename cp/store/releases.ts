import { randomUUID } from 'node:crypto';
import type { PackedObject } from '../../shared/bundle/format.ts';
import { parseManifest } from '../../shared/bundle/manifest.ts';
import { isUuid } from '../../shared/uuid.ts';
import { parseRings } from '../releases/rings.ts';
import { asSqlError, type Database, type Session, type SqlRow } from './database.ts';
import { forgetReleases, keepPublished } from './kept-releases.ts';
import { pageSize, pageToken, readPageToken } from './page-token.ts';
import { keepObjects, RELEASE_LOCK, useObjects } from './release-objects.ts';
import type {
  Change,
  NewRelease,
  ReleasedWrite,
  ReleaseObstacle,
  ReleaseStanding,
  ReleaseStep,
  ReleaseStore,
  StoredRelease,
} from './store.ts';

/** Objects read at a time. */
const OBJECTS = 100;
/** Writes that are told of one release. */
const MOST_WRITES = 1000;
/** Steps that are told at a time. */
const MOST_STEPS = 1000;
const STEP_COLUMNS = `id, number::double precision AS number, group_name, state, reason, serial::double precision AS serial,
  coalesce(began, serial)::double precision AS began,
  upto::double precision AS upto, seen::double precision AS seen, config_hash, rings, ring, rollback_to,
  extract(epoch FROM since)::double precision AS since, extract(epoch FROM at)::double precision AS at,
  extract(epoch FROM now() - since)::double precision AS age, (at IS NULL OR at <= now()) AS is_due,
  extract(epoch FROM created_at)::double precision AS created_at`;
const COLUMNS = `${STEP_COLUMNS}, manifest`;

/** Releases of groups, in the database so that every control plane gives the same and a restart loses none. */
export function releaseStore(database: Database): ReleaseStore {
  return {
    async current() {
      const rows = await database.query(
        `SELECT ${COLUMNS} FROM releases WHERE state IN ('live', 'scheduled', 'rolling', 'paused') ORDER BY number`,
      );
      return rows.map(toRelease);
    },
    async get(id) {
      if (!isUuid(id)) return null;
      const [row] = await database.query(`SELECT ${COLUMNS} FROM releases WHERE id = $1::uuid`, [id]);
      return row === undefined ? null : toRelease(row);
    },
    async page({ group, size: asked, offset }) {
      const size = pageSize(asked);
      const before =
        offset === undefined ? null : (readPageToken(offset, 1, (text) => /^\d{1,15}$/.test(text))[0] ?? null);
      const rows = await database.query(
        `SELECT ${COLUMNS} FROM releases WHERE ($1::text IS NULL OR group_name = $1)
           AND ($2::bigint IS NULL OR number < $2::bigint) ORDER BY number DESC LIMIT $3::integer`,
        [group ?? null, before, size + 1],
      );
      const releases = rows.slice(0, size).map(toRelease);
      const last = releases.at(-1);
      return rows.length <= size || last === undefined
        ? { releases }
        : { releases, offset: pageToken([String(last.number)]) };
    },
    async writes({ group, number, upto }) {
      const [before] = await database.query(
        `SELECT r.upto::double precision AS upto, r.upto >= s.log_floor AS is_logged
         FROM releases r, config_serial s
         WHERE r.group_name = $1 AND r.number < $2::bigint AND r.state IN ('live', 'replaced', 'published')
         ORDER BY r.number DESC LIMIT 1`,
        [group, number],
      );
      if (before?.is_logged !== true) return null;
      const rows = await database.query(
        `SELECT s.serial::double precision AS serial, extract(epoch FROM s.committed_at)::double precision AS at,
           c.entity, c.id, c.operation
         FROM change_sets s JOIN changes c ON c.change_set = s.id
         WHERE s.serial > $1::bigint AND s.serial <= $2::bigint
         ORDER BY s.serial DESC, c.position DESC LIMIT ${MOST_WRITES}`,
        [Number(before.upto), upto],
      );
      return rows.map(toWrite);
    },
    async create(release, objectOf) {
      try {
        return await database.transaction(async (session) => {
          await session.query(`SELECT pg_advisory_xact_lock(${RELEASE_LOCK})`);
          await keepObjects(session, release.objects, objectOf);
          return await insert(session, release);
        });
      } catch (error) {
        if (asSqlError(error)?.code === '23505') return 'on its way';
        throw error;
      }
    },
    keep: (published, objectOf) => keepPublished(database, published, objectOf),
    forget: (retention) => forgetReleases(database, retention),
    step: (release, step) => database.transaction((session) => take(session, release, step)),
    async steps(seconds) {
      const rows = await database.query(
        `SELECT ${STEP_COLUMNS} FROM releases WHERE since > now() - make_interval(secs => $1::double precision)
           AND state <> 'published' ORDER BY since, number LIMIT ${MOST_STEPS}`,
        [seconds],
      );
      return rows.map(toStep);
    },
    async end(group, reason) {
      await database.query(
        `UPDATE releases SET state = CASE state WHEN 'live' THEN 'replaced' ELSE 'aborted' END, reason = $2, since = now()
         WHERE group_name = $1 AND state IN ('live', 'scheduled', 'rolling', 'paused')`,
        [group, reason],
      );
    },
    async objects(names) {
      const found: PackedObject[] = [];
      for (let start = 0; start < names.length; start += OBJECTS) {
        const rows = await database.query('SELECT name, gzip FROM release_objects WHERE name = ANY ($1::text[])', [
          names.slice(start, start + OBJECTS),
        ]);
        for (const { name, gzip } of rows) {
          found.push({ name: String(name), gzip: new Uint8Array(Buffer.from(String(gzip), 'base64')) });
        }
      }
      return found;
    },
  };
}

async function insert(session: Session, release: NewRelease): Promise<StoredRelease | ReleaseObstacle> {
  const { group, state, content } = release;
  const current = await session.query(
    `SELECT id, state FROM releases WHERE group_name = $1 AND state IN ('live', 'scheduled', 'rolling', 'paused')`,
    [group],
  );
  if (current.some((row) => row.state !== 'live')) return 'on its way';
  if ((current[0]?.id ?? null) !== release.after) return 'moved on';
  if (state === 'live' && release.serial === null) {
    await session.query(
      `UPDATE releases SET state = 'replaced', since = now() WHERE group_name = $1 AND state = 'live'`,
      [group],
    );
  }
  // Also for one whose time has not come: every control plane is to look out for it.
  const own = release.serial ?? (await nextSerial(session));
  const serial = state === 'scheduled' ? release.upto : own;
  const [row] = await session.query(
    `INSERT INTO releases (id, group_name, state, serial, upto, seen, config_hash, manifest, rings, at, rollback_to)
     VALUES ($1::uuid, $2, $3, $4::bigint, $5::bigint, $6::bigint, $7, $8::jsonb, $9::jsonb,
       to_timestamp($10::double precision), $11::uuid) RETURNING ${COLUMNS}`,
    [
      randomUUID(),
      group,
      state,
      serial,
      release.upto,
      release.seen,
      content.config_hash,
      JSON.stringify(content),
      JSON.stringify(release.rings),
      release.at,
      release.rollbackTo,
    ],
  );
  if (row === undefined) throw new Error('the database did not say what it wrote');
  const created = toRelease(row);
  await useObjects(session, created.id, release.objects);
  return created;
}

/** Null: it is not as the caller knew it any more, and nothing was done. */
async function take(
  session: Session,
  { id, state, ring, since, rings, group }: StoredRelease,
  step: ReleaseStep,
): Promise<StoredRelease | null> {
  const [locked] = await session.query(
    `SELECT state, ring, extract(epoch FROM since)::double precision AS since FROM releases WHERE id = $1::uuid FOR UPDATE`,
    [id],
  );
  // Also one that is there again: paused and resumed, its time begins anew.
  if (locked?.state !== state || locked.ring !== ring || Number(locked.since) !== since) return null;
  const serial = await nextSerial(session);
  if (step.state === 'live') {
    await session.query(
      `UPDATE releases SET state = 'replaced', since = now() WHERE group_name = $1 AND state = 'live'`,
      [group],
    );
  }
  if (step.state === 'aborted' && state !== 'scheduled') {
    // Data planes that have the candidate go back under a serial above it.
    await session.query(`UPDATE releases SET serial = $2::bigint WHERE group_name = $1 AND state = 'live'`, [
      group,
      serial,
    ]);
  }
  const begins = state === 'scheduled' && step.state !== 'aborted';
  // What a data plane has for a part of its requests it gets anew for another part of them, or for all.
  const isSplit = rings.some(({ traffic }) => traffic !== undefined);
  const grows = step.state === 'live' || (step.state === 'rolling' && step.ring !== ring);
  const [row] = await session.query(
    `UPDATE releases SET state = $2, ring = $3::integer, reason = $4, since = now(),
       serial = CASE WHEN $5::boolean OR $7::boolean THEN $6::bigint ELSE serial END,
       began = CASE WHEN $5::boolean THEN $6::bigint ELSE coalesce(began, serial) END
     WHERE id = $1::uuid RETURNING ${COLUMNS}`,
    [id, step.state, step.ring, step.reason, begins, serial, isSplit && grows],
  );
  return row === undefined ? null : toRelease(row);
}

/** Of this transaction, known before its commit; every control plane is woken by it. */
async function nextSerial(session: Session): Promise<number> {
  const [set] = await session.query('SELECT current_change_set()::double precision AS id');
  await session.query('SET CONSTRAINTS assign_serial IMMEDIATE');
  const [row] = await session.query(
    'SELECT serial::double precision AS serial FROM change_sets WHERE id = $1::bigint',
    [Number(set?.id)],
  );
  await session.query('SET CONSTRAINTS assign_serial DEFERRED');
  return Number(row?.serial);
}

function toRelease(row: SqlRow): StoredRelease {
  return { ...toStep(row), content: parseManifest(row.manifest) };
}

function toStep(row: SqlRow): ReleaseStanding {
  return {
    id: String(row.id),
    number: Number(row.number),
    group: String(row.group_name),
    state: STATES.find((state) => state === row.state) ?? 'aborted',
    reason: typeof row.reason === 'string' ? row.reason : null,
    serial: Number(row.serial),
    began: Number(row.began),
    upto: Number(row.upto),
    seen: Number(row.seen),
    configHash: String(row.config_hash),
    rings: parseRings(row.rings),
    ring: Number(row.ring),
    since: Number(row.since),
    age: Number(row.age),
    at: row.at === null ? null : Number(row.at),
    isDue: row.is_due === true,
    rollbackTo: typeof row.rollback_to === 'string' ? row.rollback_to : null,
    createdAt: Number(row.created_at),
  };
}

function toWrite(row: SqlRow): ReleasedWrite {
  return {
    serial: Number(row.serial),
    at: Math.floor(Number(row.at)),
    entity: String(row.entity),
    id: String(row.id),
    operation: OPERATIONS.find((operation) => operation === row.operation) ?? 'update',
  };
}

const OPERATIONS: readonly Change['operation'][] = ['create', 'update', 'delete'];

const STATES = ['scheduled', 'rolling', 'paused', 'live', 'replaced', 'aborted', 'published'] as const;
