import { isRecord } from '../../shared/record.ts';
import type { Author } from './author.ts';
import { namesOf } from './change-names.ts';
import type { Database, Session, SqlRow } from './database.ts';
import { pageSize, pageToken, readPageToken } from './page-token.ts';
import type { Change, ChangeLog, LoggedCommit } from './store.ts';
import type { Tables } from './table.ts';

/** Commits in one answer, and changes that are named of each. */
const PAGE = 200;
const MOST_NAMED = 100;
/** The same where people page through it. */
const MOST_SHOWN = 20;

/** The change log as people read it: commits with what changed in them, without the rows. */
export function changeLog(database: Database, tables: Tables): ChangeLog {
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
            text: `${commits(MOST_NAMED)} WHERE s.serial > $1::bigint ORDER BY s.serial LIMIT ${PAGE + 1}`,
          },
          [serial],
        );
        const from = await commitAt(session, serial);
        return { from, commits: rows.slice(0, PAGE).map(toCommit), more: rows.length > PAGE };
      }),
    page: (query) =>
      database.snapshot(async (session) => {
        const size = pageSize(query.size);
        const before = query.offset === undefined ? null : (readPageToken(query.offset, 1, isSerial)[0] ?? null);
        const rows = await session.query(
          {
            name: 'log_page',
            text: `${commits(MOST_SHOWN)}, config_serial WHERE s.serial > config_serial.log_floor
              AND ($1::bigint IS NULL OR s.serial < $1::bigint) ORDER BY s.serial DESC LIMIT $2::integer`,
          },
          [before, size + 1],
        );
        const found = rows.slice(0, size).map(toCommit);
        const names = await namesOf(
          session,
          tables,
          found.flatMap(({ changes }) => changes),
        );
        const named = found.map(({ commit: _, changes, ...one }) => ({
          ...one,
          changes: changes.map((change) => ({ ...change, name: names.get(`${change.entity} ${change.id}`) ?? null })),
        }));
        const last = named.at(-1);
        return rows.length <= size || last === undefined
          ? { commits: named }
          : { commits: named, offset: pageToken([String(last.serial)]) };
      }),
  };
}

const isSerial = (text: string): boolean => /^\d{1,15}$/.test(text);

/** Commits with the first of their changes. */
const commits = (most: number): string => `SELECT s.serial::double precision AS serial,
    extract(epoch FROM s.committed_at)::double precision AS at,
    s.author, s.id || ' ' || extract(epoch FROM s.committed_at) AS commit,
    (SELECT count(*)::integer FROM changes c WHERE c.change_set = s.id) AS total,
    (SELECT jsonb_agg(jsonb_build_object('entity', c.entity, 'id', c.id, 'operation', c.operation) ORDER BY c.position)
       FROM (SELECT * FROM changes WHERE change_set = s.id ORDER BY position LIMIT ${most}) c) AS changes
  FROM change_sets s`;

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

function toCommit({ serial, at, author, commit, total, changes }: SqlRow): LoggedCommit {
  const named: readonly unknown[] = Array.isArray(changes) ? changes : [];
  return {
    serial: Number(serial),
    at: Number(at),
    by: toAuthor(author),
    commit: String(commit),
    total: Number(total),
    changes: named.flatMap((one) => (isChange(one) ? [one] : [])),
  };
}

const WAYS = ['admin_api', 'command', 'control_plane'] as const;

/** Null also for a way that a newer control plane knows. */
function toAuthor(value: unknown): Author | null {
  if (!isRecord(value)) return null;
  const via = WAYS.find((way) => way === value.via);
  const text = (name: string): string | null => (typeof value[name] === 'string' ? value[name] : null);
  return via === undefined ? null : { via, user: text('user'), address: text('address'), client: text('client') };
}

function isChange(value: unknown): value is Omit<Change, 'serial'> {
  return typeof value === 'object' && value !== null && 'entity' in value && 'id' in value && 'operation' in value;
}
