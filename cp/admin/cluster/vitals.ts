import { type Dimension, SOURCES } from '../../../shared/telemetry/series.ts';
import { isUuid } from '../../../shared/uuid.ts';
import {
  type HistoryPoint,
  type HistoryQuery,
  LEVELS,
  type Level,
  STEPS,
  type TelemetryHistory,
} from '../../telemetry/history.ts';
import { average, merged, quantile } from '../../telemetry/latency.ts';
import { schemaOf } from '../entity/catalog.ts';
import { rowKey } from '../entity/key.ts';
import { type JsonSchema, objectOf, type QueryParameter } from '../openapi/description.ts';
import { message, ok, Refusal, type Reply } from '../reply.ts';
import type { Query } from '../request/query.ts';
import { type AdminRoute, type Call, param } from '../route.ts';

/** Points of one line, and of all of an answer. */
const MOST_POINTS = 1_500;
const MOST_IN_ALL = 50_000;
/** Lines, those with most requests, unless `size` says otherwise, and at most. */
const SIZE = 100;
const MOST_SIZE = 1_000;
/** Steps that are told unless `start_ts` says otherwise. */
const STEPS_TOLD = 60;

const CLASSES = [1, 2, 3, 4, 5];

/** What stands in a point, in this order. */
export const STAT_LABELS = [
  'requests_total',
  ...CLASSES.map((status) => `status_${status}xx_total`),
  'kong_4xx_total',
  'kong_5xx_total',
  ...['request', 'upstream'].flatMap((kind) => ['avg', 'p50', 'p99'].map((what) => `latency_${kind}_${what}_ms`)),
];

/** What each filter is about: counts are kept by one dimension at a time. */
const FILTERS: Readonly<Record<string, Dimension | null>> = {
  route: 'route',
  service: 'route',
  consumer: 'consumer',
  serial: 'serial',
  node: null,
  status_class: null,
  source: null,
};

const DIMENSION_OF: Readonly<Record<Level, Dimension | null>> = {
  cluster: null,
  nodes: null,
  status_classes: null,
  services: 'route',
  routes: 'route',
  consumers: 'consumer',
  serials: 'serial',
};

/** The filter that one of a level is. */
const FILTER_OF: Readonly<Record<Level, string | null>> = {
  cluster: null,
  nodes: 'node',
  status_classes: 'status_class',
  services: 'service',
  routes: 'route',
  consumers: 'consumer',
  serials: 'serial',
};

/** `/vitals`: what data planes told of their traffic, in the form of Kong's reports. */
export function vitalsRoutes(history: TelemetryHistory): AdminRoute[] {
  const levels = LEVELS.flatMap((level): AdminRoute[] => {
    const all: AdminRoute = { path: `/vitals/${level}`, methods: { GET: reading(history, level, false) } };
    if (FILTER_OF[level] === null) return [all];
    return [all, { path: `/vitals/${level}/{subject}`, methods: { GET: reading(history, level, true) } }];
  });
  return [{ path: '/vitals', methods: { GET: about() } }, ...levels];
}

function about(): NonNullable<AdminRoute['methods']['GET']> {
  const intervals = Object.fromEntries(
    STEPS.map(({ name, width, kept }) => [name, { interval_width: width, retention_period_seconds: kept }]),
  );
  return {
    describe: {
      summary: 'What is told of traffic, and for how long it is kept',
      tag: 'cluster',
      success: { status: 200, schema: { type: 'object' } },
    },
    handle: () =>
      ok({
        levels: LEVELS,
        intervals,
        stat_labels: STAT_LABELS,
        filters: Object.keys(FILTERS),
      }),
  };
}

function reading(history: TelemetryHistory, level: Level, one: boolean): NonNullable<AdminRoute['methods']['GET']> {
  return {
    describe: {
      summary: one ? `Requests of one of the ${named(level)}, over time` : `Requests by ${named(level)}, over time`,
      tag: 'cluster',
      query: parameters,
      success: { status: 200, schema },
      errors: one ? [400, 404] : [400],
    },
    async handle(call) {
      const asked = await read(history, call, level, one ? param(call, 'subject') : null);
      return answer(history, asked);
    },
  };
}

const named = (level: Level): string => level.replace('_', ' ');

async function read(
  history: TelemetryHistory,
  call: Call,
  level: Level,
  subject: string | null,
): Promise<HistoryQuery> {
  const { query } = call;
  const given = new Map(Object.keys(FILTERS).flatMap((name) => filterIn(query, name)));
  const own = FILTER_OF[level];
  if (subject !== null && own !== null) given.set(own, subject);
  let dimension = DIMENSION_OF[level];
  for (const name of given.keys()) {
    const wanted = FILTERS[name] ?? null;
    if (wanted === null) continue;
    if (dimension !== null && dimension !== wanted)
      throw refused(`${name}: requests are counted by ${wanted} or by ${dimension}, not by both at once`);
    dimension = wanted;
  }
  const of = await filtersOf(call, given);
  const interval = query.get('interval') ?? 'seconds';
  const steps = STEPS.find(({ name }) => name === interval);
  if (steps === undefined)
    throw refused(`interval: expected ${STEPS.map(({ name }) => name).join(' or ')}, found '${interval}'`);
  const { width, kept } = steps;
  const now = Math.floor(await history.now());
  const step = number(query, 'step', width, width, kept);
  if (step % width !== 0) throw refused(`step: expected a multiple of ${width} seconds`);
  const until = number(query, 'end_ts', now + 1, 0, Number.MAX_SAFE_INTEGER);
  const start = number(query, 'start_ts', Math.max(0, until - STEPS_TOLD * step), 0, Number.MAX_SAFE_INTEGER);
  if (start >= until) throw refused('start_ts: expected a time before end_ts');
  const from = Math.floor(Math.max(start, now - kept) / step) * step;
  const size = number(query, 'size', SIZE, 1, MOST_SIZE);
  const points = Math.ceil((until - from) / step);
  if (points > MOST_POINTS || points * (level === 'cluster' ? 1 : size) > MOST_IN_ALL) {
    throw refused(
      `more points than fit into one answer (${MOST_POINTS} of one of the ${named(level)}, ${MOST_IN_ALL} of all): ask for a longer step, a shorter time, or a smaller size`,
    );
  }
  return { level, dimension: dimension ?? 'route', width, step, from, until, of, most: size };
}

function filterIn(query: Query, name: string): [string, string][] {
  const value = query.get(name);
  return value === undefined || value === '' ? [] : [[name, value]];
}

async function filtersOf(call: Call, given: ReadonlyMap<string, string>): Promise<HistoryQuery['of']> {
  const of: { -readonly [K in keyof HistoryQuery['of']]: HistoryQuery['of'][K] } = {};
  for (const [name, value] of given) {
    switch (name) {
      case 'route':
      case 'consumer':
        of.subject = await idOf(call, `${name}s`, value);
        break;
      case 'service':
        of.service = await idOf(call, 'services', value);
        break;
      case 'serial':
        if (!/^\d{1,15}$/.test(value)) throw refused(`serial: expected a number, found '${value}'`);
        of.subject = value;
        break;
      case 'node':
        if (!isUuid(value)) throw refused(`node: expected the id of a data plane, found '${value}'`);
        of.node = value.toLowerCase();
        break;
      case 'status_class': {
        const status = CLASSES.find((one) => value === `${one}xx`);
        if (status === undefined) throw refused(`status_class: expected 1xx to 5xx, found '${value}'`);
        of.status = status;
        break;
      }
      default: {
        const source = SOURCES.find((one) => one === value);
        if (source === undefined) throw refused(`source: expected ${SOURCES.join(' or ')}, found '${value}'`);
        of.source = source;
      }
    }
  }
  return of;
}

/** By id or name; of what was deleted by its id. */
async function idOf(call: Call, entity: string, value: string): Promise<string> {
  if (isUuid(value)) return value.toLowerCase();
  const row = await call.workspace.entity(entity).select(rowKey(schemaOf(entity), value));
  if (row === null) throw new Refusal(message(404, `there is no ${entity.slice(0, -1)} '${value}'`));
  return String(row.id);
}

function number(query: Query, name: string, initial: number, least: number, most: number): number {
  const given = query.get(name);
  if (given === undefined || given === '') return initial;
  const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (!(value >= least && value <= most))
    throw refused(`${name}: expected a whole number, ${least} or more, found '${given}'`);
  return value;
}

const refused = (text: string): Refusal => new Refusal(message(400, text));

async function answer(history: TelemetryHistory, query: HistoryQuery): Promise<Reply> {
  const points = await history.read(query);
  const stats: Record<string, Record<string, readonly (number | null)[]>> = {};
  const totals = new Map<string, HistoryPoint>();
  for (const point of points) {
    const line = stats[point.subject] ?? {};
    line[String(point.at)] = statsOf(point);
    stats[point.subject] = line;
    const known = totals.get(point.subject);
    totals.set(point.subject, known === undefined ? point : together(known, point));
  }
  const names = await history.names([...totals.keys()].filter(isUuid));
  return ok({
    meta: {
      level: query.level,
      interval: STEPS.find(({ width }) => width === query.width)?.name,
      interval_width: query.step,
      earliest_ts: query.from,
      latest_ts: query.until,
      stat_labels: STAT_LABELS,
      names: Object.fromEntries([...names].map(([id, { name }]) => [id, name])),
    },
    stats,
    totals: Object.fromEntries([...totals].map(([subject, total]) => [subject, statsOf(total)])),
  });
}

function together(a: HistoryPoint, b: HistoryPoint): HistoryPoint {
  return {
    ...a,
    requests: [...a.requests, ...b.requests],
    request: merged(a.request, b.request),
    upstream: merged(a.upstream, b.upstream),
  };
}

function statsOf({ requests, request, upstream }: HistoryPoint): readonly (number | null)[] {
  const count = (which: (of: HistoryPoint['requests'][number]) => boolean): number =>
    requests.filter(which).reduce((sum, of) => sum + of.count, 0);
  const latencies = [request, upstream].flatMap((of) => [average(of), quantile(of, 0.5), quantile(of, 0.99)]);
  return [
    count(() => true),
    ...CLASSES.map((status) => count((of) => of.status === status)),
    ...[4, 5].map((status) => count((of) => of.status === status && of.source === 'kong')),
    ...latencies.map((value) => (value === null ? null : Math.round(value * 100) / 100)),
  ];
}

const parameters: QueryParameter[] = [
  { name: 'interval', description: 'In which steps it was kept.', schema: { enum: STEPS.map(({ name }) => name) } },
  { name: 'step', description: 'Seconds of a step of the answer.', schema: { type: 'integer' } },
  { name: 'start_ts', description: 'From when, in seconds since 1970.', schema: { type: 'integer' } },
  { name: 'end_ts', description: 'Until when; now, unless given.', schema: { type: 'integer' } },
  {
    name: 'size',
    description: `Of how many, those with most requests; ${SIZE} unless given.`,
    schema: { type: 'integer' },
  },
  ...Object.keys(FILTERS).map((name) => ({
    name,
    description: `Only requests of this ${name.replace('_', ' ')}.`,
    schema: { type: 'string' },
  })),
];

const schema: JsonSchema = objectOf({
  meta: objectOf({
    level: { enum: [...LEVELS] },
    interval: { enum: STEPS.map(({ name }) => name) },
    interval_width: { type: 'integer' },
    earliest_ts: { type: 'integer' },
    latest_ts: { type: 'integer' },
    stat_labels: { type: 'array', items: { type: 'string' } },
    names: { type: 'object', description: 'What the ids are called.' },
  }),
  stats: { type: 'object', description: 'By id, and by when a step begins: numbers in the order of `stat_labels`.' },
  totals: { type: 'object', description: 'By id: the same of the whole time.' },
});
