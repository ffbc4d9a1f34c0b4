import { BUCKETS, DIMENSIONS, type Series, SOURCES } from '../../shared/telemetry/series.ts';
import {
  type AgedBatch,
  type HistoryPoint,
  type HistoryQuery,
  type Level,
  type Served,
  STEPS,
  type TelemetryHistory,
} from '../telemetry/history.ts';
import type { Database, Session, SqlRow } from './database.ts';

/** Rows of one data plane, and of all, in steps of either width; the oldest go first. */
const MOST_OF_ONE = 200_000;
const MOST = 1_000_000;
/** Rows of totals, and days after which nobody has told any more of one. */
const MOST_TOTALS = 50_000;
const TOTALS_KEPT = 30;
/** Rows deleted at a time. */
const AT_ONCE = 50_000;

/** In place of a node: all of them. */
const ALL_NODES = '00000000-0000-0000-0000-000000000000';

/** Seconds of the finest step, and seconds before a ring that it may be compared with. */
const SECONDS = STEPS[0].width;
const BEFORE = 600;
/** First digit of the statuses that count as failures. */
const SERVER_ERROR = 5;

const WIDTHS = STEPS.map(({ width, kept }) => `(${width}, ${kept})`).join(', ');

/** One that says so much that it no longer fits must not stop what the others tell of the same route. */
function sumOf(column: string): string {
  return `least(known.${column}::numeric + EXCLUDED.${column}, ${2n ** 63n - 1n})::bigint`;
}

const KEY = 'width, at, node, dimension, subject, service, status, source';
const ADDED = `requests = known.requests + EXCLUDED.requests,
  request_ms = telemetry_sum(known.request_ms, EXCLUDED.request_ms), request_sum = ${sumOf('request_sum')},
  upstream_ms = telemetry_sum(known.upstream_ms, EXCLUDED.upstream_ms),
  upstream_sum = ${sumOf('upstream_sum')}, told_at = now()`;
/** Of an element of the JSON that `toItem` makes. */
const VALUES = `item ->> 'dimension', item ->> 'subject', item ->> 'service', (item ->> 'status')::smallint, item ->> 'source',
  (item ->> 'requests')::bigint, string_to_array(item ->> 'request', ',')::bigint[], (item ->> 'request_sum')::bigint,
  string_to_array(item ->> 'upstream', ',')::bigint[], (item ->> 'upstream_sum')::bigint`;
const COLUMNS = `${KEY}, requests, request_ms, request_sum, upstream_ms, upstream_sum`;

/** What data planes tell of their traffic. */
export function telemetryHistory(database: Database): TelemetryHistory {
  return {
    keep: (batches) => database.transaction((session) => keep(session, batches)),
    async read(query) {
      return database.snapshot((session) => read(session, query));
    },
    async totals(most) {
      const rows = await database.query(
        `SELECT dimension, subject, service, status, source, request_ms, request_sum::double precision AS request_sum,
           upstream_ms, upstream_sum::double precision AS upstream_sum
         FROM telemetry WHERE width = 0 ORDER BY requests DESC LIMIT $1::integer`,
        [most],
      );
      return rows.map(toSeries);
    },
    async sides({ since, serial, ring, split, others }) {
      const rows = await database.query(
        `WITH told AS (
           SELECT CASE WHEN at < $1::bigint THEN 'before' WHEN subject::bigint >= $2::bigint THEN 'ring' ELSE 'others' END AS side, *
           FROM telemetry
           WHERE width = $6::integer AND at >= $1::bigint - ${BEFORE} AND dimension = 'serial' AND subject ~ '^[0-9]+$'
             AND node = ANY ($3::text[]::uuid[] || $4::text[]::uuid[] || $7::text[]::uuid[])
             AND ((at >= $1::bigint AND node = ANY ($7::text[]::uuid[]))
               OR (at >= $1::bigint AND node = ANY ($3::text[]::uuid[])) = (subject::bigint >= $2::bigint)))
         SELECT side, sum(requests)::double precision AS requests,
           coalesce(sum(requests) FILTER (WHERE status = $5::integer), 0)::double precision AS failed,
           (SELECT array_agg(bucket.count ORDER BY bucket.place) FROM (
              SELECT place, sum(count)::double precision AS count
              FROM told AS own, unnest(own.request_ms) WITH ORDINALITY AS b (count, place)
              WHERE own.side = told.side GROUP BY place) AS bucket) AS buckets
         FROM told GROUP BY side`,
        [Math.floor(since / SECONDS) * SECONDS, serial, ring, others, SERVER_ERROR, SECONDS, split],
      );
      const sides = new Map(rows.map((row) => [String(row.side), toServed(row)]));
      const nothing = { requests: 0, failed: 0, latencies: empty() };
      return {
        ring: sides.get('ring') ?? nothing,
        others: sides.get('others') ?? nothing,
        before: sides.get('before') ?? nothing,
      };
    },
    async names(ids) {
      if (ids.length === 0) return new Map();
      const rows = await database.query(
        `SELECT named.id::text AS id, named.name, w.name AS workspace FROM (
           SELECT id, name, ws_id FROM routes WHERE id = ANY ($1::text[]::uuid[])
           UNION ALL SELECT id, name, ws_id FROM services WHERE id = ANY ($1::text[]::uuid[])
           UNION ALL SELECT id, coalesce(username, custom_id), ws_id FROM consumers WHERE id = ANY ($1::text[]::uuid[])
           UNION ALL SELECT id, hostname, NULL FROM nodes WHERE id = ANY ($1::text[]::uuid[])) AS named
         LEFT JOIN workspaces w ON w.id = named.ws_id`,
        [ids],
      );
      return new Map(
        rows.map(({ id, name, workspace }) => {
          const called = typeof name === 'string' ? name : String(id);
          return [String(id), { name: called, workspace: typeof workspace === 'string' ? workspace : null }];
        }),
      );
    },
    async now() {
      const [row] = await database.query('SELECT extract(epoch FROM now())::double precision AS now');
      return Number(row?.now);
    },
  };
}

async function keep(session: Session, batches: readonly AgedBatch[]): Promise<void> {
  const told = batches.map(({ batch: { node, stream, number } }) => ({ node, stream, number }));
  const fresh = await session.query(
    `INSERT INTO telemetry_streams AS known (node, stream, number)
     SELECT (item ->> 'node')::uuid, (item ->> 'stream')::uuid, (item ->> 'number')::bigint
     FROM jsonb_array_elements($1::jsonb) AS items (item) ORDER BY 1
     ON CONFLICT (node) DO UPDATE SET stream = EXCLUDED.stream, number = EXCLUDED.number, told_at = now()
       WHERE known.stream <> EXCLUDED.stream OR known.number < EXCLUDED.number
     RETURNING node`,
    [JSON.stringify(told)],
  );
  const isFresh = new Set(fresh.map(({ node }) => String(node)));
  const items: object[] = [];
  const totals = new Map<string, Series>();
  for (const { batch, age } of batches) {
    if (!isFresh.has(batch.node)) continue;
    for (const series of batch.series) {
      items.push({ node: batch.node, age, ...toItem(series) });
      if (series.dimension === 'serial') continue;
      const key = JSON.stringify([series.dimension, series.subject, series.service, series.status, series.source]);
      const known = totals.get(key);
      totals.set(key, known === undefined ? series : together(known, series));
    }
  }
  if (items.length === 0) return;
  await session.query(
    {
      name: 'telemetry_keep',
      // In the order of the keys, so that no two control planes wait for each other.
      text: `INSERT INTO telemetry AS known (${COLUMNS})
        SELECT width, floor((extract(epoch FROM now()) - (item ->> 'age')::double precision) / width)::bigint * width,
          (item ->> 'node')::uuid, ${VALUES}
        FROM jsonb_array_elements($1::jsonb) AS items (item), (VALUES ${WIDTHS}) AS widths (width, kept)
        WHERE (item ->> 'age')::double precision < kept
        ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
        ON CONFLICT (${KEY}) DO UPDATE SET ${ADDED}`,
    },
    [JSON.stringify(items)],
  );
  await session.query(
    {
      name: 'telemetry_totals',
      text: `INSERT INTO telemetry AS known (${COLUMNS})
        SELECT 0, 0, '${ALL_NODES}'::uuid, ${VALUES} FROM jsonb_array_elements($1::jsonb) AS items (item)
        ORDER BY 4, 5, 6, 7, 8 ON CONFLICT (${KEY}) DO UPDATE SET ${ADDED}`,
    },
    [JSON.stringify([...totals.values()].map(toItem))],
  );
}

function toItem({ dimension, subject, service, status, source, request, upstream }: Series) {
  return {
    dimension,
    subject,
    service,
    status,
    source,
    requests: request.buckets.reduce((sum, count) => sum + count, 0),
    request: shortened(request.buckets),
    request_sum: request.sum,
    upstream: shortened(upstream.buckets),
    upstream_sum: upstream.sum,
  };
}

/** Without the empty buckets at the end. */
function shortened(buckets: readonly number[]): string {
  return buckets.slice(0, buckets.findLastIndex((count) => count > 0) + 1).join(',');
}

function together(a: Series, b: Series): Series {
  const added = (one: Series['request'], other: Series['request']): Series['request'] => ({
    buckets: one.buckets.map((count, place) => count + (other.buckets[place] ?? 0)),
    sum: one.sum + other.sum,
  });
  return { ...a, request: added(a.request, b.request), upstream: added(a.upstream, b.upstream) };
}

const SUBJECTS: Readonly<Record<Level, string>> = {
  cluster: `'cluster'`,
  nodes: 'node::text',
  services: 'service',
  routes: 'subject',
  consumers: 'subject',
  serials: 'subject',
  status_classes: `status || 'xx'`,
};

interface MutablePoint {
  readonly subject: string;
  readonly at: number;
  readonly requests: { status: number; source: (typeof SOURCES)[number]; count: number }[];
  readonly request: { buckets: number[]; sum: number };
  readonly upstream: { buckets: number[]; sum: number };
}

async function read(session: Session, query: HistoryQuery): Promise<readonly HistoryPoint[]> {
  const { of, dimension, width, step, from, until, most, level } = query;
  const chosen = `WITH rows AS (
      SELECT ${SUBJECTS[level]} AS subject_of, at / $4::bigint * $4::bigint AS begins, * FROM telemetry
      WHERE width = $1::integer AND at >= $2::bigint AND at < $3::bigint AND dimension = $5
        AND ($6::text IS NULL OR subject = $6) AND ($7::text IS NULL OR service = $7)
        AND ($8::smallint IS NULL OR status = $8::smallint) AND ($9::text IS NULL OR source = $9)
        AND ($10::uuid IS NULL OR node = $10::uuid)),
    chosen AS (SELECT subject_of FROM rows GROUP BY 1 ORDER BY sum(requests) DESC, 1 LIMIT $11::integer),
    told AS (SELECT rows.* FROM rows JOIN chosen USING (subject_of))`;
  const values = [
    width,
    from,
    until,
    step,
    dimension,
    of.subject ?? null,
    of.service ?? null,
    of.status ?? null,
    of.source ?? null,
    of.node ?? null,
    most,
  ];
  const counts = await session.query(
    `${chosen} SELECT subject_of, begins::double precision AS begins, status, source, sum(requests)::double precision AS requests,
       sum(request_sum)::double precision AS request_sum, sum(upstream_sum)::double precision AS upstream_sum
     FROM told GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3, 4`,
    values,
  );
  const buckets = await session.query(
    `${chosen} SELECT subject_of, begins::double precision AS begins, kind, place::integer AS place, sum(count)::double precision AS count
     FROM told, LATERAL (SELECT 'request' AS kind, count, place FROM unnest(request_ms) WITH ORDINALITY AS a (count, place)
       UNION ALL SELECT 'upstream', count, place FROM unnest(upstream_ms) WITH ORDINALITY AS b (count, place)) AS counted
     GROUP BY 1, 2, 3, 4`,
    values,
  );
  const points = new Map<string, MutablePoint>();
  for (const row of counts) {
    const [subject, at] = [String(row.subject_of), Number(row.begins)];
    const key = `${at} ${subject}`;
    const point = points.get(key) ?? { subject, at, requests: [], request: empty(), upstream: empty() };
    points.set(key, point);
    point.requests.push({ status: Number(row.status), source: sourceOf(row), count: Number(row.requests) });
    point.request.sum += Number(row.request_sum);
    point.upstream.sum += Number(row.upstream_sum);
  }
  for (const row of buckets) {
    const point = points.get(`${Number(row.begins)} ${String(row.subject_of)}`);
    if (point === undefined) continue;
    (row.kind === 'request' ? point.request : point.upstream).buckets[Number(row.place) - 1] = Number(row.count);
  }
  return [...points.values()];
}

function toServed({ requests, failed, buckets }: SqlRow): Served {
  const counts = Array.isArray(buckets) ? buckets.map(Number) : [];
  return {
    requests: Number(requests),
    failed: Number(failed),
    latencies: { buckets: empty().buckets.map((_, place) => counts[place] ?? 0), sum: 0 },
  };
}

function empty(): { buckets: number[]; sum: number } {
  return { buckets: new Array<number>(BUCKETS).fill(0), sum: 0 };
}

function toSeries(row: SqlRow): Series {
  const latencies = (buckets: unknown, sum: unknown) => ({
    buckets: empty().buckets.map((_, place) => Number((Array.isArray(buckets) ? buckets[place] : undefined) ?? 0)),
    sum: Number(sum),
  });
  return {
    dimension: DIMENSIONS.find((one) => one === row.dimension) ?? 'route',
    subject: String(row.subject),
    service: String(row.service),
    status: Number(row.status),
    source: sourceOf(row),
    request: latencies(row.request_ms, row.request_sum),
    upstream: latencies(row.upstream_ms, row.upstream_sum),
  };
}

function sourceOf({ source }: SqlRow): (typeof SOURCES)[number] {
  return SOURCES.find((one) => one === source) ?? 'kong';
}

/** Forgets what is too old, and the oldest of what is too much. Gives how many rows went. */
export async function purgeTelemetry(session: Session): Promise<number> {
  let gone = 0;
  const remove = async (which: string, values: readonly (string | number)[], limit = AT_ONCE): Promise<void> => {
    const rows = await session.query(
      `WITH gone AS (DELETE FROM telemetry WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM telemetry WHERE ${which} LIMIT ${Math.min(limit, AT_ONCE)} FOR UPDATE SKIP LOCKED)) RETURNING 1)
       SELECT count(*)::integer AS gone FROM gone`,
      values,
    );
    gone += Number(rows[0]?.gone ?? 0);
  };
  for (const { width, kept } of STEPS) {
    await remove('width = $1::integer AND at < extract(epoch FROM now()) - $2::integer', [width, kept]);
    const nodes = await session.query(
      `SELECT node::text AS node, count(*)::double precision AS rows FROM telemetry WHERE width = $1::integer GROUP BY node`,
      [width],
    );
    let all = 0;
    for (const { node, rows } of nodes) {
      const excess = Number(rows) - MOST_OF_ONE;
      all += Number(rows);
      if (excess > 0)
        await remove('width = $1::integer AND node = $2::uuid ORDER BY at', [width, String(node)], excess);
    }
    if (all > MOST) await remove('width = $1::integer ORDER BY at', [width], all - MOST);
  }
  await remove(`width = 0 AND told_at < now() - make_interval(days => $1::integer)`, [TOTALS_KEPT]);
  const [totals] = await session.query('SELECT count(*)::double precision AS rows FROM telemetry WHERE width = 0');
  const excess = Number(totals?.rows ?? 0) - MOST_TOTALS;
  if (excess > 0) await remove('width = 0 ORDER BY told_at', [], excess);
  await session.query(`DELETE FROM telemetry_streams WHERE told_at < now() - interval '${TOTALS_KEPT} days'`);
  return gone;
}
