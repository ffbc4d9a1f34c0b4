import type { Database, Session, SqlRow } from './database.ts';
import type { Change, ChangeLog, LoggedCommit } from './store.ts';

/** Commits in one answer, and changes that are named of each. */
const PAGE = 200;
const MOST_NAMED = 100;

/** The change log as people read it: commits with what changed in them, without the rows. */
export function changeLog(database: Database): ChangeLog {
  return {
    newest: () =>
      database.snapshot(async (session) => {
        const [row] = await session.query('SELECT serial::double precision AS serial FROM config_serial');
        const serial = Number(row?.serial ?? 0);
        return { serial, commit: await commitAt(session, serial) };
      }),
    after: (serial) =>
      database.snapshot(async (session) => {
        const [state] = await session.query(
          'SELECT $1::bigint BETWEEN log_floor AND serial AS reaches FROM config_serial',
          [serial],
        );
        if (state?.reaches !== true) return null;
        const rows = await session.query(
          {
            name: 'log_after',
            text: `SELECT s.serial::double precision AS serial, extract(epoch FROM s.committed_at)::double precision AS at,
                s.id || ' ' || extract(epoch FROM s.committed_at) AS commit,
                (SELECT count(*)::integer FROM changes c WHERE c.change_set = s.id) AS total,
                (SELECT jsonb_agg(jsonb_build_object('entity', c.entity, 'id', c.id, 'operation', c.operation) ORDER BY c.position)
                   FROM (SELECT * FROM changes WHERE change_set = s.id ORDER BY position LIMIT ${MOST_NAMED}) c) AS changes
              FROM change_sets s WHERE s.serial > $1::bigint ORDER BY s.serial LIMIT ${PAGE + 1}`,
          },
          [serial],
        );
        const from = await commitAt(session, serial);
        return { from, commits: rows.slice(0, PAGE).map(toCommit), more: rows.length > PAGE };
      }),
  };
}

/** What tells a commit from another of the same serial; null before the first one. */
export async function commitAt(session: Session, serial: number): Promise<string | null> {
  const [row] = await session.query(
    {
      name: 'commit_at',
      text: `SELECT id || ' ' || extract(epoch FROM committed_at) AS commit FROM change_sets WHERE serial = $1::bigint`,
    },
    [serial],
  );
  return typeof row?.commit === 'string' ? row.commit : null;
}

function toCommit({ serial, at, commit, total, changes }: SqlRow): LoggedCommit {
  const named: readonly unknown[] = Array.isArray(changes) ? changes : [];
  return {
    serial: Number(serial),
    at: Number(at),
    commit: String(commit),
    total: Number(total),
    changes: named.flatMap((one) => (isChange(one) ? [one] : [])),
  };
}

function isChange(value: unknown): value is Omit<Change, 'serial'> {
  return typeof value === 'object' && value !== null && 'entity' in value && 'id' in value && 'operation' in value;
}
