import type { Manifest } from '../../../shared/bundle/format.ts';
import { schemaViolation } from '../../../shared/schema/errors.ts';
import type { ReleaseDesk } from '../../releases/desk.ts';
import { readAccessLog } from '../../replay/access-log.ts';
import { readHar } from '../../replay/har.ts';
import { type GivenRequests, RequestsFault, readRequestList } from '../../replay/requests.ts';
import { type JsonSchema, objectOf } from '../openapi/description.ts';
import { message, notFound, ok, Refusal, type Reply } from '../reply.ts';
import { type AdminRoute, type Call, param } from '../route.ts';
import type { ClusterView, Replay, ReplayOutcome } from './cluster-view.ts';
import { conflicting, groupNamed, nothingPending } from './pending.ts';

/** Bytes of requests, or of a HAR with all its bodies. */
const LARGEST = 32 << 20;
const LISTED = 100;
const MOST_LISTED = 1_000;

/**
 * `POST /releases/{release}/replay`, and `POST /groups/{groups}/pending/replay` without any release: what requests would meet with it,
 * beside what they meet with what data planes serve.
 */
export function replayRoutes(desk: ReleaseDesk | null, cluster: ClusterView | null): AdminRoute[] {
  if (desk === null) return [];
  return [
    replaying('/releases/{release}/replay', 'a release', async (call) => {
      const release = await desk.get(call.params.release ?? '');
      if (release === null) return notFound;
      return replay(desk, cluster, call, { release: release.id, candidate: release.content });
    }),
    replaying('/groups/{groups}/pending/replay', 'what is pending for a group', async (call) => {
      const group = await groupNamed(call, param(call, 'groups'));
      if (group === null) return notFound;
      const candidate = await conflicting(() => desk.candidate(group));
      if (candidate === null) return nothingPending(group);
      return replay(desk, cluster, call, { release: null, candidate });
    }),
  ];
}

function replaying(path: string, what: string, handle: (call: Call) => Promise<Reply>): AdminRoute {
  const summary = `Which requests would meet another route, service, upstream, plugins or status with ${what}; nothing is sent`;
  return {
    path,
    body: { limit: LARGEST, yaml: false },
    methods: {
      POST: {
        describe: {
          summary,
          tag: 'cluster',
          body: { required: false, schema: input },
          success: { status: 200, schema: answer },
          errors: [400, 404, 409, 503, 504],
        },
        handle,
      },
    },
  };
}

interface Tried {
  /** Null: it is none yet. */
  readonly release: string | null;
  readonly candidate: Manifest;
}

async function replay(
  desk: ReleaseDesk,
  cluster: ClusterView | null,
  call: Call,
  { release, candidate }: Tried,
): Promise<Reply> {
  const { given, list, node } = asked(call);
  if (cluster === null) return message(503, 'no data plane is connected that could be asked');
  await desk.lend(candidate);
  const requests = given?.shapes ?? null;
  const outcome = await cluster.replay({ candidate, requests, list, node });
  const refusal = refusalOf(outcome, { group: candidate.group, node, of: requests?.length ?? null });
  if (refusal !== null) return refusal;
  if (outcome.outcome !== 'done') throw new Error(`a replay that is ${outcome.outcome}`);
  const { figures, serial, configHash } = outcome;
  const { requests: count, differing, ...counts } = figures;
  if (count === 0) {
    const reason = `data plane '${outcome.node.hostname}' remembers no requests: none has come since it started, or its replay_sample is 0`;
    return message(409, `${reason}; give some as requests, log or access_log`);
  }
  return ok({
    release,
    config_hash: candidate.config_hash,
    data_plane: outcome.node,
    compared_with: { serial, config_hash: configHash },
    requests: count,
    ...counts,
    skipped: given?.skipped ?? 0,
    skipped_first: given?.reason ?? null,
    differing,
  });
}

function refusalOf(
  outcome: ReplayOutcome,
  { group, node, of }: { readonly group: string; readonly node: string | null; readonly of: number | null },
): Reply | null {
  switch (outcome.outcome) {
    case 'done':
      return null;
    case 'disconnected': {
      const which = node === null ? `no data plane of group '${group}'` : `no data plane '${node}' of group '${group}'`;
      return message(
        503,
        `${which} is connected to this control plane: a replay runs on one, since routes are chosen there`,
      );
    }
    case 'silent': {
      const far = of === null || outcome.done === 0 ? '' : `, after ${outcome.done} of ${of} requests`;
      return message(
        504,
        `data plane '${outcome.hostname}' did not answer in time${far}; one of an earlier version cannot replay`,
      );
    }
    case 'refused':
      return message(outcome.status === 409 ? 409 : 503, `data plane '${outcome.hostname}': ${outcome.message}`);
  }
}

interface Asked extends Pick<Replay, 'list' | 'node'> {
  /** Null: those that the data plane remembers. */
  readonly given: GivenRequests | null;
}

const SOURCES = ['requests', 'log', 'access_log'] as const;
const OPTIONS = ['host', 'scheme', 'data_plane', 'list'] as const;

function asked({ body }: Call): Asked {
  if (body.kind !== 'json') throw new Refusal(message(400, 'expected a JSON body'));
  const { args } = body;
  const fields: Record<string, string> = {};
  const named = SOURCES.filter((name) => args[name] !== undefined && args[name] !== null);
  if (named.length > 1) fields[named[1] ?? ''] = `only one of: ${SOURCES.join(', ')}`;
  const known: readonly string[] = [...SOURCES, ...OPTIONS];
  for (const name of Object.keys(args)) if (!known.includes(name)) fields[name.slice(0, 64)] = 'unknown field';
  const text = (name: (typeof OPTIONS)[number]): string | null => {
    const value = args[name];
    if (value === undefined || value === null) return null;
    if (typeof value !== 'string' || value === '') fields[name] = 'expected a string';
    return typeof value === 'string' ? value : null;
  };
  const [host, node, scheme] = [text('host'), text('data_plane'), text('scheme') ?? 'http'];
  if (scheme !== 'http' && scheme !== 'https') fields.scheme = 'expected one of: http, https';
  if (named[0] !== 'access_log') {
    for (const name of ['host', 'scheme']) if (args[name] != null) fields[name] = 'only with access_log';
  }
  const list = args.list ?? LISTED;
  const isCount = typeof list === 'number' && Number.isInteger(list) && list >= 0 && list <= MOST_LISTED;
  if (!isCount) fields.list = `expected a whole number from 0 to ${MOST_LISTED}`;
  if (Object.keys(fields).length > 0 || !isCount) throw schemaViolation(fields);
  try {
    return { given: given(args, named[0], { host, scheme: scheme === 'https' ? 'https' : 'http' }), list, node };
  } catch (error) {
    if (error instanceof RequestsFault) throw new Refusal(message(400, error.message));
    throw error;
  }
}

function given(
  args: Readonly<Record<string, unknown>>,
  source: (typeof SOURCES)[number] | undefined,
  otherwise: Parameters<typeof readAccessLog>[1],
): GivenRequests | null {
  switch (source) {
    case undefined:
      return null;
    case 'requests':
      return readRequestList(args.requests);
    case 'log':
      return readHar(args.log);
    case 'access_log':
      if (typeof args.access_log !== 'string') throw new RequestsFault('access_log: expected its text');
      return readAccessLog(args.access_log, otherwise);
  }
}

const request: JsonSchema = {
  type: 'object',
  properties: {
    method: { type: 'string', default: 'GET' },
    scheme: { type: 'string', enum: ['http', 'https'], default: 'http' },
    forwarded_proto: { type: 'string', description: 'X-Forwarded-Proto of a peer that is trusted; else the scheme.' },
    host: { type: ['string', 'null'], description: 'The Host header, port included.' },
    sni: { type: ['string', 'null'], description: 'Of https, without it, the name of the host.' },
    path: { type: 'string', description: 'With the query, if any.' },
    query: { type: ['string', 'null'], description: 'Null: not known.' },
    headers: {
      type: 'object',
      additionalProperties: true,
      description: 'Strings or lists of strings; null for one whose value is not known.',
    },
    all_headers: { type: 'boolean', default: true, description: 'Whether these are all headers there were.' },
    source_ip: { type: ['string', 'null'] },
    version: { type: 'string', default: '1.1', description: 'Of HTTP.' },
    count: { type: 'integer', minimum: 1, default: 1, description: 'How many requests looked like this.' },
  },
};

const input: JsonSchema = {
  type: 'object',
  description: 'Without requests, log and access_log those that the data plane remembers (replay_sample).',
  properties: {
    requests: { type: 'array', items: request },
    log: { type: 'object', additionalProperties: true, description: 'Of a HAR: such a file can be sent as it is.' },
    access_log: { type: 'string', description: "Lines of the formats 'kong_log_format', 'combined' or 'json'." },
    host: { type: 'string', description: 'With access_log: of lines that have none.' },
    scheme: { type: 'string', enum: ['http', 'https'], default: 'http', description: 'With access_log.' },
    data_plane: { type: 'string', description: 'Id or hostname of the one that is asked; else any of the group.' },
    list: { type: 'integer', minimum: 0, maximum: MOST_LISTED, default: LISTED },
  },
};

const verdict: JsonSchema = objectOf({
  route: { type: ['string', 'null'] },
  service: { type: ['string', 'null'] },
  upstream: { type: ['string', 'null'] },
  plugins: { type: 'array', items: { type: 'string' } },
  status: { type: ['integer', 'null'], description: 'Of an answer of the gateway’s own; null: others answer.' },
});

const answer: JsonSchema = objectOf({
  release: { type: ['string', 'null'], description: 'Null: it is what is pending, and in no release yet.' },
  config_hash: { type: 'string' },
  data_plane: objectOf({ id: { type: 'string' }, hostname: { type: 'string' } }),
  compared_with: objectOf({ serial: { type: ['integer', 'null'] }, config_hash: { type: ['string', 'null'] } }),
  requests: { type: 'integer' },
  changed: { type: 'integer' },
  changes: objectOf({
    route: { type: 'integer' },
    service: { type: 'integer' },
    upstream: { type: 'integer' },
    plugins: { type: 'integer' },
    status: { type: 'integer' },
  }),
  unsure: { type: 'integer', description: 'Of which something counts that is not known.' },
  skipped: { type: 'integer', description: 'Entries of a HAR or a log that are no HTTP request.' },
  skipped_first: { type: ['string', 'null'] },
  differing: {
    type: 'array',
    items: objectOf({
      request,
      changes: { type: 'array', items: { type: 'string' } },
      before: verdict,
      after: verdict,
    }),
  },
});
