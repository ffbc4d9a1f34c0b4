import { readDocument } from '../../../shared/declarative/document.ts';
import { schemaViolation } from '../../../shared/schema/errors.ts';
import { type ReleaseDesk, ringOf } from '../../releases/desk.ts';
import type { EntityChange } from '../../releases/diff.ts';
import { type Ring, readStrategy, StrategyFault } from '../../releases/rings.ts';
import type { StoredRelease } from '../../store/store.ts';
import { pageBody, pageBounds, pageParameters } from '../entity/page.ts';
import { type JsonSchema, objectOf, pageOf } from '../openapi/description.ts';
import { message, notFound, ok, type Reply } from '../reply.ts';
import { argument } from '../request/body.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';
import { conflicting, groupNamed, nothingPending } from './pending.ts';

/** `/releases`, and what waits for one at `/groups/{groups}/pending`. */
export function releaseRoutes(desk: ReleaseDesk | null): AdminRoute[] {
  if (desk === null) return [];
  const orders = (['promote', 'pause', 'resume', 'abort'] as const).map((order) =>
    writing(
      desk,
      `/releases/{release}/${order}`,
      { summary: SUMMARIES[order], status: 200, input: orderInput },
      (release, call) => desk.order(release, order, ringSeenIn(call.body)),
    ),
  );
  return [
    { path: '/groups/{groups}/pending', methods: { GET: pending(desk) } },
    { path: '/releases', methods: { GET: list(desk), POST: create(desk) } },
    { path: '/releases/{release}', methods: { GET: read(desk) } },
    { path: '/releases/{release}/diff/{other}', methods: { GET: between(desk) } },
    { path: '/releases/{release}/config', methods: { GET: config(desk) } },
    ...orders,
    writing(desk, '/releases/{release}/rollback', { summary: SUMMARIES.rollback, status: 201 }, (release, call) =>
      desk.rollback(release, call.workspace),
    ),
  ];
}

const SUMMARIES = {
  promote: 'Move a release to its next ring, or behind the last one to all data planes of its group, at once',
  pause: 'Keep a release at the ring it is at',
  resume: 'Let a release that was paused go on',
  abort: 'Undo a release that is on its way: data planes that have it go back',
  rollback: 'Give a group what this release had, under a new serial',
} as const;

function pending(desk: ReleaseDesk): Operation {
  return {
    describe: {
      summary: 'What is written and not yet released to a group',
      tag: 'cluster',
      success: {
        status: 200,
        schema: objectOf({ config_hash: { type: 'string' }, data: { type: 'array', items: differencesSchema } }),
      },
      errors: [400, 404, 409],
    },
    async handle(call) {
      const group = await groupNamed(call, param(call, 'groups'));
      if (group === null) return notFound;
      const pending = await conflicting(() => desk.pending(group));
      if (pending === null) return nothingPending(group);
      return ok({ config_hash: pending.configHash, data: pending.changes });
    },
  };
}

function list(desk: ReleaseDesk): Operation {
  return {
    describe: {
      summary: 'List releases, the newest first',
      tag: 'cluster',
      query: [...pageParameters, { name: 'group', description: 'Of this group only.', schema: { type: 'string' } }],
      success: { status: 200, schema: pageOf(schema) },
      errors: [400],
    },
    async handle({ query }) {
      const group = query.get('group');
      if (group?.includes('\0') === true) return message(400, 'group: no group has U+0000 in its name');
      const { size, offset } = pageBounds(query);
      const page = await desk.page({
        ...(group !== undefined && { group }),
        ...(size !== undefined && { size }),
        ...(offset !== undefined && { offset }),
      });
      const rows = page.releases.map(shown);
      const body = page.offset === undefined ? { rows } : { rows, offset: page.offset };
      return ok(pageBody(body, '/releases', { size: query.get('size'), group }));
    },
  };
}

function create(desk: ReleaseDesk): Operation {
  return {
    describe: {
      summary: 'Release what is pending for a group: at once, at a time, or ring by ring',
      tag: 'cluster',
      body: { required: true, schema: input },
      success: { status: 201, schema },
      errors: [400, 409],
    },
    async handle({ body }) {
      const fields: Record<string, string> = {};
      const group = argument(body, 'group');
      if (typeof group !== 'string' || group === '') fields.group = 'required field missing';
      const at = timeIn(argument(body, 'at'));
      if (at === undefined)
        fields.at =
          'expected seconds since 1970, up to the year 9999, or a time with its zone as in 2030-01-31T08:00:00Z';
      const strategy = strategyIn(argument(body, 'strategy'), fields);
      const seen = argument(body, 'config_hash') ?? null;
      if (seen !== null && typeof seen !== 'string')
        fields.config_hash = 'expected the config_hash of what was pending';
      for (const name of unknownIn(body, ['group', 'at', 'strategy', 'config_hash']))
        fields[name.slice(0, 64)] = 'unknown field';
      if (Object.keys(fields).length > 0 || at === undefined || typeof group !== 'string')
        throw schemaViolation(fields);
      const wanted = typeof seen === 'string' ? seen : null;
      const release = await conflicting(() => desk.create(group, strategy, at, wanted));
      return { status: 201, body: shown(release) };
    },
  };
}

function read(desk: ReleaseDesk): Operation {
  return {
    describe: {
      summary: 'Read a release, with what it changes for data planes that do not have it, and the writes it is from',
      tag: 'cluster',
      success: { status: 200, schema: readSchema },
      errors: [404],
    },
    async handle(call) {
      const release = await desk.get(param(call, 'release'));
      if (release === null) return notFound;
      const changes: readonly EntityChange[] = await desk.changes(release);
      const [writes, figures] = [await desk.writes(release), await desk.figures(release)];
      return ok({ ...shown(release), figures, changes, writes });
    },
  };
}

function between(desk: ReleaseDesk): Operation {
  return {
    describe: {
      summary: 'What is different in another release, entity by entity and field by field',
      tag: 'cluster',
      success: { status: 200, schema: objectOf({ data: { type: 'array', items: differencesSchema } }) },
      errors: [404],
    },
    async handle(call) {
      const [from, to] = [await desk.get(param(call, 'release')), await desk.get(param(call, 'other'))];
      return from === null || to === null ? notFound : ok({ data: await desk.between(from, to) });
    },
  };
}

function config(desk: ReleaseDesk): Operation {
  return {
    describe: {
      summary:
        'What a release had in the workspace, as a declarative document, secrets included; as JSON where Accept asks for it',
      tag: 'cluster',
      success: { status: 200, schema: { type: 'string' }, contentType: 'application/yaml' },
      errors: [404],
    },
    async handle(call) {
      const release = await desk.get(param(call, 'release'));
      if (release === null) return notFound;
      const text = await desk.document(release, call.workspace);
      if (/\bapplication\/json\b/.test(call.header('accept') ?? '')) return ok(readDocument(text));
      return ok(text, { 'content-type': 'application/yaml; charset=utf-8' });
    },
  };
}

function writing(
  desk: ReleaseDesk,
  path: string,
  { summary, status, input }: { readonly summary: string; readonly status: 200 | 201; readonly input?: JsonSchema },
  work: (release: StoredRelease, call: Call) => Promise<StoredRelease>,
): AdminRoute {
  const handle = async (call: Call): Promise<Reply> => {
    const release = await desk.get(param(call, 'release'));
    if (release === null) return notFound;
    return { status, body: shown(await conflicting(() => work(release, call))) };
  };
  const taken = input === undefined ? {} : { body: { required: false, schema: input } };
  const errors = input === undefined ? ([404, 409] as const) : ([400, 404, 409] as const);
  return {
    path,
    methods: {
      POST: { describe: { summary, tag: 'cluster', ...taken, success: { status, schema }, errors }, handle },
    },
  };
}

/** The ring at which whoever orders saw the release; null: at none. Undefined: that is not said. */
function ringSeenIn(body: Call['body']): number | null | undefined {
  const fields: Record<string, string> = {};
  for (const name of unknownIn(body, ['ring'])) fields[name.slice(0, 64)] = 'unknown field';
  const said = argument(body, 'ring');
  const ring =
    said === '' || said == null ? null : typeof said === 'string' && /^\d+$/.test(said) ? Number(said) : said;
  if (ring !== null && (typeof ring !== 'number' || !Number.isSafeInteger(ring) || ring < 1)) {
    fields.ring = 'expected the ring that the release was seen at, from 1, or null';
    throw schemaViolation(fields);
  }
  if (Object.keys(fields).length > 0) throw schemaViolation(fields);
  return said === undefined ? undefined : ring;
}

/** Null: at once. Undefined: no time at all. */
function timeIn(value: unknown): number | null | undefined {
  if (value === undefined || value === null || value === '') return null;
  const seconds = typeof value === 'string' ? secondsIn(value) : typeof value === 'number' ? value : Number.NaN;
  return seconds >= 0 && seconds <= LATEST ? seconds : undefined;
}

/** The end of the year 9999: who says a later second means milliseconds, and would wait for ever. */
const LATEST = 253_402_300_799;

/** Of ISO 8601 with its zone: without one it would be that of whichever control plane is asked. */
function secondsIn(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  return /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) / 1000 : Number.NaN;
}

function strategyIn(value: unknown, fields: Record<string, string>): readonly Ring[] {
  try {
    return readStrategy(value);
  } catch (error) {
    if (!(error instanceof StrategyFault)) throw error;
    fields[error.field] = error.message;
    return [];
  }
}

function unknownIn(body: Call['body'], known: readonly string[]): readonly string[] {
  const given =
    body.kind === 'json'
      ? Object.keys(body.args)
      : body.kind === 'form'
        ? body.args.map(([key]) => key.split(/[.[]/, 1)[0] ?? '')
        : [];
  return given.filter((name) => !known.includes(name));
}

function shown({ content, rings, rollbackTo, createdAt, since, ...release }: StoredRelease) {
  return {
    id: release.id,
    group: release.group,
    state: release.state,
    reason: release.reason,
    serial: release.serial,
    config_hash: content.config_hash,
    at: release.at,
    strategy: rings,
    ring: ringOf(release),
    rollback_to: rollbackTo,
    created_at: Math.floor(createdAt),
    updated_at: Math.floor(since),
  };
}

const differencesSchema: JsonSchema = {
  ...objectOf({
    entity: { type: 'string' },
    id: { type: 'string' },
    name: { type: ['string', 'null'] },
    operation: { type: 'string', enum: ['create', 'update', 'delete'] },
  }),
};

const ring: JsonSchema = {
  type: 'object',
  properties: {
    nodes: {
      type: 'object',
      properties: { labels: { type: ['string', 'null'] }, percent: { type: 'number', minimum: 0, maximum: 100 } },
    },
    traffic: {
      type: ['object', 'null'],
      description: 'For a part of the requests of these data planes; absent: for all.',
      properties: {
        percent: { type: 'number', minimum: 0, maximum: 100 },
        by: { type: 'string', description: 'client_ip, consumer, colo or header:<name>.' },
      },
      required: ['percent', 'by'],
    },
    hold: { type: 'number', description: 'Seconds until the next ring.' },
    gates: {
      type: 'object',
      properties: {
        max_nack: { type: 'number' },
        min_nodes: { type: 'number' },
        max_gone_increase: { type: ['number', 'null'], minimum: 0, maximum: 100, description: 'Percentage points.' },
        max_5xx_increase: { type: ['number', 'null'], minimum: 0, maximum: 100, description: 'Percentage points.' },
        max_p99_ratio: { type: ['number', 'null'], minimum: 1 },
        min_requests: { type: ['integer', 'null'], minimum: 1 },
      },
    },
  },
};

const input: JsonSchema = {
  type: 'object',
  properties: {
    group: { type: 'string' },
    at: { type: ['number', 'string', 'null'], description: 'When to begin: seconds since 1970, or ISO 8601.' },
    strategy: { type: 'array', items: ring },
    config_hash: {
      type: ['string', 'null'],
      description: 'Of what was pending when it was looked at: refused with 409 when that is something else by now.',
    },
  },
  required: ['group'],
};

const orderInput: JsonSchema = {
  type: 'object',
  properties: {
    ring: {
      type: ['integer', 'null'],
      minimum: 1,
      description: 'Where the release was seen, null at no ring: refused with 409 when it is elsewhere by now.',
    },
  },
};

const fields = {
  id: { type: 'string' },
  group: { type: 'string' },
  state: { type: 'string', enum: ['scheduled', 'rolling', 'paused', 'live', 'replaced', 'aborted', 'published'] },
  reason: { type: ['string', 'null'] },
  serial: { type: 'integer' },
  config_hash: { type: 'string' },
  at: { type: ['number', 'null'] },
  strategy: { type: 'array', items: ring },
  ring: { type: ['integer', 'null'], description: 'The ring it is at, from 1.' },
  rollback_to: { type: ['string', 'null'] },
  created_at: { type: 'integer' },
  updated_at: { type: 'integer' },
};

const schema: JsonSchema = objectOf(fields);

const served: JsonSchema = objectOf({
  requests: { type: 'integer' },
  status_5xx: { type: 'integer' },
  latency_p99_ms: { type: ['number', 'null'] },
});

const readSchema: JsonSchema = objectOf({
  ...fields,
  figures: {
    description: 'What the gates of its ring see; null: it is at none.',
    anyOf: [
      { type: 'null' },
      objectOf({
        nodes: { type: 'integer' },
        nodes_serving: { type: 'integer' },
        nodes_gone: { type: 'integer', description: 'Those that are to have it and left since the ring began.' },
        load_ms: { type: ['integer', 'null'], description: 'Milliseconds until the slowest of them served it.' },
        nodes_refusing: { type: 'integer' },
        nodes_unable: { type: 'integer' },
        ring: served,
        others: served,
        waits_for: { type: 'array', items: { type: 'string' } },
      }),
    ],
  },
  changes: { type: 'array', items: differencesSchema },
  writes: {
    type: ['array', 'null'],
    description: 'Newest first, 1,000 at most. Null: it is the first, or the change log no longer reaches back.',
    items: objectOf({
      serial: { type: 'integer' },
      at: { type: 'integer' },
      entity: { type: 'string' },
      id: { type: 'string' },
      operation: { type: 'string', enum: ['create', 'update', 'delete'] },
    }),
  },
});
